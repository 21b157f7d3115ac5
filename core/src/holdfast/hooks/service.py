"""Service: what a Holdfast process runs."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from holdfast.hooks.coordinator import Coordinator
from holdfast.hooks.markers import hookspec
from holdfast.hooks.store import Store


class Bell(Protocol):
    """Wakes whoever waits for new work in the same process. Losing a ring is harmless: everybody also polls."""

    def ring(self, topic: str) -> None:
        """Say that there is news of `topic` ("jobs", "inventory", "settings"). Thread-safe."""


@dataclass(frozen=True, slots=True)
class ServiceContext:
    """What a process lends its services. `settings` is the service's own table of the configuration file.

    `plugins` gives drivers by point and name (`plugins.driver("oobm", "ipmi")`). `live` is a process-local board where
    services leave callables for each other by name, e.g. "manager.explain"; readers must do without.
    """

    name: str
    config: Any
    settings: Mapping[str, Any]
    plugins: Any
    store: Store
    coordinator: Coordinator
    bell: Any
    live: dict[str, Any] = field(default_factory=dict)


class Service:
    """One long-running part of a Holdfast process. Group `holdfast.service`; the configuration lists which.

    Constructed with its settings; `start` then `stop` are awaited on the process's event loop.
    """

    @hookspec
    async def start(self, context: ServiceContext) -> None:
        """Begin; return once ready to serve. Raise `ConfigurationError` if it cannot: the process then ends."""
        raise NotImplementedError

    @hookspec
    async def wait(self) -> None:
        """Return when the service ended by itself; an exception here ends the process."""
        raise NotImplementedError

    @hookspec
    async def stop(self) -> None:
        """End cleanly, giving back leases. Idempotent."""
        raise NotImplementedError
