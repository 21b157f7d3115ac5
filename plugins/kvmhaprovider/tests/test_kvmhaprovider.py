"""What `kvmhaprovider` says and does beyond the published kit."""

import pytest
from holdfast.hooks.provider import Surroundings
from holdfast.model import Kind, Opinion, PowerAction
from holdfast.model.states import ResourceState
from holdfast.model.views import HostView
from holdfast_conformance.provider import ProviderConformance
from holdfast_conformance.scripted_probes import ScriptedProbes
from kvmhaprovider.provider import KvmHaProvider

HOST = HostView("h", "ablecube31", "KVM", "z", "p", "c")
SOUND = Surroundings(oobm_enabled=True, up_neighbours=1, heartbeat_pools=1)


class TestKit(ProviderConformance):
    """The kit that every provider passes."""

    @pytest.fixture
    def driver(self) -> KvmHaProvider:
        return KvmHaProvider({})


def test_a_host_without_heartbeats_is_eligible_and_told_what_it_lacks() -> None:
    """Its power can still be read: an incomplete watch is better than none, and is said to be incomplete."""
    around = Surroundings(oobm_enabled=True, up_neighbours=1)
    answer = KvmHaProvider().eligibility(HOST, around)
    assert answer.eligible
    assert "no storage pool" in answer.reason
    assert KvmHaProvider().eligibility(HOST, SOUND).reason == ""


def test_a_disabled_host_is_not_watched() -> None:
    """Nobody expects VMs on it."""
    host = HostView("h", "h", "KVM", "z", "p", "c", resource_state=ResourceState.DISABLED)
    assert not KvmHaProvider().eligibility(host, SOUND).eligible


def test_a_host_that_is_off_is_switched_on_to_recover_it() -> None:
    """A reset of a chassis that is off is accepted by many BMCs, and leaves it off."""
    for power, action in ((Opinion.DEAD, PowerAction.ON), (Opinion.ALIVE, PowerAction.RESET)):
        probes = ScriptedProbes("h", power=power)
        assert KvmHaProvider().recover(HOST, probes).accepted
        assert probes.actions == [action]


def test_power_is_no_sign_of_health() -> None:
    """A silent host whose chassis is on stays unknown until its agent or its storage speaks."""
    probes = ScriptedProbes("h", link=Opinion.DEAD, power=Opinion.ALIVE)
    seen = {piece.kind: piece.opinion for piece in KvmHaProvider().check_health(HOST, probes)}
    assert seen == {Kind.LINK: Opinion.DEAD, Kind.POWER: Opinion.UNKNOWN, Kind.AGENT: Opinion.UNKNOWN}


def test_disks_that_change_speak_beside_heartbeats_that_stand_still() -> None:
    """An agent that hangs stops its heartbeats, and not its host's VMs."""
    probes = ScriptedProbes("h", pools=(Opinion.DEAD,), disks=(Opinion.ALIVE,))
    seen = [(piece.kind, piece.opinion) for piece in KvmHaProvider().check_activity(HOST, probes)]
    assert seen == [(Kind.HEARTBEAT, Opinion.DEAD), (Kind.ACTIVITY, Opinion.ALIVE)]
