"""Signed calls of the API: what each costs the server, and how long its client waits.

    .venv/bin/python tests/bench/bench_api.py [--repeat N] [--full] [--json]

A server process of its own with the shipped API service and store, SQLite file; no manager, so that nothing else takes
its CPU. One client, one call after the other. --full: more calls, and a cloud of 1,000 hosts and 20,000 VMs too.
"""

import os
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cloud import fill, open_store
from holdfast_cli.client import Client, keys_by_login
from holdfast_cli.server_process import ServerProcess
from measuring import options, show, spread

_CALLS: Mapping[str, dict[str, Any]] = {
    "listCapabilities": {},
    "listHosts, one": {"name": "host-00001"},
    "listHosts, 50 of them": {"page": 1, "pagesize": 50},
    "listVirtualMachines, one": {"name": "vm-000001"},
    "listVirtualMachines, 50 of them": {"page": 1, "pagesize": 50},
    "listVirtualMachines, 500 of them": {"page": 1, "pagesize": 500},
}
_TICKS = os.sysconf("SC_CLK_TCK")


def main() -> None:
    """Print CPU and waiting time of each call, for a small and a large cloud."""
    given = options(__doc__, 20)
    sizes = [(3, 3), (100, 20), (1000, 20)] if given.full else [(3, 3), (100, 20)]
    for hosts, vms in sizes:
        with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
            rows = _measured(Path(folder), hosts, vms, 200 if given.full else given.repeat)
        show(f"{hosts} hosts, {hosts * vms} VMs (milliseconds; waited: median, lowest..highest)", rows)


def _measured(folder: Path, hosts: int, vms: int, repeat: int) -> list[dict[str, Any]]:
    data = folder / "data"
    data.mkdir()
    store = open_store(data)
    fill(store, hosts, 32, vms)
    store.close()
    (data / "key").rename(data / "secret.key")
    with ServerProcess(folder, name="bench", services=["api"]) as server:
        server.start()
        client = Client(server.endpoint, keys_by_login(server.endpoint, "admin", server.password))
        return [_one(server, client, title, repeat) for title in _CALLS]


def _one(server: ServerProcess, client: Client, title: str, repeat: int) -> dict[str, Any]:
    command, waited = title.replace(",", " ").split()[0], []
    for _ in range(3):
        client.call(command, **_CALLS[title])
    before = _cpu(server.pid)
    for _ in range(repeat):
        began = time.perf_counter()
        client.call(command, **_CALLS[title])
        waited.append((time.perf_counter() - began) * 1000)
    cpu = (_cpu(server.pid) - before) * 1000 / repeat
    return {"call": title, "CPU of the server": f"{cpu:.1f}", "waited": spread(waited, 1)}


def _cpu(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace").rpartition(") ")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


if __name__ == "__main__":
    sys.exit(main())
