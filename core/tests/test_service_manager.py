"""systemd is told what is so, and nobody else is."""

import asyncio
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from holdfast.service_manager import keep_alive, notify, watchdog_seconds


@pytest.fixture
def manager(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    """The end at which systemd listens."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as end:
        path = tmp_path / "notify"
        end.bind(str(path))
        end.settimeout(10)
        monkeypatch.setenv("NOTIFY_SOCKET", str(path))
        yield end


def test_lines_arrive(manager: socket.socket) -> None:
    """As they were sent."""
    notify("READY=1")
    assert manager.recv(100) == b"READY=1"


def test_signs_of_life_come_three_times_as_often_as_they_are_wanted(
    manager: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From the event loop itself; and they end with it."""
    monkeypatch.setenv("WATCHDOG_USEC", "150000")

    async def live() -> None:
        task = asyncio.create_task(keep_alive())
        await asyncio.sleep(0.3)
        task.cancel()

    asyncio.run(live())
    manager.setblocking(False)
    count = 0
    while True:
        try:
            assert manager.recv(100) == b"WATCHDOG=1"
        except BlockingIOError:
            break
        count += 1
    assert count >= 2


def test_without_systemd_nothing_happens(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No socket, a socket that is gone, a watchdog of another process, nonsense: nothing is raised, nobody is told."""
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    notify("READY=1")
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "gone"))
    notify("READY=1")
    assert watchdog_seconds() == 0.0
    monkeypatch.setenv("WATCHDOG_USEC", "1000000")
    assert watchdog_seconds() == 1.0
    monkeypatch.setenv("WATCHDOG_PID", str(os.getpid() + 1))
    assert watchdog_seconds() == 0.0
    monkeypatch.delenv("WATCHDOG_PID")
    monkeypatch.setenv("WATCHDOG_USEC", "soon")
    assert watchdog_seconds() == 0.0
    asyncio.run(keep_alive())
