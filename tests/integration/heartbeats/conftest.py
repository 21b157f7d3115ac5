"""Lends the benches and servers of this folder to its tests. Their module has a name that no other folder has."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from heartbeat_benches import chap_server, iscsi_server, nfs_server, stoppable_mount

__all__ = ["chap_server", "iscsi_server", "nfs_server", "stoppable_mount"]
