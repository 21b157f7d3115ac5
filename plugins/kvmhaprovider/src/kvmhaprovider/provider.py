"""HA provider `kvmhaprovider`."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from holdfast.hooks.markers import hookimpl
from holdfast.hooks.provider import ActionOutcome, Eligibility, Probes, Surroundings
from holdfast.model import MAINTENANCE_STATES, Evidence, Opinion, PowerAction, ResourceState
from holdfast.model.views import HostView


class KvmHaProvider:
    """KVM hosts: heard over the management link, seen writing on storage by neighbours, fenced through their BMC.

    It looks and acts, and decides nothing: what its evidence adds up to is the engine's one rule for all hosts.
    """

    hypervisor = "KVM"
    display_name = "KVMHAProvider"
    defaults: Mapping[str, str] = {}

    def __init__(self, settings: Mapping[str, Any] | None = None) -> None:
        """There is nothing to set: its timing are the settings `kvm.ha.*`."""

    @hookimpl
    def eligibility(self, host: HostView, surroundings: Surroundings) -> Eligibility:
        """A host that can be fenced, with somebody to bear witness and to take its VMs.

        Without a storage heartbeat HA works only for hosts whose BMC reads off: the answer then says so.
        """
        if host.resource_state in MAINTENANCE_STATES:
            return Eligibility(False, f"the host is in {host.resource_state}: cancel its maintenance")
        if host.resource_state in (ResourceState.DISABLED, ResourceState.DEGRADED):
            return Eligibility(False, f"the host is {host.resource_state}: enable it to have it watched again")
        if not surroundings.oobm_enabled:
            reason = surroundings.oobm_reason or "out-of-band management is not enabled on it"
            return Eligibility(False, f"the host cannot be fenced: {reason}")
        if surroundings.up_neighbours < 1:
            return Eligibility(False, "no other host of its cluster is Up: nobody could bear witness or take its VMs")
        if surroundings.heartbeat_pools < 1:
            return Eligibility(
                True,
                "no storage pool of its cluster has a heartbeat: a host that hangs with its power on is not told from "
                "one that is cut off, and not fenced",
            )
        return Eligibility(True)

    @hookimpl
    def check_health(self, host: HostView, probes: Probes) -> tuple[Evidence, ...]:
        """The link; where that is silent also the chassis power and, unless it is off, the agent.

        That a chassis has power says nothing of the host's health, so that reading counts only if it says off.
        """
        link = probes.link()
        if link.opinion is Opinion.ALIVE:
            return (link,)
        power = probes.power()
        if power.opinion is Opinion.DEAD:
            return (link, power)
        return (link, replace(power, opinion=Opinion.UNKNOWN), probes.agent())

    @hookimpl
    def check_activity(self, host: HostView, probes: Probes) -> tuple[Evidence, ...]:
        """Each storage heartbeat, as a healthy neighbour sees it: no pool speaks for another. And the disks.

        An agent that hangs is silent on every path while its VMs live. Their disks then show it.
        """
        return (*probes.heartbeats(), *probes.disks())

    @hookimpl
    def polls_health(self, host: HostView) -> bool:
        """Beats tell."""
        return False

    @hookimpl
    def recover(self, host: HostView, probes: Probes) -> ActionOutcome:
        """A reset; a host that is off is switched on, for a reset would leave it off."""
        if probes.power().opinion is Opinion.DEAD:
            return probes.switch_power(PowerAction.ON)
        return probes.switch_power(PowerAction.RESET)

    @hookimpl
    def fence(self, host: HostView, probes: Probes) -> ActionOutcome:
        """A hard power off. That it was accepted proves nothing; the read-backs do."""
        return probes.switch_power(PowerAction.OFF)

    @hookimpl
    def read_back(self, host: HostView, probes: Probes) -> Evidence:
        """The chassis power, now."""
        return probes.power()
