"""HA provider `simulatorhaprovider`: honest by default, scripted where an admin gave it answers."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from holdfast.hooks.markers import hookimpl
from holdfast.hooks.provider import ActionOutcome, Eligibility, HaProvider, Probes, Surroundings
from holdfast.model import MAINTENANCE_STATES, Evidence, Kind, Opinion, PowerAction
from holdfast.model.views import HostView

_SCRIPT = "simulator.ha."
_SCRIPTS = frozenset(f"{_SCRIPT}{name}" for name in ("health", "activity", "recover", "fence"))
_SOURCE = "scripted simulator state"

SCRIPTED_DEFAULTS: Mapping[str, str] = {
    "kvm.ha.health.check.timeout": "5",
    "kvm.ha.activity.check.timeout": "5",
    "kvm.ha.activity.check.interval": "1",
    "kvm.ha.activity.check.max.attempts": "3",
    "kvm.ha.activity.check.failure.ratio": "0.99",
    "kvm.ha.activity.check.success.threshold": "3",
    "kvm.ha.degraded.max.period": "1",
    "kvm.ha.recover.timeout": "5",
    "kvm.ha.recover.wait.period": "1",
    "kvm.ha.recover.failure.threshold": "2",
    "kvm.ha.fence.timeout": "5",
    "kvm.ha.power.check.timeout": "1",
}


class SimulatorHAProvider(HaProvider):
    """Watches simulated hosts through the manager's probes.

    A host whose details hold `simulator.ha.health` (or `activity`, `recover`, `fence`; "true" or "false") is scripted:
    it gets those answers, and is eligible without OOBM.
    """

    hypervisor = "Simulator"
    display_name = "SimulatorHAProvider"
    defaults: Mapping[str, str] = {}

    def __init__(self, settings: Mapping[str, Any] | None = None) -> None:
        self._settings = dict(settings or {})

    @hookimpl
    def defaults_for(self, host: HostView) -> Mapping[str, str]:
        """Upstream's provider constants while the host is scripted; else nothing of its own."""
        return SCRIPTED_DEFAULTS if _is_scripted(host) else self.defaults

    @hookimpl
    def polls_health(self, host: HostView) -> bool:
        """A script is asked at every poll: beats know nothing of it."""
        return _is_scripted(host)

    @hookimpl
    def eligibility(self, host: HostView, surroundings: Surroundings) -> Eligibility:
        """OOBM and one other Up host in the cluster; no maintenance; a scripted host needs the last alone."""
        if host.resource_state in MAINTENANCE_STATES:
            return Eligibility(False, f"the host is in {host.resource_state}: cancel its maintenance")
        if _is_scripted(host):
            return Eligibility(True)
        if not surroundings.oobm_enabled:
            reason = surroundings.oobm_reason or "out-of-band management is not enabled on it"
            return Eligibility(False, f"the host cannot be fenced: {reason}")
        if surroundings.up_neighbours < 1:
            return Eligibility(False, "no other host of its cluster is Up: nobody could bear witness or take its VMs")
        return Eligibility(True)

    @hookimpl
    def check_health(self, host: HostView, probes: Probes) -> tuple[Evidence, ...]:
        """The link; if it is silent also the power, and the agent unless the chassis is off.

        A chassis that is on says nothing of the host's health, so that reading only counts if it says off.
        """
        link = probes.link()
        if _is_scripted(host):
            opinion = Opinion.ALIVE if _answer(host, "health") else Opinion.DEAD
            return tuple(_scripted(kind, host, opinion, link.at) for kind in (Kind.LINK, Kind.AGENT))
        if link.opinion is Opinion.ALIVE:
            return (link,)
        power = probes.power()
        if power.opinion is Opinion.DEAD:
            return (link, power)
        return (link, replace(power, opinion=Opinion.UNKNOWN), probes.agent())

    @hookimpl
    def check_activity(self, host: HostView, probes: Probes) -> tuple[Evidence, ...]:
        """The storage heartbeats and the VMs' disks, as a neighbour sees them."""
        if not _is_scripted(host):
            return (*probes.heartbeats(), *probes.disks())
        opinion = Opinion.ALIVE if _answer(host, "activity") else Opinion.DEAD
        return (_scripted(Kind.ACTIVITY, host, opinion, probes.link().at),)

    @hookimpl
    def recover(self, host: HostView, probes: Probes) -> ActionOutcome:
        """A reset."""
        if _is_scripted(host):
            return _outcome(_answer(host, "recover"))
        return probes.switch_power(PowerAction.RESET)

    @hookimpl
    def fence(self, host: HostView, probes: Probes) -> ActionOutcome:
        """A hard power off."""
        if _is_scripted(host):
            return _outcome(_answer(host, "fence"))
        return probes.switch_power(PowerAction.OFF)

    @hookimpl
    def read_back(self, host: HostView, probes: Probes) -> Evidence:
        """The chassis power, now."""
        if not _is_scripted(host):
            return probes.power()
        opinion = Opinion.DEAD if _answer(host, "fence") else Opinion.ALIVE
        return _scripted(Kind.POWER, host, opinion, probes.link().at)


def _is_scripted(host: HostView) -> bool:
    return not _SCRIPTS.isdisjoint(host.details)


def _answer(host: HostView, name: str) -> bool:
    return host.details.get(f"{_SCRIPT}{name}", "false").strip().lower() == "true"


def _outcome(accepted: bool) -> ActionOutcome:
    return ActionOutcome(accepted, f"{_SOURCE}: {'accepted' if accepted else 'refused'}")


def _scripted(kind: Kind, host: HostView, opinion: Opinion, at: float) -> Evidence:
    return Evidence(kind, host.uuid, opinion, _SOURCE, at, f"{_SOURCE} says {opinion.value}")
