"""The mount that can be stopped ends when it should, whatever else runs on the machine."""

import subprocess

from heartbeat_benches import StoppableMount


def test_it_ends_though_another_namespace_has_a_copy(stoppable_mount: StoppableMount) -> None:
    """Whoever makes a mount namespace meanwhile has a copy of the mount, which no unmounting here takes away."""
    line = ["unshare", "--mount", "cat"]
    with subprocess.Popen(line, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdin is not None
        assert other.stdout is not None
        other.stdin.write(b"inside\n")
        other.stdin.flush()
        assert other.stdout.readline() == b"inside\n"
        stoppable_mount.unmount()
        assert not stoppable_mount.point.is_mount()
