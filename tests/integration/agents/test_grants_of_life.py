"""Grants of life on their way: from the owner, through the server that has the agent, to the agent, and no others."""

import asyncio
import contextlib
import queue
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest
from agents_site import HYPERVISOR
from holdfast.hooks.heartbeat import HeartbeatDriver
from holdfast.hooks.hypervisor import Hypervisor
from holdfast.model.views import Beat, LifeGrant, VmReport
from holdfast_agent.agent import Agent
from holdfast_agent.ledger import Ledger
from holdfast_agent.steward import Steward
from holdfast_agent.storage.lease import uptime
from holdfast_agent.storage.watch import NoStorageWatch
from holdfast_agents_port.port import AgentsPort
from holdfast_agents_port.tls import ServerIdentity
from port_in_thread import UUID, PortInThread


class Adrift(NoStorageWatch):
    """The storage watch of a host that no pool takes beats of."""

    def __init__(self) -> None:
        self.granted: queue.Queue[float] = queue.Queue()

    def is_adrift(self) -> bool:
        return True

    def owner_granted(self, asked_at: float) -> None:
        self.granted.put(asked_at)


class Owner:
    """The manager that owns the host, beside one of the two ports."""

    def __init__(self) -> None:
        self.beats: queue.Queue[Beat] = queue.Queue()

    def on_connected(self, host_uuid: str, boot_id: str, cpus: int, speed: int, ram: int) -> None:
        pass

    def on_beat(self, beat: Beat) -> None:
        self.beats.put(beat)

    def on_vm(self, host_uuid: str, report: VmReport) -> None:
        pass


@pytest.fixture
def other(port: PortInThread, tmp_path: Path) -> Iterator[AgentsPort]:
    """A second server of the same cloud, linked with the first; no agent knows it."""

    async def make() -> AgentsPort:
        identity = ServerIdentity(port.registrar.authority, "ms2", tmp_path / "other")
        return AgentsPort("ms2", port.registrar, identity, lambda: {"ms1": ("127.0.0.1", port.number)})

    made: AgentsPort = port.run(make())
    port.run(made.listen("127.0.0.1", 0))
    yield made
    port.run(made.stop())


@pytest.mark.parametrize("through", ["its own connection", "another server"])
def test_the_agent_heeds_its_owners_grants_alone(
    port: PortInThread, other: AgentsPort, tmp_path: Path, through: str
) -> None:
    """Of this boot, of a beat that it sent, of no earlier owner: from when it sent that beat, whichever way it came."""
    identity, store = port.joined(tmp_path / "agent")
    server = port.port if through == "its own connection" else other
    owner, watch = Owner(), Adrift()
    port.loop.call_soon_threadsafe(server.switchboard.attach, UUID, owner)

    async def live() -> None:
        ledger = Ledger(tmp_path / "ledger.json")
        ledger.obey(6)
        steward = Steward(UUID, cast(Hypervisor, None), lambda name: cast(HeartbeatDriver, None), ledger, watch)
        running = asyncio.create_task(Agent(identity, store, HYPERVISOR, steward, ledger, watch).run())
        began = uptime()
        beat = await asyncio.to_thread(owner.beats.get, timeout=30)
        heard = uptime()
        good = LifeGrant(UUID, beat.boot_id, beat.sequence, 7)
        bad = (
            replace(good, owner_epoch=5),
            replace(good, boot_id="another boot"),
            replace(good, sequence=beat.sequence - 10_000),  # from before this agent began
            replace(good, host_uuid="22222222-2222-4222-8222-222222222222"),
        )
        try:
            for grant in (*bad, good, replace(good, owner_epoch=6)):
                port.loop.call_soon_threadsafe(server.switchboard.grant_life, grant)
            assert beat.adrift
            first = await asyncio.to_thread(watch.granted.get, timeout=30)
            assert began <= first <= heard
            # Whatever was to be heeded of the others came before the next: frames do not overtake each other.
            later = await asyncio.to_thread(owner.beats.get, timeout=30)
            port.loop.call_soon_threadsafe(server.switchboard.grant_life, replace(good, sequence=later.sequence))
            assert await asyncio.to_thread(watch.granted.get, timeout=30) > first
            assert watch.granted.empty()
        finally:
            running.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await running

    asyncio.run(live())
