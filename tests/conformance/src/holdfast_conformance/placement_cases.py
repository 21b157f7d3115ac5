"""Cases for placement plugins: requests and hosts such as a planner may show them, the odd ones included.

Drawn from a seed, not by Hypothesis: an example takes microseconds, so that a suite of ten tests takes a second.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random

from holdfast.hooks.placement import HostRoom, Purpose, Request

ZONES = ("zone-1", "zone-1", "zone-2")
CLUSTERS = ("cluster-1", "cluster-2", "cluster-3")
TAGS = ("ssd", "gpu", "ha_host")
GROUPS = ("group-1", "group-2")
HYPERVISORS = ("KVM", "KVM", "Simulator")
PURPOSES: tuple[Purpose, ...] = ("deploy", "ha", "migrate")
MOST_HOSTS = 6
EXAMPLES = 300


@dataclass(frozen=True, slots=True)
class Case:
    """One question: a request and the hosts; and another request, to compare with."""

    request: Request
    hosts: list[HostRoom]
    other: Request


def cases() -> Iterator[Case]:
    """The same cases in each run, those with few hosts first: the first that fails is about as small as any."""
    for number in range(EXAMPLES):
        random = Random(number)  # examples, not secrets
        hosts = [_host(random, f"host-{index}") for index in range(number * (MOST_HOSTS + 1) // EXAMPLES)]
        yield Case(_request(random), hosts, _request(random))


def _request(random: Random) -> Request:
    """A request of any kind, also an impossible one."""
    return Request(
        vm_uuid=f"vm-{random.randrange(100)}",
        purpose=random.choice(PURPOSES),
        zone=random.choice(ZONES),
        cluster=random.choice(("", *CLUSTERS)),
        cpu=random.choice((0, random.randrange(5_000))),
        ram=random.choice((0, random.randrange(5_000))),
        host_tags=_tags(random),
        affinity_group=random.choice(("", *GROUPS)),
        local_host=_rarely_a_host(random),
        pinned=_rarely_a_host(random),
        pool_cluster=random.choice(("", "", *CLUSTERS)),
        hypervisor=random.choice(("", *HYPERVISORS)),
        excluded={f"host-{random.randrange(MOST_HOSTS)}": random.choice(("it failed to start there", ""))},
    )


def _host(random: Random, uuid: str) -> HostRoom:
    """One host: up or not, empty, full, overfull, or one that has reported no room at all."""
    return HostRoom(
        uuid=uuid,
        name=f"name-of-{uuid}",
        zone=random.choice(ZONES),
        pod="pod-1",
        cluster=random.choice(CLUSTERS),
        hypervisor=random.choice(HYPERVISORS),
        up=random.random() < 0.8,
        enabled=random.random() < 0.8,
        why_not=random.choice(("", "the host is in maintenance")),
        total_cpu=random.choice((0, 1_000, 10_000)),
        total_ram=random.choice((0, 1_000, 10_000)),
        used_cpu=random.choice((0, random.randrange(12_000))),
        used_ram=random.choice((0, random.randrange(12_000))),
        vm_count=random.randrange(20),
        tags=_tags(random),
        groups={group: random.randrange(3) for group in GROUPS if random.random() < 0.5},
    )


def _rarely_a_host(random: Random) -> str:
    return random.choice(("", "", "", f"host-{random.randrange(MOST_HOSTS)}"))


def _tags(random: Random) -> frozenset[str]:
    return frozenset(random.sample(TAGS, random.randrange(3)))
