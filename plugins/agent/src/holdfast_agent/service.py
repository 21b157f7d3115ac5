"""The service `agent`."""

import asyncio
import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar

from holdfast.errors import HoldfastError
from holdfast.hooks.hypervisor import Hypervisor
from holdfast.hooks.markers import hookimpl
from holdfast.hooks.service import ServiceContext
from holdfast.model.views import HostView
from holdfast.options import Option

from holdfast_agent.agent import Agent
from holdfast_agent.identity import Identity, IdentityStore
from holdfast_agent.ledger import Ledger
from holdfast_agent.steward import Steward
from holdfast_agent.storage.making import make_watch
from holdfast_agent.storage.watch import StorageWatch
from holdfast_agent.threads import BoundedThreads

log = logging.getLogger("holdfast.agent")

_ATTACH_SECONDS = 30.0
_AGAIN_SECONDS = 5.0
_STAND_DOWN_SECONDS = 8.0

SETTINGS: Mapping[str, Option] = {
    "hypervisor": Option(str, "kvm", "the driver that runs VMs on this host"),
    "servers": Option(
        tuple, (), "management servers or their balancer, HOST or HOST:PORT; those of `agent join` if empty"
    ),
    "watchdog": Option(
        str, "/dev/watchdog", "the device that resets this host once its storage lease lapses; empty for none"
    ),
    "data_dir": Option(Path, Path(), "has the agent's files, in the folder agent; that of [server] if not given"),
}
"""The table `[agent]`."""


def folder_of(settings: Mapping[str, Any]) -> Path:
    """Where the agent's files are."""
    return Path(settings["data_dir"]) / "agent"


class AgentService:
    """One agent per host."""

    SETTINGS: ClassVar[Mapping[str, Option]] = SETTINGS

    def __init__(self, settings: Mapping[str, Any]) -> None:
        self._settings = settings
        self._watch: StorageWatch | None = None
        self._tasks: list[asyncio.Task[None]] = []

    @hookimpl
    async def start(self, context: ServiceContext) -> None:
        """Remember, watch the storage, and begin to dial. A server need not be there."""
        folder, plugins = folder_of(self._settings), context.plugins
        store = IdentityStore(folder)
        identity = await asyncio.to_thread(store.load)
        if self._settings["servers"]:
            identity = Identity(identity.host_uuid, identity.name, self._settings["servers"])
        await asyncio.to_thread(store.context)
        ledger = await asyncio.to_thread(Ledger, folder / "ledger.json")
        name = self._settings["hypervisor"]
        hypervisor: Hypervisor = await asyncio.to_thread(plugins.driver, "hypervisor", name)
        heartbeat: Callable[[str], Any] = lambda driver: plugins.driver("heartbeat", driver)  # noqa: E731
        watch = self._watch = make_watch(identity.host_uuid, heartbeat, self._settings["watchdog"])
        steward = Steward(identity.host_uuid, hypervisor, heartbeat, ledger, watch)
        agent = Agent(identity, store, name, steward, ledger, watch)
        if ledger.orders is not None:
            watch.orders_given(ledger.orders)
        await asyncio.to_thread(watch.start, steward)
        context.live["agent.connected_to"] = ""
        agent.on_connected_to = lambda server: context.live.__setitem__("agent.connected_to", server)
        view = HostView(identity.host_uuid, identity.name, name, "", "", "")
        loop = asyncio.get_running_loop()
        self._tasks = [
            loop.create_task(agent.run(), name="agent"),
            loop.create_task(_attach(hypervisor, view, agent, steward), name="attach"),
        ]

    @hookimpl
    async def wait(self) -> None:
        """Raises what made the agent end; it never ends by itself."""
        if self._tasks:
            await self._tasks[0]

    @hookimpl
    async def stop(self) -> None:
        """Leave the servers. VMs are not touched. The watchdog is disarmed, once the owner has taken that in."""
        if self._watch is not None:
            await asyncio.to_thread(self._watch.stand_down, _STAND_DOWN_SECONDS)
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._watch is not None:
            watch, self._watch = self._watch, None
            await asyncio.to_thread(watch.stop)


async def _attach(hypervisor: Hypervisor, view: HostView, agent: Agent, steward: Steward) -> None:
    """Listen to the hypervisor as soon as it answers. Meanwhile the agent beats, and whoever asks for VMs is told."""
    calls, told = BoundedThreads("attach", 1), ""
    while True:
        try:
            await calls.call(_ATTACH_SECONDS, lambda: hypervisor.attach(view, agent))
            await calls.call(_ATTACH_SECONDS, lambda: steward.forget_lost(_ATTACH_SECONDS))
        except HoldfastError as problem:
            if str(problem) != told:
                told = str(problem)
                log.warning("the hypervisor is not attached yet: %s", problem)
            await asyncio.sleep(_AGAIN_SECONDS)
        else:
            return
