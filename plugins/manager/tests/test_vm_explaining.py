"""What a VM waits for now, said by the server that answers."""

from collections.abc import Callable
from typing import Any

from holdfast.model import HAState, VmState, WorkStep
from holdfast_simulator.world.physics import Physics
from manager_bed import Bed, BmcMode


def _explain(bed: Bed, vm: str, server: str = "") -> dict[str, Any]:
    """As the API asks: in a thread of its own."""
    name = server or next(iter(bed.managers))
    pool = bed.lives[name].runtime.pool("api", 1)
    task = bed.loop.spawn(bed.lives[name].process, pool.call(5.0, bed.managers[name].explain_vm, vm))
    bed.run_until(task.done, 6.0, step=0.01)
    found: dict[str, Any] = task.result()
    return found


def test_a_vm_that_runs_waits_for_nothing(make_bed: Callable[..., Bed]) -> None:
    """Its permit is told, with its host; there is no restart."""
    bed = make_bed(servers=1)
    bed.add_vm("vm1", 1)
    told = _explain(bed, "vm1")
    assert told["waitingfor"] == []
    assert [(one["runepoch"], one["state"], one["hostname"]) for one in told["permits"]] == [(1, "running", "h1")]
    assert "restart" not in told
    assert _explain(bed, "nobody") == {}


def test_a_vm_on_a_host_in_doubt_waits_for_its_proof(make_bed: Callable[..., Bed]) -> None:
    """The host by name, its state, and what the host itself waits for; also from a server that does not watch it."""
    bed = make_bed(physics=Physics(watchdog_armed=False))
    bed.add_vm("vm1", 1)
    bed.machine("h1").bmc().set_mode(BmcMode.DEAD)
    bed.machine("h1").hang()
    bed.run_until(lambda: bed.state(1) == HAState.FENCING, 20)
    bed.run(3)
    owner = bed.owner("h1")
    said = "\n".join(_explain(bed, "vm1", owner)["waitingfor"])
    assert "host h1, which is Fencing, to answer or to be proven dead: run 1 is there" in said
    assert "declareHostDead" in said
    elsewhere = "\n".join(_explain(bed, "vm1", bed.other(owner))["waitingfor"])
    assert f"explainHostHA says more at server {owner}" in elsewhere


def test_vms_that_find_no_host_have_a_place_in_the_order(make_bed: Callable[..., Bed]) -> None:
    """Priority first; with the wait until the next look and why no host took it."""
    bed = make_bed(servers=1)
    for number in range(1, 4):
        bed.add_vm(f"vm{number}", 1, ram=10_000_000, ha_priority=number)
    bed.machine("h1").power_off("power loss")
    bed.run_until(lambda: len(bed.alerts("ALERT.HA.RESTART.WAITING")) == 3, 20)
    places = {}
    for number in range(1, 4):
        told = _explain(bed, f"vm{number}")
        restart = told["restart"]
        places[f"vm{number}"] = (restart["place"], restart["of"])
        assert (restart["step"], restart["failedstarts"], restart["mostfailedstarts"]) == ("Scheduled", 0, 5)
        assert restart["waits"] >= 1
        assert restart["planner"] == "ms1"
        assert told["permits"] == []
        (said,) = told["waitingfor"]
        assert "the next look for a host, in" in said
        assert "memory" in said
    assert places == {"vm3": (1, 3), "vm2": (2, 3), "vm1": (3, 3)}


def test_a_vm_waits_for_its_turn_or_for_its_start(make_bed: Callable[..., Bed]) -> None:
    """With one start at once per host, one VM starts and the others wait for their turn; each says so."""
    bed = make_bed(hosts=2, servers=1, settings={"ha.starts.per.host": "1"}, physics=Physics(vm_start=3.0))
    bed.add_vms(3)
    bed.machine("h1").power_off("power loss")
    bed.run_until(lambda: len(bed.works(step=WorkStep.RESTARTING)) == 3, 20)
    bed.run(0.5)
    said = sorted(_explain(bed, f"vm{number}")["waitingfor"][0] for number in range(1, 4))
    assert said[0].startswith("its start on host h2 to be confirmed, by server ms1")
    assert said[1:] == ["its turn on host h2, which starts 1 VMs at once (ha.starts.per.host)"] * 2
    bed.run_until(lambda: bed.runs_elsewhere(1), 30)
    assert _explain(bed, "vm1")["waitingfor"] == []


def test_a_start_that_nobody_confirmed_waits_for_its_host(make_bed: Callable[..., Bed]) -> None:
    """Its fate is being found out: it starts nowhere else before that."""
    bed = make_bed(servers=1, settings={"ha.vm.start.timeout": "2"})
    bed.add_vm("vm1", 1)
    bed.machine("h1").power_off("power loss")
    bed.run_until(lambda: len(bed.starts("vm1")) == 1, 20, step=0.01)
    target = bed.starts("vm1")[0].host
    bed.cut("agent", "ms1", target)
    bed.run_until(lambda: bed.works(step=WorkStep.REVOKING) != [], 20)
    told = _explain(bed, "vm1")
    assert told["waitingfor"][0].startswith(f"host {target} to say whether a run of it lives there")
    assert told["restart"]["starter"] == "ms1"
    assert bed.vm(1).state == VmState.STARTING
