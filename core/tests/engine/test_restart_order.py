"""Restarts go by system VMs, priority, dependencies, size; never by chance."""

from itertools import pairwise

from holdfast.engine.planner import RestartItem, restart_order
from hypothesis import given, settings
from hypothesis import strategies as st

NAMES = [f"vm{number}" for number in range(7)]

items = st.lists(
    st.builds(
        RestartItem,
        vm_uuid=st.sampled_from(NAMES),
        system=st.booleans(),
        priority=st.integers(-1, 2),
        depends_on=st.lists(st.sampled_from([*NAMES, "elsewhere"]), max_size=2).map(tuple),
        cpu=st.integers(0, 2),
        ram=st.integers(0, 2),
    ),
    max_size=7,
    unique_by=lambda item: item.vm_uuid,
)


def order(*given_items):
    """The uuids in order; there must be no warning."""
    result = restart_order(given_items)
    assert result.warnings == ()
    return list(result.vm_uuids)


def test_system_vms_come_first_then_priority_then_size():
    """The listed order of the rules is the order of their weight."""
    assert order(
        RestartItem("small", ram=1),
        RestartItem("large", ram=9),
        RestartItem("wide", ram=1, cpu=9),
        RestartItem("urgent", priority=5),
        RestartItem("router", system=True, priority=-5),
    ) == ["router", "urgent", "large", "wide", "small"]


def test_a_vm_waits_for_what_it_depends_on():
    """Though it is the larger one."""
    assert order(RestartItem("web", ram=9, depends_on=("database",)), RestartItem("database", ram=1)) == [
        "database",
        "web",
    ]


def test_what_an_urgent_vm_depends_on_is_as_urgent():
    """The whole chain goes before VMs of a lower priority."""
    assert order(
        RestartItem("other", priority=3),
        RestartItem("disk"),
        RestartItem("database", depends_on=("disk",)),
        RestartItem("web", priority=5, depends_on=("database",)),
    ) == ["disk", "database", "web", "other"]


def test_dependencies_on_vms_that_are_not_restarted_do_not_count():
    """They run already, or are none of this order's business."""
    assert order(RestartItem("web", depends_on=("elsewhere",))) == ["web"]


def test_a_circle_is_broken_and_reported_with_its_members():
    """All VMs start all the same, and what hangs on the circle still waits for it."""
    result = restart_order(
        [
            RestartItem("a", depends_on=("b",)),
            RestartItem("b", ram=5, depends_on=("c",)),
            RestartItem("c", depends_on=("a",)),
            RestartItem("tail", ram=9, depends_on=("a",)),
        ]
    )
    assert result.vm_uuids == ("b", "a", "tail", "c")
    [warning] = result.warnings
    assert warning.startswith("dependencies run in a circle: ")
    assert all(name in warning for name in ("a", "b", "c"))
    assert "tail" not in warning
    assert "VM b starts first" in warning


def test_a_vm_that_depends_on_itself_is_reported():
    """And starts."""
    result = restart_order([RestartItem("a", depends_on=("a",))])
    assert result == (("a",), ("VM a depends on itself; ignored",))


@settings(max_examples=300, deadline=None)
@given(items, st.randoms(use_true_random=False))
def test_every_vm_is_in_the_order_once_whatever_order_they_came_in(some, random):
    """Nothing is lost in circles, and chance plays no part."""
    result = restart_order(some)
    assert sorted(result.vm_uuids) == sorted(item.vm_uuid for item in some)
    assert restart_order(random.sample(some, len(some))) == result


@settings(max_examples=300, deadline=None)
@given(items)
def test_without_circles_dependencies_and_ranks_hold(some):
    """Dependencies start earlier; a VM of a lower rank starts earlier only where a higher one needs it."""
    result = restart_order(some)
    if result.warnings:
        return
    place = {uuid: index for index, uuid in enumerate(result.vm_uuids)}
    by_uuid = {item.vm_uuid: item for item in some}
    for item in some:
        assert all(place[other] < place[item.vm_uuid] for other in item.depends_on if other in place)
    for earlier, later in pairwise(result.vm_uuids):
        if (by_uuid[earlier].system, by_uuid[earlier].priority) < (by_uuid[later].system, by_uuid[later].priority):
            assert any(earlier in _needs(by_uuid, uuid) for uuid in result.vm_uuids[place[later] :])


def _needs(by_uuid, uuid):
    found, pending = set(), [uuid]
    while pending:
        for other in by_uuid[pending.pop()].depends_on:
            if other in by_uuid and other not in found:
                found.add(other)
                pending.append(other)
    return found
