"""How large a host is, as its server hears it from the agent."""

import asyncio
import contextlib
import threading
from pathlib import Path
from typing import cast

import pytest
from agents_site import HYPERVISOR
from holdfast.hooks.heartbeat import HeartbeatDriver
from holdfast.hooks.hypervisor import Hypervisor
from holdfast.model.views import Beat, VmReport
from holdfast_agent.agent import Agent
from holdfast_agent.ledger import Ledger
from holdfast_agent.steward import Steward
from holdfast_agent.storage.watch import NoStorageWatch
from port_in_thread import UUID, PortInThread

TRUE_SIZE = (96, 2_345, 1 << 40)


class Listener:
    """What the server's manager would hear."""

    def __init__(self) -> None:
        self.sizes: list[tuple[int, int, int]] = []
        self.beaten = threading.Event()
        self.sized = threading.Event()

    def on_connected(self, host_uuid: str, boot_id: str, cpus: int, speed: int, ram: int) -> None:
        self.sizes.append((cpus, speed, ram))
        if self.sizes[-1] == TRUE_SIZE:
            self.sized.set()

    def on_beat(self, beat: Beat) -> None:
        self.beaten.set()

    def on_vm(self, host_uuid: str, report: VmReport) -> None:
        pass


def test_a_size_that_is_known_between_greeting_and_welcome_is_said(
    port: PortInThread, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The greeting carries the kernel's word; the driver's comes while the server still looks the host up."""
    identity, store = port.joined(tmp_path / "agent")
    listener, greeted = Listener(), threading.Event()
    port.loop.call_soon_threadsafe(port.port.switchboard.attach, UUID, listener)

    async def connect() -> None:
        loop = asyncio.get_running_loop()
        watch, ledger = NoStorageWatch(), Ledger(tmp_path / "ledger.json")
        steward = Steward(UUID, cast(Hypervisor, None), lambda name: cast(HeartbeatDriver, None), ledger, watch)
        agent = Agent(identity, store, HYPERVISOR, steward, ledger, watch)
        look_up = port.registrar.objection

        def driver_speaks_first(host_uuid: str, serial: str) -> str:
            if not greeted.is_set():
                greeted.set()
                taken = threading.Event()
                agent.on_connected(UUID, "", *TRUE_SIZE)
                loop.call_soon_threadsafe(taken.set)
                assert taken.wait(30)
            return look_up(host_uuid, serial)

        monkeypatch.setattr(port.registrar, "objection", driver_speaks_first)
        running = asyncio.create_task(agent.run())
        assert await asyncio.to_thread(listener.beaten.wait, 30)
        try:
            assert await asyncio.to_thread(listener.sized.wait, 10), f"the server heard {listener.sizes} alone"
        finally:
            running.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await running

    asyncio.run(connect())
    assert greeted.is_set()
    assert listener.sizes[0] != TRUE_SIZE
    assert listener.sizes[1:] == [TRUE_SIZE]
