"""Drivers as the manager finds them, on this server or on the hosts.

A hypervisor or heartbeat driver that says `runs_on = "agent"`, or that is not installed here at all, lives on the
hosts: the service `agents` beside the manager offers what reaches it. So a server needs no libvirt to manage KVM hosts.
"""

from collections.abc import Mapping
from typing import Any

from holdfast.errors import PluginError

from holdfast_manager.desk import PluginHub

_POINTS = ("hypervisor", "heartbeat")


class AgentDrivers:
    """A `PluginHub` over the loader. `live` is the process's board, where the service `agents` leaves its drivers."""

    def __init__(self, plugins: Any, live: Mapping[str, Any]) -> None:
        self._plugins: PluginHub = plugins
        self._installed = plugins.has
        self._live = live
        self._lives_here: dict[tuple[str, str], bool] = {}

    def driver(self, point: str, name: str) -> Any:
        """The driver of that name; `PluginError` if it cannot be had."""
        if point not in _POINTS or self._is_here(point, name):
            return self._plugins.driver(point, name)
        found = self._live.get(f"agents.{point}")
        if found is None:
            raise PluginError(
                f"{point} driver {name} lives on the hosts, and this server does not listen to their agents: add "
                '"agents" to server.services, before "manager"'
            )
        return found

    def _is_here(self, point: str, name: str) -> bool:
        here = self._lives_here.get((point, name))
        if here is None:
            here = self._installed(point, name) and self._plugins.driver_class(point, name).runs_on == "server"
            self._lives_here[point, name] = here
        return here

    def drivers(self, point: str) -> Any:
        """The configured drivers of an ordered or many-valued point."""
        return self._plugins.drivers(point)

    def selected(self, point: str) -> Any:
        """The names that the configuration chose for a point, in order."""
        return self._plugins.selected(point)

    def driver_class(self, point: str, name: str) -> Any:
        """A driver's class, checked but not constructed."""
        return self._plugins.driver_class(point, name)

    def settings(self, point: str, name: str) -> Any:
        """What the configuration says a driver is constructed with."""
        return self._plugins.settings(point, name)
