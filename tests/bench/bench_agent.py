"""What one host's agent costs: CPU and memory of the process, with VMs on the host and a server that listens.

    .venv/bin/python tests/bench/bench_agent.py [--kvm] [--vms N] [--seconds S] [--json]

The VMs are started through the agent. With --kvm they are QEMUs under a real libvirtd, which takes root and some 40 MiB
each; the agent then beats on a mounted share as well. Without it they are processes, and it beats on the line alone.
"""

import argparse
import contextlib
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from agent_grounds import Ground, KvmGround, ProcessGround
from agents_site import Agent, install_drivers, until
from holdfast.model import PermitGrant, Proof, ProofKind
from holdfast.model.views import HostView
from holdfast_agents_port.drivers import AgentHypervisor, Asking
from measuring import show
from port_in_thread import UUID, PortInThread


def cpu(pid: int) -> float:
    """CPU seconds of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def status(pid: int, field: str) -> int:
    """A number from /proc/PID/status: kB for memory."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{field}:"))


def children(pid: int) -> list[int]:
    """The processes that it keeps for I/O that may hang."""
    found = []
    for thread in Path(f"/proc/{pid}/task").iterdir():
        found += [int(word) for word in (thread / "children").read_text().split()]
    return [child for child in found if b"holdfast.lane.child" in Path(f"/proc/{child}/cmdline").read_bytes()]


@contextlib.contextmanager
def running(folder: Path, ground: Ground) -> Iterator[tuple[Agent, PortInThread]]:
    """The agent, connected to a server of ours, at its second start: as installed, with its bytecode there.

    To compile it at each start leaves 15 MiB behind, and some environments of developers keep none.
    """
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    os.environ["PYTHONPYCACHEPREFIX"] = str(folder / "bytecode")
    install_drivers(folder / "site")
    server = PortInThread(folder / "server", ground.hypervisor)
    agent = ground.agent(folder / "host1", folder / "site", f"127.0.0.1:{server.number}")
    try:
        joined = agent.run("agent", "join", "--server", f"127.0.0.1:{server.number}", feed=server.token())
        assert joined.returncode == 0, joined.stderr
        for _ in range(2):
            agent.stop()
            until("the agent is gone", lambda: UUID not in server.port.switchboard.local)
            agent.start()
            until("the agent connects", lambda: UUID in server.port.switchboard.local)
            driver = AgentHypervisor(Asking(server.port.switchboard, server.loop), server.port.switchboard)
            driver.list_vms(_host(ground), 20.0)
        yield agent, server
    finally:
        agent.stop()
        agent.end_vms()
        server.close()


def _host(ground: Ground) -> HostView:
    return HostView(UUID, "host1", ground.hypervisor, "z", "p", "c", owner_epoch=1)


def measure(agent: Agent, server: PortInThread, ground: Ground, vms: int, seconds: float) -> dict[str, object]:
    """Start the VMs, and watch what the agent takes."""
    host = _host(ground)
    driver = AgentHypervisor(Asking(server.port.switchboard, server.loop), server.port.switchboard)
    if ground.orders is not None:
        driver.give_orders(host, ground.orders, 20.0)
    pid = ground.pid(agent)
    empty = status(pid, "VmRSS") / 1024
    for number in range(vms):
        vm = ground.vm(number)
        grant = PermitGrant(vm.uuid, 1, UUID, 1, Proof(ProofKind.NEVER_RAN, vm.name, 0.0))
        _patiently(lambda vm=vm, grant=grant: driver.start_vm(host, vm, grant, 60.0))  # type: ignore[misc]
    ground.settle()
    time.sleep(2.0)
    began, used = time.monotonic(), cpu(pid)
    workers = children(pid)
    theirs = sum(map(cpu, workers))
    while (left := began + seconds - time.monotonic()) > 0:
        driver.list_vms(host, 20.0)
        time.sleep(min(10.0, left))
    took = time.monotonic() - began
    return {
        "VMs": len(driver.list_vms(host, 20.0)),
        "beats per second": 1,
        "CPU, share of a core": f"{(cpu(pid) - used) / took:.2%}",
        "resident, MiB": round(status(pid, "VmRSS") / 1024, 1),
        "of that no file's, MiB": round(status(pid, "RssAnon") / 1024, 1),
        "without VMs, MiB": round(empty, 1),
        "at its largest, MiB": round(status(pid, "VmHWM") / 1024, 1),
        "threads": status(pid, "Threads"),
        "processes for storage": len(workers),
        "their CPU": f"{(sum(map(cpu, workers)) - theirs) / took:.2%}",
        "their resident, MiB": round(sum(status(worker, "VmRSS") for worker in workers) / 1024, 1),
    }


def _patiently(start: Callable[[], None]) -> None:
    """No VM is started before the first beat is on the storage."""
    end = time.monotonic() + 30.0
    while True:
        try:
            return start()
        except Exception:
            if time.monotonic() > end:
                raise
            time.sleep(0.2)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--kvm", action="store_true")
    parser.add_argument("--vms", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as place, contextlib.ExitStack() as stack:
        folder = Path(place)
        ground: Ground = KvmGround(folder) if arguments.kvm else ProcessGround()
        stack.callback(ground.end)
        agent, server = stack.enter_context(running(folder, ground))
        facts = measure(agent, server, ground, arguments.vms, arguments.seconds)
        show(f"The agent of one host, driver {ground.hypervisor}", [facts])


if __name__ == "__main__":
    main()
