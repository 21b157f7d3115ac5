"""Whole plans made with our own plugins: what must hold of each of them."""

from dataclasses import replace
from random import Random

import pytest
from holdfast.engine.planner import Planner
from holdfast.hooks.placement import HostRoom, Request
from holdfast_placement.anti_affinity import AntiAffinityFilter
from holdfast_placement.capacity import CapacityFilter
from holdfast_placement.dedicated import DedicatedFilter
from holdfast_placement.scope import ScopeFilter
from holdfast_placement.spread import SpreadScorer
from hypothesis import given, settings
from hypothesis import strategies as st

HA_TAG = "ha_host"


class NoLicence:
    """A third party's filter: subclasses nothing, promises nothing."""

    def refuse(self, request, hosts):
        return {host.uuid: "has no licence" for host in hosts if host.name.endswith("3") and request.cpu > 1_000}

    def score(self, request, hosts):
        return {}


def plugins(ha_tag):
    """The default list, and a stranger's filter."""
    return [
        ("scope", ScopeFilter({})),
        ("dedicated", DedicatedFilter({"ha_tag": ha_tag})),
        ("capacity", CapacityFilter({})),
        ("anti-affinity", AntiAffinityFilter({})),
        ("no-licence", NoLicence()),
        ("spread", SpreadScorer({})),
    ]


def cloud(random, count):
    """Hosts of two zones and three clusters, some tagged, some out of service, some full."""
    return [
        HostRoom(
            f"u{number}", f"h{number}", random.choice(("z1", "z1", "z1", "z2")), "p1",
            random.choice(("c1", "c2", "c3")),
            random.choice(("KVM", "KVM", "KVM", "Simulator")), random.random() < 0.9, random.random() < 0.9, "",
            random.choice((0, 8_000, 16_000)), random.choice((4_096, 8_192)), random.choice((0, 4_000, 20_000)),
            random.choice((0, 2_048)), 0, frozenset(random.sample(("ssd", HA_TAG), random.randrange(3))),
            random.choice(({}, {}, {"g1": 1})),
        )
        for number in range(count)
    ]  # fmt: skip


def vms(random, count):
    """Requests of all purposes."""
    return [
        Request(
            f"vm{number}", random.choice(("ha", "ha", "deploy", "migrate")), random.choice(("z1", "z1", "z2")),
            random.choice(("", "c1", "c2")), random.choice((500, 1_000, 4_000)), random.choice((512, 1_024, 4_096)),
            random.choice((frozenset(), frozenset({"ssd"}))), random.choice(("", "", "g1", "g2")),
            random.choice(("", "", "", "", "u1")), random.choice(("", "", "", "", "u0", "u2")),
            random.choice(("", "", "", "c1")), random.choice(("", "KVM")),
            {f"u{random.randrange(9)}": "failed there"} if random.random() < 0.3 else {},
        )
        for number in range(count)
    ]  # fmt: skip


def slow_choice(listed, request, rooms):
    """The best host that no plugin refuses, all asked anew; knows nothing of areas: `scope` is the first scorer."""
    refused = {}
    for _, plugin in listed:
        refused = {**plugin.refuse(request, rooms), **refused}
    standing = [room for room in rooms if room.uuid not in refused]
    scores = [plugin.score(request, standing) for _, plugin in listed]
    merit = {room.uuid: ([-each.get(room.uuid, 0.0) for each in scores], room.name) for room in standing}
    return min(standing, key=lambda room: merit[room.uuid], default=None)


cases = given(
    st.integers(0, 2**32), st.integers(0, 9), st.integers(0, 14), st.sampled_from(("", HA_TAG)),
)  # fmt: skip


def make(seed, hosts, count, ha_tag):
    """A plan with what it was made from."""
    random = Random(seed)
    rooms, requests = cloud(random, hosts), vms(random, count)
    return Planner(plugins(ha_tag)).plan(requests, rooms), requests, rooms


@settings(max_examples=300, deadline=None)
@cases
def test_the_plan_is_that_of_plugins_asked_about_all_hosts_each_time(seed, hosts, count, ha_tag):
    """`scope` as the first scorer and the planner's own areas say the same; nothing is lost by asking less."""
    plan, requests, rooms = make(seed, hosts, count, ha_tag)
    rooms = [replace(room, groups=dict(room.groups)) for room in rooms]
    for request in requests:
        expected = slow_choice(plugins(ha_tag), request, rooms)
        assert plan.decisions[request.vm_uuid].host == (expected and expected.uuid)
        if expected:
            expected.used_cpu += request.cpu
            expected.used_ram += request.ram
            if request.affinity_group:
                expected.groups[request.affinity_group] = expected.groups.get(request.affinity_group, 0) + 1


@settings(max_examples=300, deadline=None)
@cases
def test_no_rule_is_ever_broken(seed, hosts, count, ha_tag):
    """Capacity, zone, exclusion, state, local storage, group and HA tag hold of every VM placed."""
    plan, requests, rooms = make(seed, hosts, count, ha_tag)
    before = {room.uuid: room for room in rooms}
    for request in requests:
        chosen = before.get(plan.decisions[request.vm_uuid].host or "")
        if chosen is None:
            continue
        assert chosen.zone == request.zone
        assert chosen.uuid not in request.excluded
        assert chosen.up
        assert chosen.enabled
        assert request.local_host in ("", chosen.uuid)
        assert request.pinned in ("", chosen.uuid)
        if ha_tag and request.purpose == "ha":
            assert ha_tag in chosen.tags
        if ha_tag and request.purpose == "deploy" and not request.pinned:
            assert ha_tag not in chosen.tags
    for room in plan.rooms.values():
        was = before[room.uuid]
        assert room.used_ram <= max(was.used_ram, room.total_ram)
        assert room.used_cpu <= max(was.used_cpu, room.total_cpu)
        assert all(members <= max(1, was.groups.get(group, 0)) for group, members in room.groups.items())


@settings(max_examples=200, deadline=None)
@cases
def test_a_vm_left_over_has_a_refusal_of_every_host_that_is_true(seed, hosts, count, ha_tag):
    """It waits only if nobody can take it at that point, and the explanation says why of each host."""
    plan, requests, rooms = make(seed, hosts, count, ha_tag)
    for request in requests:
        if plan.decisions[request.vm_uuid].host is not None:
            continue
        groups = plan.explanation(request.vm_uuid)["refusals"]
        assert sorted(name for group in groups for name in group["hosts"]) == sorted(room.name for room in rooms)
        assert all(group["reason"] and group["count"] == len(group["hosts"]) for group in groups)
        by_name = {room.name: room for room in plan.rooms.values()}
        for group in groups:
            asked = dict(plugins(ha_tag)).get(group["by"])
            for name in group["hosts"]:
                # Rooms only fill up, so what refused a host then still refuses it at the end.
                assert asked is None or by_name[name].uuid in asked.refuse(request, [by_name[name]])


@pytest.mark.parametrize(("used", "expected"), [(0, "u-near"), (16_000, "u-far")])
def test_a_restart_prefers_its_cluster_and_leaves_it_when_it_is_full(used, expected):
    """M2.2: another host of the same cluster first."""
    near = HostRoom("u-near", "near", "z1", "p1", "c1", "KVM", True, True, "", 16_000, 8_192, used_cpu=used)
    far = HostRoom("u-far", "far", "z1", "p1", "c2", "KVM", True, True, "", 64_000, 65_536)
    plan = Planner(plugins("")).plan([Request("vm", "ha", "z1", "c1", 1_000, 512)], [far, near])
    assert plan.decisions["vm"].host == expected
