"""What the planner's tests share: hosts, requests, whimsical plugins, and a planner too simple to be wrong."""

from dataclasses import replace
from random import Random
from zlib import crc32

from holdfast.engine.reach import out_of_reach
from holdfast.hooks.placement import HostRoom, Request


def room(name, *, cluster="c1", zone="z1", ram=1000, cpu=1000, **more):
    """A host that is up, with 1,000 MB and 1,000 MHz unless said otherwise. Its uuid is its name with "u-" before."""
    facts = {"pod": "p1", "hypervisor": "KVM", "up": True, "enabled": True, "why_not": "", **more}
    return HostRoom(f"u-{name}", name, zone, cluster=cluster, total_cpu=cpu, total_ram=ram, **facts)


def vm(name, *, cluster="c1", zone="z1", ram=100, cpu=100, purpose="ha", **more):
    """A request of 100 MB and 100 MHz from cluster c1 of zone z1 unless said otherwise."""
    return Request(name, purpose, zone, cluster, cpu, ram, **more)


class Fits:
    """A filter as a third party would write it: no parent class, no promises."""

    def refuse(self, request, hosts):
        return {host.uuid: "is full" for host in hosts if host.used_ram + request.ram > host.total_ram}

    def score(self, request, hosts):
        return {}


class Emptiest:
    """A scorer without promises."""

    def refuse(self, request, hosts):
        return {}

    def score(self, request, hosts):
        return {host.uuid: 1 - (host.used_ram + request.ram) / (2 * host.total_ram) for host in hosts}


class Whim:
    """Answers at random, but always the same to the same question about the same host in the same condition.

    With `reads` it depends on those fields alone. What it says of a host may get better or worse as VMs are placed.
    """

    def __init__(self, salt, *, reads=None, scores=True, refuses=0.3):
        self.reads, self.scores = reads, scores
        self._salt, self._refuses = salt, refuses

    def refuse(self, request, hosts):
        return {host.uuid: f"whim {self._salt}" for host in hosts if self._number("no", request, host) < self._refuses}

    def score(self, request, hosts):
        if not self.scores:
            return {}
        return {host.uuid: round(self._number("score", request, host), 1) for host in hosts}

    def _number(self, what, request, host):
        names = self.reads if self.reads is not None else ("purpose", "cluster", "cpu", "ram", "affinity_group")
        seen = [getattr(request, name) for name in sorted(names)]
        return crc32(repr((what, self._salt, seen, host.uuid, host.used_ram, host.groups)).encode()) / 2**32


def whims(random):
    """A list of plugins, some of which make promises."""
    kinds = [
        Whim,
        lambda salt: Whim(salt, reads=frozenset({"cpu", "ram"})),
        lambda salt: Whim(salt, reads=frozenset({"cluster"})),
        lambda salt: Whim(salt, reads=frozenset({"affinity_group"}), scores=False, refuses=0.5),
        lambda salt: Whim(salt, reads=frozenset({"affinity_group", "cpu"})),
        lambda salt: Whim(salt, reads=frozenset(), scores=False),
    ]
    return [(f"plugin-{salt}", random.choice(kinds)(salt)) for salt in range(random.randrange(5))]


def random_case(seed, hosts, vms):
    """Plugins, requests and rooms."""
    random = Random(seed)
    rooms = [
        room(f"h{index}", cluster=random.choice(("c1", "c2", "c3")), zone=random.choice(("z1", "z1", "z1", "z2")))
        for index in range(hosts)
    ]
    some_host = lambda odds: f"u-h{random.randrange(9)}" if random.random() < odds else ""  # noqa: E731
    requests = [
        vm(
            f"vm{index}",
            cluster=random.choice(("", "c1", "c2")),
            zone=random.choice(("z1", "z1", "z1", "z2")),
            ram=random.choice((100, 200)),
            cpu=random.choice((100, 200)),
            affinity_group=random.choice(("", "g1", "g2")),
            local_host=some_host(0.1),
            pinned=some_host(0.1),
            pool_cluster=random.choice(("", "", "", "c1", "c2")),
            excluded={some_host(1.0): "failed there"} if random.random() < 0.3 else {},
        )
        for index in range(vms)
    ]
    return whims(random), requests, rooms


def slow_plan(plugins, requests, rooms):
    """Vm uuid → (host uuid or None, hosts refused at that point): every host is asked about each VM anew."""
    rooms = [replace(one, groups=dict(one.groups)) for one in rooms]
    return {request.vm_uuid: _slow_choice(plugins, request, rooms) for request in requests}


def _slow_choice(plugins, request, rooms):
    bare = replace(request, vm_uuid="", excluded={})
    within = [host for host in rooms if not out_of_reach(request, host)]
    own = [host for host in within if request.cluster and host.cluster == request.cluster]
    others = [host for host in within if host not in own]
    if request.pinned or request.local_host or request.pool_cluster:
        own, others = within, []
    refused = {host.uuid for host in rooms if host not in within or host.uuid in request.excluded}
    for hosts in (own, others):
        standing = []
        for host in hosts:
            if host.uuid in request.excluded or any(plugin.refuse(bare, [host]) for _, plugin in plugins):
                refused.add(host.uuid)
            else:
                merit = [-plugin.score(bare, [host]).get(host.uuid, 0.0) for _, plugin in plugins]
                standing.append((merit, host.name, host.uuid, host))
        if standing:
            chosen = min(standing)[-1]
            chosen.used_cpu += request.cpu
            chosen.used_ram += request.ram
            if request.affinity_group:
                chosen.groups[request.affinity_group] = chosen.groups.get(request.affinity_group, 0) + 1
            return chosen.uuid, refused
    return None, refused
