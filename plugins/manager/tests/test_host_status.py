"""What the row of a host says of its agent: Up is said only of a host that answers."""

from collections.abc import Callable

from holdfast.model import HAState, HostStatus
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
