"""Orders of users and faults at random, by seed: whatever comes together, no VM runs twice and nothing stays open."""

import random
from collections.abc import Callable

import pytest
from holdfast.hooks.store import Query
from holdfast.model import AsyncJob, VmState, WorkStep
from manager_bed import Bed

_COMMANDS = ("migrateVirtualMachine", "stopVirtualMachine", "startVirtualMachine", "prepareHostForMaintenance")
_FAULTS = ("none", "server crash", "power loss", "hang", "database cut", "agent cut")


def _order(bed: Bed, chance: random.Random, vms: list[int]) -> None:
    command, vm = chance.choice(_COMMANDS), bed.vm(chance.choice(vms))
    if command == "prepareHostForMaintenance":
        host = chance.randint(1, 4)
        bed.job(command, host, id=host)
    else:
        key = "virtualmachineid" if command.startswith("migrate") else "id"
        bed.job(command, vm.host_id, **{key: vm.id})


def _strike(bed: Bed, chance: random.Random) -> None:
    fault, host = chance.choice(_FAULTS), f"h{chance.randint(1, 4)}"
    server = chance.choice(sorted(bed.lives))
    if fault == "server crash":
        bed.crash_at(server, chance.randint(1, 200), chance.choice([0.5, 2.0, 7.0]))
    elif fault == "power loss":
        bed.machine(host).power_off("power loss")
    elif fault == "hang":
        bed.machine(host).hang()
    elif fault == "database cut":
        bed.cut("database", server, "database")
        bed.run(chance.random() * 6)
        bed.mend("database", server, "database")
    elif fault == "agent cut":
        for name in ("ms1", "ms2"):
            bed.cut("agent", name, host)
        bed.run(chance.random() * 8)
        for name in ("ms1", "ms2"):
            bed.mend("agent", name, host)


@pytest.mark.parametrize("seed", range(8))
def test_orders_and_faults_at_random_leave_nothing_open(make_bed: Callable[..., Bed], seed: int) -> None:
    """After everything is mended: each VM Running once or Stopped, every job ended, no start or revocation pending."""
    chance = random.Random(seed)
    bed = make_bed(hosts=4, seed=str(seed), settings={"ha.vm.start.timeout": "5"})
    vms = [bed.add_vm(f"vm{number}", chance.randint(1, 4)) for number in range(5)]
    for _ in range(4):
        _order(bed, chance, vms)
        bed.run(chance.random() * 2.5)
        _strike(bed, chance)
        bed.run(chance.random() * 3)
    bed.run(40)
    for number in range(1, 5):
        bed.machine(f"h{number}").unhang()
        bed.machine(f"h{number}").power_on("everything is mended")
    bed.run(120)
    bed.check_once()
    assert {vm.state for vm in bed.vms()} <= {VmState.RUNNING, VmState.STOPPED}, bed.show()
    assert bed.store.select(AsyncJob, Query(equal={"job_status": 0})) == []
    assert [work for work in bed.works() if work.step in (WorkStep.RESTARTING, WorkStep.REVOKING)] == []
