"""What each placement plugin says of one host, and in which words."""

import pytest
from holdfast.hooks.placement import HostRoom, Request
from holdfast_placement.anti_affinity import AntiAffinityFilter
from holdfast_placement.capacity import CapacityFilter
from holdfast_placement.dedicated import DedicatedFilter
from holdfast_placement.scope import ScopeFilter
from holdfast_placement.spread import SpreadScorer

HA = {"ha_tag": "ha_host"}


def host(**facts):
    """One host that takes anything."""
    usual = {
        "uuid": "u1", "name": "h1", "zone": "z1", "pod": "p1", "cluster": "c1", "hypervisor": "KVM", "up": True,
        "enabled": True, "why_not": "", "total_cpu": 10_000, "total_ram": 16_384,
    }  # fmt: skip
    return HostRoom(**{**usual, **facts})


def vm(**facts):
    """One VM that fits anywhere in its zone."""
    usual = {"vm_uuid": "vm", "purpose": "ha", "zone": "z1", "cluster": "c1", "cpu": 1_000, "ram": 4_096}
    return Request(**{**usual, **facts})


def refusal(plugin, request, room):
    """Why the host is refused, or ""."""
    return plugin.refuse(request, [room]).get(room.uuid, "")


@pytest.mark.parametrize(
    ("request_facts", "host_facts", "words"),
    [
        ({}, {"zone": "z2"}, "is in zone z2; the VM stays in its zone z1"),
        ({"hypervisor": "KVM"}, {"hypervisor": "Simulator"}, "runs hypervisor Simulator, and the VM needs KVM"),
        ({}, {"up": False, "why_not": "the host is Down since 12:00"}, "the host is Down since 12:00"),
        ({}, {"up": False}, "the host is not up"),
        ({}, {"enabled": False}, "the host is not enabled"),
        ({"excluded": {"u1": "the start failed there"}}, {}, "the start failed there"),
        ({"excluded": {"u1": ""}}, {}, "the request excludes it"),
        ({"pinned": "u2"}, {}, "the caller insists on host u2"),
        ({"local_host": "u2"}, {}, "the VM has a volume on the local storage of host u2"),
        ({"pool_cluster": "c2"}, {}, "the VM's primary storage serves cluster c2 only"),
        ({"hypervisor": "kvm", "pinned": "u1", "local_host": "u1", "pool_cluster": "c1"}, {}, ""),
        ({}, {"cluster": "c2"}, ""),
    ],
)
def test_scope_refuses_what_is_out_of_reach_or_out_of_service(request_facts, host_facts, words):
    """Zone, hypervisor, state, exclusion, pin, local storage and storage of one cluster."""
    assert refusal(ScopeFilter({}), vm(**request_facts), host(**host_facts)) == words


def test_scope_prefers_the_own_cluster():
    """1 there, nothing elsewhere, no preference without a cluster."""
    hosts = [host(), host(uuid="u2", cluster="c2")]
    assert ScopeFilter({}).score(vm(), hosts) == {"u1": 1.0}
    assert ScopeFilter({}).score(vm(cluster=""), hosts) == {}


@pytest.mark.parametrize(
    ("settings", "request_facts", "tags", "is_refused"),
    [
        ({}, {}, set(), False),
        (HA, {}, {"ha_host"}, False),
        (HA, {}, {"ssd"}, True),
        (HA, {"host_tags": frozenset({"ssd"})}, {"ha_host"}, False),
        (HA, {"host_tags": frozenset({"ssd"})}, {"ssd"}, True),
        ({}, {"host_tags": frozenset({"ssd"})}, {"gpu"}, True),
        ({}, {"host_tags": frozenset({"ssd"})}, {"ssd", "gpu"}, False),
        (HA, {"purpose": "deploy"}, {"ha_host"}, True),
        (HA, {"purpose": "deploy"}, set(), False),
        (HA, {"purpose": "deploy", "host_tags": frozenset({"ha_host"})}, {"ha_host"}, True),
        (HA, {"purpose": "deploy", "pinned": "u1"}, {"ha_host"}, False),
        (HA, {"purpose": "deploy", "pinned": "u2"}, {"ha_host"}, True),
        (HA, {"purpose": "deploy", "host_tags": frozenset({"ssd"})}, {"gpu"}, True),
        (HA, {"purpose": "migrate"}, {"ha_host"}, False),
        (HA, {"purpose": "migrate"}, set(), False),
        ({"ha_tag": " ha_host "}, {}, {"ha_host"}, False),
        ({"ha_tag": None}, {}, set(), False),
    ],
)
def test_dedicated_hosts_take_restarts_alone(settings, request_facts, tags, is_refused):
    """M4.1 and M4.3, and an offering that names the HA tag opens no dedicated host to new VMs."""
    said = refusal(DedicatedFilter(settings), vm(**request_facts), host(tags=frozenset(tags)))
    assert bool(said) is is_refused


