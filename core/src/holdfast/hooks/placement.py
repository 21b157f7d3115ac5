"""Placement: where a VM may run, and where it runs best."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from holdfast.hooks.markers import hookspec

Purpose = Literal["deploy", "ha", "migrate"]


@dataclass(frozen=True, slots=True)
class Request:
    """What has to be placed. Requests that are equal but for `vm_uuid` are placed alike, and filters rely on it.

    `cpu` is MHz in all, `ram` MB. `zone`, `cluster` are where the VM was (cluster "" = anywhere in the zone).
    `local_host` is set when a volume lives on one host's local storage (S9). `excluded` are host uuids that may not be
    chosen, with why. `pinned` is a host the caller insists on ("" for none).
    """

    vm_uuid: str
    purpose: Purpose
    zone: str
    cluster: str
    cpu: int
    ram: int
    host_tags: frozenset[str] = frozenset()
    affinity_group: str = ""
    local_host: str = ""
    pinned: str = ""
    pool_cluster: str = ""
    hypervisor: str = ""
    excluded: Mapping[str, str] = field(default_factory=dict, hash=False)


@dataclass(slots=True)
class HostRoom:
    """One candidate host, with the room it has left. The planner updates `used_*` and `groups` as it places.

    `total_*` already include overcommit; CPU in MHz, memory in MB. `groups` counts VMs per anti-affinity group.
    """

    uuid: str
    name: str
    zone: str
    pod: str
    cluster: str
    hypervisor: str
    up: bool
    enabled: bool
    why_not: str
    total_cpu: int
    total_ram: int
    used_cpu: int = 0
    used_ram: int = 0
    vm_count: int = 0
    tags: frozenset[str] = frozenset()
    groups: dict[str, int] = field(default_factory=dict)


class Placement:
    """A filter, a scorer, or both. Group `holdfast.placement`; an ordered list: filters, then scorers.

    Pure and quick: no I/O, no state between calls but the settings given at construction. What is said of one host must
    depend on the request and that host alone, never on the other hosts: the planner asks again only for the host
    that changed. It hands over requests without `vm_uuid` and `excluded`, which are its own business.
    """

    reads: frozenset[str] | None = None
    """A promise that saves time: the only fields of `Request` that the answers depend on. None: any of them.

    `cluster` need not be named by one who only tells the VM's own cluster from all others: the planner looks into the
    own cluster first, and asks about the others with cluster "".
    """

    scores: bool = True
    """False promises that `score` always answers empty."""

    @hookspec
    def refuse(self, request: Request, hosts: Sequence[HostRoom]) -> Mapping[str, str]:
        """Host uuid → why this host cannot take the VM, in words, for those that cannot. Others are left out."""
        raise NotImplementedError

    @hookspec
    def score(self, request: Request, hosts: Sequence[HostRoom]) -> Mapping[str, float]:
        """Host uuid → how well it suits, between 0 and 1, more is better. Empty if this plugin has no preference."""
        raise NotImplementedError
