"""HA provider: how one kind of host is judged and fenced."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from holdfast.hooks.markers import hookspec, optional
from holdfast.model.evidence import Evidence
from holdfast.model.states import PowerAction
from holdfast.model.views import HostView


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a provider may know to judge eligibility: switches and neighbours. Pure data, no I/O."""

    oobm_enabled: bool = False
    oobm_reason: str = ""
    up_neighbours: int = 0
    heartbeat_pools: int = 0


@dataclass(frozen=True, slots=True)
class Eligibility:
    """Whether host HA can work for this host now; `reason` says in words what is missing."""

    eligible: bool
    reason: str = ""


@dataclass(frozen=True, slots=True)
class ActionOutcome:
    """What came of an attempt. `accepted` proves nothing (S3); `evidence` may."""

    accepted: bool
    detail: str = ""
    evidence: tuple[Evidence, ...] = field(default=())


class Probes(Protocol):
    """What the manager lends a provider: every way to look at, and to switch, one host. All block within a deadline.

    None of them raises: trouble comes back as `unknown` evidence or as an outcome that was not accepted.
    """

    def link(self) -> Evidence:
        """Whether the host's agent has been heard lately."""

    def agent(self) -> Evidence:
        """Ask the host's own agent, now."""

    def power(self) -> Evidence:
        """Read the chassis power from every fence device: DEAD only if all that must be off read off."""

    def heartbeats(self) -> tuple[Evidence, ...]:
        """One piece per applicable pool, as seen by a healthy neighbour; empty if no pool takes part."""

    def disks(self) -> tuple[Evidence, ...]:
        """Whether disks of the host's VMs change, as a healthy neighbour sees. Never DEAD: idle guests do not write.

        One piece per applicable pool on which one changed lately (ALIVE), or of which nobody could say (unknown); none
        for a pool where all stand still, or whose storage cannot tell.
        """

    def switch_power(self, action: PowerAction) -> ActionOutcome:
        """Send a power action to the fence devices."""


class HaProvider:
    """Judges hosts of one hypervisor. Group `holdfast.provider`; chosen per host (`configureHAForHost`).

    `hypervisor` is the type it is made for, `display_name` the class-style name of `listHostHAProviders`.
    A provider observes and acts; it never decides. The engine decides, from the evidence, by one rule for all.
    """

    hypervisor = "Unknown"
    display_name = "HAProvider"
    defaults: Mapping[str, str] = {}
    """Values of `kvm.ha.*` settings for hosts of this provider where no admin set one."""

    @hookspec
    def eligibility(self, host: HostView, surroundings: Surroundings) -> Eligibility:
        """Whether HA can work for this host. Pure and quick: called on the event loop, at any poll.

        It is not asked again before something of the tables, of the host's record or of its neighbours has changed.
        """
        raise NotImplementedError

    @hookspec
    def check_health(self, host: HostView, probes: Probes) -> tuple[Evidence, ...]:
        """Look at the host once. ALIVE from any piece passes; DEAD from the link and none ALIVE fails; else unknown."""
        raise NotImplementedError

    @hookspec
    def check_activity(self, host: HostView, probes: Probes) -> tuple[Evidence, ...]:
        """Look once for signs that the host's VMs still write: one piece per pool. No pool, no piece: unknown."""
        raise NotImplementedError

    @hookspec
    def recover(self, host: HostView, probes: Probes) -> ActionOutcome:
        """Try to bring the host back (a reset). Only called when recover-first is configured."""
        raise NotImplementedError

    @hookspec
    def fence(self, host: HostView, probes: Probes) -> ActionOutcome:
        """Try to make certain that the host cannot write (a hard power off). Idempotent."""
        raise NotImplementedError

    @hookspec
    def read_back(self, host: HostView, probes: Probes) -> Evidence:
        """One fresh look at whether the fence took: `chassis-power` DEAD for plain off, ALIVE for on, else unknown."""
        raise NotImplementedError

    @optional
    def polls_health(self, host: HostView) -> bool:
        """Optional. True if `check_health` must be asked at every poll because beats alone do not tell. Quick, pure."""
        return False

    @optional
    def defaults_for(self, host: HostView) -> Mapping[str, str]:
        """Optional. `defaults` as they are for this host, where they differ from host to host. Quick, pure."""
        return self.defaults
