"""What the row of a host says of its agent: Up is said only of a host that answers."""

from collections.abc import Callable

from holdfast.hooks.store import Query
from holdfast.model import HAState, HaTransition, HostStatus
from holdfast_simulator.world.bmc import BmcMode
from manager_bed import Bed


def _seen_while(bed: Bed, fact: Callable[[], bool], seconds: float) -> set[str]:
    seen = set()

    def look() -> bool:
        seen.add(bed.host(1).status)
        return fact()

    bed.run_until(look, seconds, step=0.02)
    return seen


def test_a_silent_host_is_not_up_because_its_ha_is_enabled(bed: Bed) -> None:
    """From being watched again to being fenced it is Disconnected, whatever its host-HA state is meanwhile."""
    bed.add_vm("vm1", 1)
    bed.machine("h1").bmc().set_mode(BmcMode.REFUSING)
    bed.outcome(bed.job("disableHAForHost", 1, hostid=1))
    bed.machine("h1").set_watchdog(False)
    bed.machine("h1").hang()
    bed.run_until(lambda: bed.host(1).status == HostStatus.DISCONNECTED, 30)
    bed.outcome(bed.job("enableHAForHost", 1, hostid=1))
    seen = _seen_while(bed, lambda: bed.state(1) == HAState.FENCING, 30)
    seen |= _seen_while(bed, lambda: bed.ha(1).reason.startswith("OFF at"), 30)
    assert seen == {HostStatus.DISCONNECTED}


def test_a_host_that_a_reset_did_not_bring_back_is_not_up(make_bed: Callable[..., Bed]) -> None:
    """It returns to Available to be looked at afresh, and is silent all the same."""
    bed = make_bed(settings={"kvm.ha.recover.failure.threshold": "1", "kvm.ha.recover.wait.period": "10"})
    bed.add_vm("vm1", 1)
    bed.machine("h1").set_watchdog(False)
    bed.machine("h1").kill_agent()
    bed.machine("h1").hang()
    bed.run_until(lambda: bed.state(1) == HAState.RECOVERED, 60)
    bed.machine("h1").hang()
    seen = _seen_while(bed, lambda: bed.state(1) == HAState.FENCED, 60)
    assert HostStatus.UP not in seen
    assert bed.ha(1).ha_state == HAState.FENCED


def test_what_keeps_a_host_where_it_is_is_stored_when_it_changes(bed: Bed) -> None:
    """A fenced host that answers again waits for its maintenance to be cancelled, no more for its agent."""
    bed.add_vm("vm1", 1)
    bed.machine("h1").power_off("power loss")
    bed.run_until(lambda: bed.state(1) == HAState.FENCED, 30)
    assert "its agent to answer" in bed.ha(1).waiting_for
    bed.machine("h1").power_on("repaired")
    bed.run_until(lambda: bed.host(1).status == HostStatus.UP, 60)
    bed.run(2)
    assert "the host answers again: cancel its maintenance" in bed.ha(1).waiting_for


def test_the_reason_of_an_ineligible_host_is_the_present_one(bed: Bed) -> None:
    """What was mended is not held against it any longer."""
    bed.outcome(bed.job("disableOutOfBandManagementForHost", 1, hostid=1))
    bed.run_until(lambda: "disabled for host" in bed.ha(1).reason, 10)
    bed.outcome(bed.job("prepareHostForMaintenance", 1, id=1))
    bed.outcome(bed.job("enableOutOfBandManagementForHost", 1, hostid=1))
    bed.run_until(lambda: "aintenance" in bed.ha(1).reason, 10)
    assert bed.state(1) == HAState.INELIGIBLE


def test_why_a_fence_goes_on_is_known_after_a_crash(bed: Bed) -> None:
    """The row keeps its reason when another process takes the host up, and each further attempt has one."""
    bed.add_vm("vm1", 1)
    bed.machine("h1").bmc().set_mode(BmcMode.REFUSING)
    bed.machine("h1").set_watchdog(False)
    bed.run(3)
    bed.machine("h1").hang()
    bed.run_until(lambda: bed.state(1) == HAState.FENCING, 30)
    before = bed.ha(1).reason
    bed.crash(bed.owner("h1"))
    bed.run_until(lambda: len(_retries(bed)) == 1, 60)
    assert bed.ha(1).reason
    assert _retries(bed)[0].reason == "what came of attempt 1 is not known"
    assert before in [move.reason for move in bed.store.select(HaTransition, Query())]
    bed.run_until(lambda: bool(bed.alerts("ALERT.HA.FENCE.STUCK")), 200)
    assert bed.alerts("ALERT.HA.FENCE.STUCK")[0].subject == "the fence of host h1 does not get through"


def _retries(bed: Bed) -> list[HaTransition]:
    return [move for move in bed.store.select(HaTransition, Query()) if move.event == "RetryFencing"]


def test_a_host_that_comes_back_from_its_fence_is_not_ineligible_because_it_answers(bed: Bed) -> None:
    """Until its provider was asked, that is what it waits for."""
    bed.machine("h1").power_off("power loss")
    bed.run_until(lambda: bed.state(1) == HAState.FENCED, 30)
    bed.run_until(lambda: bed.host(1).status == HostStatus.UP, 90)
    bed.outcome(bed.job("cancelHostMaintenance", 1, id=1))
    bed.run_until(lambda: bed.state(1) == HAState.AVAILABLE, 60)
    [back] = bed.store.select(HaTransition, Query(equal={"state": "Ineligible", "prev_state": "Fenced"}))
    assert "whether HA can work is found out next" in back.reason
