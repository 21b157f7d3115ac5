"""What the notifiers are told: whoever is woken at night must not have to look for what else went wrong."""

from collections import Counter
from collections.abc import Callable

from holdfast.hooks.notifier import Notice
from holdfast.hooks.store import Query
from holdfast.model import Alert, WorkStep
from manager_bed import Bed


def _listen(bed: Bed) -> list[Notice]:
    told: list[Notice] = []
    bed.managers["ms1"].notices.tell = told.append  # type: ignore[method-assign]
    return told


def test_each_alert_that_is_stored_is_told_once(make_bed: Callable[..., Bed]) -> None:
    """Those about VMs as well as those about hosts, whichever part raised them."""
    bed = make_bed(servers=1)
    told = _listen(bed)
    vm = bed.add_vm("vm1", 1)
    for name in ("h2", "h3"):
        bed.machine(name).start_failure = "no such bridge"
    bed.machine("h1").power_off("power loss")
    bed.run_until(lambda: bed.works(instance_id=vm, step=WorkStep.ERROR) != [], 400, step=1.0)
    bed.run(1)
    stored = Counter((alert.name, alert.subject) for alert in bed.store.select(Alert, Query()))
    assert Counter((one.name, one.subject) for one in told if one.kind == "alert") == stored
    assert {"ALERT.HA.ACTION", "ALERT.HA.RESTART.FAILED"} <= {name for name, _ in stored}
    (failed,) = [one for one in told if one.name == "ALERT.HA.RESTART.FAILED"]
    assert "no such bridge" in failed.text
    assert failed.resource == "vm1"


def test_an_alert_that_is_not_stored_is_not_told(make_bed: Callable[..., Bed]) -> None:
    """The database is away when it is raised; it is told once it is there."""
    bed = make_bed(servers=1)
    told = _listen(bed)
    bed.add_vm("vm1", 1)
    bed.run(3)
    bed.cut("database", "ms1", "database")
    bed.machine("h1").power_off("power loss")
    bed.run(8)
    assert [one for one in told if one.kind == "alert"] == []
    bed.mend("database", "ms1", "database")
    bed.run_until(lambda: any(one.name == "ALERT.HA.ACTION" for one in told), 60)
