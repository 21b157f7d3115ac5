"""What one host's agent costs: CPU and memory of the process, with VMs on the host and a server that listens.

    .venv/bin/python tests/bench/bench_agent.py [--vms N] [--seconds S] [--json]

The VMs are processes that were started through the agent; the driver waits for their ends, as it would for events.
"""

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

from measuring import show

sys.path.insert(0, str(Path(__file__).parents[1] / "integration" / "agents"))

from agents_site import Agent, install_drivers, until
from holdfast.model import PermitGrant, Proof, ProofKind
from holdfast.model.views import HostView, VmSpec
from holdfast_agents_port.drivers import AgentHypervisor, Asking
from port_in_thread import UUID, PortInThread

_HOST = HostView(UUID, "host1", "processes", "z", "p", "c", owner_epoch=1)


def cpu(pid: int) -> float:
    """CPU seconds of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident(pid: int) -> float:
    """MiB."""
    return next(
        int(line.split()[1]) / 1024
        for line in Path(f"/proc/{pid}/status").read_text().splitlines()
        if line.startswith("VmRSS")
    )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--vms", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        install_drivers(folder / "site")
        server = PortInThread(folder / "server")
        agent = Agent(folder / "host1", folder / "site", "host1", [f"127.0.0.1:{server.number}"])
        try:
            joined = agent.run("agent", "join", "--server", f"127.0.0.1:{server.number}", feed=server.token())
            assert joined.returncode == 0, joined.stderr
            agent.start()
            until("the agent connects", lambda: UUID in server.port.switchboard.local)
            driver = AgentHypervisor(Asking(server.port.switchboard, server.loop), server.port.switchboard)
            for number in range(arguments.vms):
                name = f"vm-{number}"
                grant = PermitGrant(name, 1, UUID, 1, Proof(ProofKind.NEVER_RAN, name, 0.0))
                driver.start_vm(_HOST, VmSpec(name, name, name, 1, 500, 256), grant, 20.0)
            time.sleep(2.0)
            began, used = time.monotonic(), cpu(agent.pid)
            until_then = began + arguments.seconds
            while time.monotonic() < until_then:
                driver.list_vms(_HOST, 20.0)
                time.sleep(min(10.0, max(0.0, until_then - time.monotonic())))
            share = (cpu(agent.pid) - used) / (time.monotonic() - began)
            facts = {
                "VMs": len(driver.list_vms(_HOST, 20.0)),
                "beats per second": 1,
                "CPU, share of a core": f"{share:.2%}",
                "resident, MiB": round(resident(agent.pid), 1),
            }
            show("The agent of one host", [facts])
        finally:
            agent.stop()
            agent.end_vms()
            server.close()


if __name__ == "__main__":
    main()
