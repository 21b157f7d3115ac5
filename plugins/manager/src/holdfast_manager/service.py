"""The `manager` service: a `Manager` in the real world."""

from collections.abc import Mapping
from typing import Any

from holdfast.hooks.markers import hookimpl
from holdfast.hooks.service import ServiceContext

from holdfast_manager.agent_drivers import AgentDrivers
from holdfast_manager.manager import Manager
from holdfast_manager.real_runtime import RealRuntime, prepare_process


class ManagerService:
    """Runs the loop of this management server."""

    SETTINGS: Mapping[str, Any] = {}

    def __init__(self, settings: Mapping[str, Any] | None = None) -> None:
        self._runtime = RealRuntime()
        self._manager: Manager | None = None

    @hookimpl
    async def start(self, context: ServiceContext) -> None:
        """Begin to watch."""
        prepare_process()
        plugins = AgentDrivers(context.plugins, context.live)
        self._manager = Manager(context.name, self._runtime, context.store, context.coordinator, plugins, context.bell)
        self._manager.address = context.live.get("agents.address", self._manager.address)
        await self._manager.start()
        context.live["manager.explain_host"] = self._manager.explain_host
        context.live["manager.explain_vm"] = self._manager.explain_vm
        context.live["manager.notify"] = self._manager.notices.tell

    @hookimpl
    async def wait(self) -> None:
        """Never returns by itself."""
        assert self._manager is not None
        await self._manager.wait()

    @hookimpl
    async def stop(self) -> None:
        """Give the hosts back."""
        if self._manager is not None:
            await self._manager.stop()
            self._manager = None
        self._runtime.close()
