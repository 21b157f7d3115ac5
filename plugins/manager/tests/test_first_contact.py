"""What a host costs that connects: each fact is stored once, however often it is noticed."""

from collections import Counter
from collections.abc import Callable

from holdfast.model import HAState
from holdfast.model.states import HostStatus
from holdfast_simulator.world.physics import Physics
from manager_bed import Bed


def test_a_host_that_connects_is_written_up_once(make_bed: Callable[..., Bed]) -> None:
    """By whichever of the three that notice it: the connection, the link that speaks again, and the comparison."""
    bed = make_bed(hosts=4, servers=1, settle=0.0)
    for host_id in bed.host_ids:
        bed.machine(bed.host(host_id).uuid).kill_agent()
        bed.edit(type(bed.host(host_id)), host_id, status=HostStatus.DISCONNECTED, cpus=1)
    bed.run(15)
    for host_id in bed.host_ids:
        bed.machine(bed.host(host_id).uuid).start_agent()
    bed.run(15)
    assert Counter(event.resource_id for event in bed.events("HOST.STATUS")) == {"h1": 1, "h2": 1, "h3": 1, "h4": 1}
    assert {(bed.host(one).status, bed.host(one).cpus) for one in bed.host_ids} == {("Up", 32)}
    assert {bed.state(one) for one in bed.host_ids} == {HAState.AVAILABLE}


def test_a_host_that_connects_is_compared_once(make_bed: Callable[..., Bed]) -> None:
    """One question to its agent, and one look at its permits."""
    bed = make_bed(hosts=4, servers=1, settle=0.0)
    for host_id in bed.host_ids:
        bed.machine(bed.host(host_id).uuid).kill_agent()
    bed.run(15)
    compared: list[str] = []
    comparison = bed.managers["ms1"].comparison
    whole = comparison._compare

    async def counted(actor: object) -> bool:
        compared.append(actor.host.uuid)  # type: ignore[attr-defined]
        return await whole(actor)  # type: ignore[arg-type]

    comparison._compare = counted  # type: ignore[method-assign]
    for host_id in bed.host_ids:
        bed.machine(bed.host(host_id).uuid).start_agent()
    bed.run(10)
    assert Counter(compared) == {"h1": 1, "h2": 1, "h3": 1, "h4": 1}


def test_a_row_that_somebody_changed_is_mended_all_the_same(make_bed: Callable[..., Bed]) -> None:
    """What was stored once is stored again where the tables, read since, say otherwise."""
    bed = make_bed(hosts=3, servers=1, physics=Physics(watchdog_armed=False))
    bed.edit(type(bed.host(1)), 1, status=HostStatus.DISCONNECTED)
    bed.run_until(lambda: bed.host(1).status == HostStatus.UP, 90)
