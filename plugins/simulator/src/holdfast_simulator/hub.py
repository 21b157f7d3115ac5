"""What a simulated management server gets its drivers from: simulated ones, and the installed placement plugins."""

from functools import cache
from typing import Any

from holdfast.config import from_document
from holdfast.discovery import discover
from holdfast.errors import PluginError
from holdfast.plugins import Plugins

from holdfast_simulator.site import ServerLife


@cache
def installed() -> Plugins:
    """The installed plugins under the built-in configuration."""
    catalogue = discover()
    return Plugins(from_document({}, catalogue=catalogue), catalogue)


@cache
def manager_class() -> Any:
    """The running loop, found as any service is: plugins do not import each other.

    The service's module has the loop itself as `Manager`, which takes its runtime from outside.
    """
    import sys

    service = installed().driver_class("service", "manager")
    found = getattr(sys.modules[service.__module__], "Manager", None)
    if found is None:
        raise PluginError(f"{service.__module__} offers no Manager to simulate; install a matching holdfast-manager")
    return found


class SimulatedHub:
    """Drivers of one life of one server."""

    def __init__(self, life: ServerLife) -> None:
        # They subclass their interfaces, so the loader's adapter, which takes its time, has nothing to add.
        self._drivers: dict[tuple[str, str], Any] = {
            ("provider", "simulatorhaprovider"): life.provider,
            ("oobm", "simulator"): life.oobm,
            ("heartbeat", "simulator"): life.heartbeat,
            ("hypervisor", "simulator"): life.hypervisor,
        }

    def driver(self, point: str, name: str) -> Any:
        """The driver of that name."""
        found = self._drivers.get((point, name))
        if found is None:
            raise PluginError(f"the simulation has no {point} {name!r}; it has {sorted(self._drivers)}")
        return found

    def drivers(self, point: str) -> tuple[Any, ...]:
        """Nobody is notified."""
        return () if point == "notifier" else tuple(installed().drivers(point))

    def names(self, point: str) -> tuple[str, ...]:
        """Names that `driver` knows."""
        return tuple(name for at, name in self._drivers if at == point)

    def has(self, point: str, name: str) -> bool:
        """Whether `driver` would give one."""
        return (point, name) in self._drivers

    def selected(self, point: str) -> tuple[str, ...] | None:
        """The names chosen for a point."""
        return installed().config.selected(point)

    def driver_class(self, point: str, name: str) -> Any:
        """An installed driver's class."""
        return installed().driver_class(point, name)

    def settings(self, point: str, name: str) -> Any:
        """An installed driver's settings."""
        return installed().settings(point, name)
