"""Which storage watch an agent gets."""

from collections.abc import Callable
from pathlib import Path

from holdfast.hooks.heartbeat import HeartbeatDriver

from holdfast_agent.storage.watch import NoStorageWatch, StorageWatch


def make_watch(host_uuid: str, heartbeat: Callable[[str], HeartbeatDriver], folder: Path) -> StorageWatch:
    """The watch of this host. `heartbeat` gives a pool's driver by name; `folder` is where the agent's files are."""
    return NoStorageWatch()
