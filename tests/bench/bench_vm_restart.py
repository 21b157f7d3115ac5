"""A VM's QEMU is killed on a living host: how long until it runs again. Real server, agent, libvirt and QEMU; root.

    .venv/bin/python tests/bench/bench_vm_restart.py [--repeat N] [--full] [--json]

The clock starts with the kill, and ends when a new QEMU of the VM exists, and when libvirt lets it run: the guest's
first instruction. Agent and hosts are processes of this machine, so that its other work counts too. --full: 30 kills.
"""

import os
import signal
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests" / "integration" / "kvm"), str(ROOT / "tests" / "bench")]


def main() -> None:
    """Print medians and spreads."""
    from measuring import options, show, spread

    given = options(__doc__, 5)
    if os.geteuid() != 0:
        print("bench_vm_restart: NOT RUN: it needs root, for namespaces")
        return
    from real_libvirt import need_packages

    need_packages()
    from holdfast_lab.guest.image import guest_image
    from kvm_site import KvmSite, until

    gone, runs = [], []
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
        image = guest_image(Path(folder) / "guest")
        with KvmSite(Path(folder) / "site", image) as site:
            site.open(hosts=1)
            site.set("ha.vm.crash.limit", "1000")
            agent = site.agents["host1"]
            vm = site.deploy("bench", agent)
            for _ in range(30 if given.full else given.repeat):
                until("it runs", lambda: site.vm(vm)["state"] == "Running" and agent.qemus(vm))
                (old,) = agent.qemus(vm)
                began = time.perf_counter()
                os.kill(old, signal.SIGKILL)
                until("a new QEMU", lambda old=old: [pid for pid in agent.qemus(vm) if pid != old])
                gone.append(time.perf_counter() - began)
                until("it runs", lambda: site.client.items("listVirtualMachines", id=vm)[0]["runepoch"] > len(gone))
                until(
                    "libvirt runs it", lambda: agent.libvirt.virsh("domstate", vm, may_fail=True).strip() == "running"
                )
                runs.append(time.perf_counter() - began)
    show(
        "QEMU killed on a living host (seconds: median, lowest..highest)",
        [{"kills": len(runs), "a new QEMU exists": spread(gone), "its guest runs": spread(runs)}],
    )


if __name__ == "__main__":
    main()
