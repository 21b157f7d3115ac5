"""What systemd wants to hear of a process: that it is ready, that it lives, that it ends. Silent without systemd."""

import asyncio
import contextlib
import os
import socket


def notify(text: str) -> None:
    """Send one line to the service manager, if there is one. Never blocks, never raises."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if address[:1] not in ("/", "@"):
        return
    if address[0] == "@":
        address = "\0" + address[1:]
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as end:
        end.setblocking(False)
        end.connect(address)
        end.send(text.encode())


def watchdog_seconds() -> float:
    """How often the service manager wants a sign of life at least; 0 if it wants none."""
    with contextlib.suppress(ValueError):
        meant = os.environ.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        return int(os.environ.get("WATCHDOG_USEC", "0")) / 1e6 if meant else 0.0
    return 0.0


async def keep_alive() -> None:
    """Give signs of life from the event loop until cancelled: a loop that hangs gives none, and is restarted."""
    seconds = watchdog_seconds()
    while seconds > 0:
        notify("WATCHDOG=1")
        await asyncio.sleep(seconds / 3)
