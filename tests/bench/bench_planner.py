"""How long the planner takes to place the VMs of many dead hosts, and how that grows.

Each cloud has clusters of 50 hosts, ten sizes of VM, hosts that are half full, and every fifth VM in an anti-affinity
group of three. Dead hosts are taken either from all clusters alike, so that VMs stay in their cluster, or as whole
clusters, so that all of their VMs look through the zone. Restart order is included. Best of three runs.
"""

import json
import sys
import time
import tracemalloc
from collections.abc import Callable
from functools import partial
from random import Random
from typing import Any

from holdfast.engine.planner import Plan, Planner, RestartItem, restart_order
from holdfast.hooks.placement import HostRoom, Request
from holdfast_placement.anti_affinity import AntiAffinityFilter
from holdfast_placement.capacity import CapacityFilter
from holdfast_placement.dedicated import DedicatedFilter
from holdfast_placement.scope import ScopeFilter
from holdfast_placement.spread import SpreadScorer

CLUSTER_SIZE = 50
VMS_PER_HOST = 20
SIZES = [
    (cores * 1000, memory)
    for cores, memories in ((1, (512, 1024, 2048)), (2, (2048, 4096, 8192)), (4, (4096, 8192, 16384)), (8, (16384,)))
    for memory in memories
]
ROUNDS = 3


def planner() -> Planner:
    """The default list of plugins."""
    return Planner([
        ("scope", ScopeFilter({})),
        ("dedicated", DedicatedFilter({"ha_tag": ""})),
        ("capacity", CapacityFilter({})),
        ("anti-affinity", AntiAffinityFilter({})),
        ("spread", SpreadScorer({})),
    ])  # fmt: skip


def cloud(hosts: int, dead: int, whole_clusters: bool) -> tuple[list[HostRoom], list[Request]]:
    """Hosts, of which `dead` are down, and the VMs that were on those."""
    clusters = hosts // CLUSTER_SIZE
    if whole_clusters:
        is_down = [number < dead for number in range(hosts)]
    else:
        is_down = [(number % CLUSTER_SIZE) * clusters + number // CLUSTER_SIZE < dead for number in range(hosts)]
    rooms = [_room(number, is_down[number]) for number in range(hosts)]
    random = Random(1)
    requests: list[Request] = []
    for room in (room for room in rooms if not room.up):
        for _ in range(VMS_PER_HOST):
            index = len(requests)
            cpu, ram = random.choice(SIZES)
            group = f"group-{index // 15}" if index % 5 == 0 else ""
            requests.append(
                Request(
                    f"vm-{index:06}", "ha", "zone-1", room.cluster, cpu, ram, affinity_group=group, hypervisor="KVM",
                    excluded={room.uuid: "it is dead"},
                )
            )  # fmt: skip
    return rooms, requests


def _room(number: int, down: bool) -> HostRoom:
    cluster = f"cluster-{number // CLUSTER_SIZE:04}"
    return HostRoom(
        f"host-{number:05}", f"host-{number:05}", "zone-1", "pod-1", cluster, "KVM", not down, True,
        "the host is Down" if down else "", 256_000, 1_048_576,
        used_cpu=100_000 + number * 7919 % 50_000, used_ram=400_000 + number * 104_729 % 200_000,
    )  # fmt: skip


def in_restart_order(requests: list[Request]) -> list[Request]:
    """As the manager orders them, with every tenth VM of a higher priority."""
    by_uuid = {request.vm_uuid: request for request in requests}
    items = [
        RestartItem(request.vm_uuid, priority=int(index % 10 == 0), cpu=request.cpu, ram=request.ram,
                    cluster=request.cluster)
        for index, request in enumerate(requests)
    ]  # fmt: skip
    return [by_uuid[uuid] for uuid in restart_order(items).vm_uuids]


def measure(hosts: int, dead: int, whole_clusters: bool) -> dict[str, Any]:
    """Seconds and memory for one cloud."""
    rooms, requests = cloud(hosts, dead, whole_clusters)
    seconds, ordering, plan = float("inf"), float("inf"), None
    for _ in range(ROUNDS):
        order_took, ordered = _timed(lambda: in_restart_order(requests))
        plan_took, plan = _timed(partial(planner().plan, ordered, rooms))
        seconds, ordering = min(seconds, plan_took), min(ordering, order_took)
    assert isinstance(plan, Plan)
    shuffled = Random(2).sample(requests, len(requests))
    shuffled_took, _ = _timed(lambda: planner().plan(shuffled, rooms))
    explain_took, _ = _timed(lambda: [plan.explanation(request.vm_uuid, 10) for request in requests[:100]])
    brief_took, _ = _timed(lambda: [plan.brief(request.vm_uuid) for request in requests])
    return {
        "hosts": hosts,
        "dead": dead,
        "vms": len(requests),
        "dead hosts are": "whole clusters" if whole_clusters else "in all clusters",
        "unplaced": len(plan.unplaced),
        "order s": round(ordering, 3),
        "plan s": round(seconds, 3),
        "plan, random order s": round(shuffled_took, 3),
        "us per VM": round(seconds / len(requests) * 1e6, 1),
        "memory MB": round(_memory(lambda: planner().plan(in_restart_order(requests), rooms)) / 1e6, 1),
        "explanation ms": round(explain_took * 10, 2),
        "brief us": round(brief_took / len(requests) * 1e6, 1),
    }


def _timed(call: Callable[[], Any]) -> tuple[float, Any]:
    start = time.perf_counter()
    result = call()
    return time.perf_counter() - start, result


def _memory(call: Callable[[], Any]) -> int:
    """Bytes that the result keeps alive."""
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    result = call()
    after = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    del result
    return after - before


def run() -> dict[str, Any]:
    """All figures, for the performance page."""
    sizes = [(1_000, 100), (3_000, 300), (10_000, 1_000)]
    return {"planner": [measure(hosts, dead, whole) for whole in (False, True) for hosts, dead in sizes]}


def main() -> None:
    """Print a table, or JSON with --json."""
    figures = run()
    if "--json" in sys.argv[1:]:
        print(json.dumps(figures, indent=2))
        return
    rows = figures["planner"]
    widths = {key: max(len(key), *(len(str(row[key])) for row in rows)) for key in rows[0]}
    print("  ".join(key.rjust(width) for key, width in widths.items()))
    for row in rows:
        print("  ".join(str(row[key]).rjust(width) for key, width in widths.items()))


if __name__ == "__main__":
    main()