def test_a_zone_without_a_dedicated_host_is_told_loudly_what_to_do():
    """M4.2: the refusal says that no VM of the zone is restarted, and the way out."""
    plugin = DedicatedFilter({"ha_tag": "ha_host", "untagged_zones": {"z1"}})
    said = refusal(plugin, vm(), host())
    for part in ("NO usable host of zone z1", '"ha_host"', "ha.tag", "updateHost hosttags=ha_host"):
        assert part in said
    assert "NO usable host" not in refusal(plugin, vm(zone="z2"), host(zone="z2"))


def test_missing_tags_of_the_offering_are_named():
    """All of them, and only those that are missing."""
    said = refusal(DedicatedFilter({}), vm(host_tags=frozenset({"ssd", "gpu", "fast"})), host(tags=frozenset({"gpu"})))
    assert said == "lacks the host tags that the offering asks for: fast, ssd"


@pytest.mark.parametrize(
    ("request_facts", "host_facts", "words"),
    [
        ({}, {"used_ram": 15_360}, "needs 4096 MB of memory, 1024 MB free of 16384 MB"),
        ({}, {"used_cpu": 9_500}, "needs 1000 MHz of CPU, 500 MHz free of 10000 MHz"),
        ({}, {"used_ram": 12_288, "used_cpu": 9_000}, ""),
        ({}, {"used_ram": 20_000}, "needs 4096 MB of memory, 0 MB free of 16384 MB"),
        ({}, {"total_ram": 0}, "needs 4096 MB of memory, and the host has reported none"),
        ({"cpu": 0, "ram": 0}, {"total_ram": 0, "total_cpu": 0, "used_cpu": 5}, ""),
        (
            {},
            {"used_ram": 16_384, "used_cpu": 10_000},
            "needs 4096 MB of memory, 0 MB free of 16384 MB; needs 1000 MHz of CPU, 0 MHz free of 10000 MHz",
        ),
    ],
)
def test_capacity_says_what_is_needed_and_what_is_free(request_facts, host_facts, words):
    """To the last megabyte, and both shortages at once."""
    assert refusal(CapacityFilter({}), vm(**request_facts), host(**host_facts)) == words


def test_anti_affinity_keeps_members_of_a_group_apart():
    """A member there is a refusal; one that left, or another group's, is none."""
    plugin = AntiAffinityFilter({})
    assert refusal(plugin, vm(affinity_group="g"), host(groups={"g": 1})) == (
        "a VM of anti-affinity group g is there already"
    )
    assert refusal(plugin, vm(affinity_group="g"), host(groups={"g": 0, "other": 3})) == ""
    assert refusal(plugin, vm(), host(groups={"g": 1})) == ""


@pytest.mark.parametrize(
    ("facts", "score"),
    [
        ({}, 0.75),
        ({"used_cpu": 5_000}, 0.4),
        ({"used_ram": 99_999}, 0.0),
        ({"total_cpu": 0}, 0.0),
        ({"total_ram": 0}, 0.0),
        ({"used_ram": -99_999, "used_cpu": -99_999}, 1.0),
    ],
)
def test_spread_scores_what_is_left_of_the_scarcer_of_cpu_and_memory(facts, score):
    """After the placement, never outside 0 to 1, whatever a host reports."""
    assert SpreadScorer({}).score(vm(), [host(**facts)]) == {"u1": pytest.approx(score)}
