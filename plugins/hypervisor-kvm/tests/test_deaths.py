"""The kernel tells when a process ends."""

import queue
import subprocess

from holdfast_hypervisor_kvm.deaths import Deaths


def _process() -> subprocess.Popen[bytes]:
    return subprocess.Popen(["sleep", "600"])


def test_each_end_is_told_once() -> None:
    """However often somebody asked for it, and not before."""
    told: queue.Queue[str] = queue.Queue()
    deaths = Deaths(lambda: told.put("died"))
    first, second = _process(), _process()
    deaths.watch([first.pid])
    deaths.watch([first.pid, second.pid])
    for process in (first, second):
        assert told.empty()
        process.kill()
        assert told.get(timeout=30) == "died"
        process.wait()
    assert told.empty()


def test_a_process_that_has_ended_already_is_told_at_once() -> None:
    """It ended between being seen and being watched."""
    told = []
    process = _process()
    process.kill()
    process.wait()
    Deaths(lambda: told.append("died")).watch([process.pid])
    assert told == ["died"]
