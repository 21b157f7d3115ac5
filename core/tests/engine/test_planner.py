"""The planner keeps S9 by itself, books what it places, and decides as one who asks everybody about everything."""

import json
from dataclasses import replace

import pytest
from holdfast.adapter import adapt
from holdfast.engine.planner import Planner
from holdfast.errors import InvalidRequest
from holdfast.hooks.markers import hookimpl
from holdfast.hooks.placement import Placement
from holdfast.hooks.points import POINTS
from hypothesis import given, settings
from hypothesis import strategies as st
from planner_bed import Emptiest, Fits, Whim, random_case, room, slow_plan, vm

SIMPLE = (("fits", Fits()), ("emptiest", Emptiest()))


def chosen(plan):
    """Where each VM went, by VM."""
    return {uuid: decision.host for uuid, decision in plan.decisions.items()}


class Strict:
    """Refuses some hosts, by name, with one text."""

    reads = frozenset()
    scores = False

    def __init__(self, *names):
        self.names = names

    def refuse(self, request, hosts):
        return {host.uuid: "not this one" for host in hosts if host.name in self.names}

    def score(self, request, hosts):
        return {}


class Breaks:
    """Raises about one host, be it asked alone or among others."""

    def __init__(self, name, method):
        self.name, self.method = name, method

    def refuse(self, request, hosts):
        return self._answer("refuse", hosts)

    def score(self, request, hosts):
        return self._answer("score", hosts)

    def _answer(self, method, hosts):
        if method == self.method and any(host.name == self.name for host in hosts):
            raise ZeroDivisionError("no room reported")
        return {}


@settings(max_examples=400, deadline=None)
@given(st.integers(0, 2**32), st.integers(0, 9), st.integers(0, 14))
def test_it_decides_as_one_who_asks_everybody_about_everything(seed, hosts, vms):
    """Sharing rankings and asking again only for the changed host alters no choice and no refusal."""
    plugins, requests, rooms = random_case(seed, hosts, vms)
    plan = Planner(plugins).plan(requests, rooms)
    expected = slow_plan(plugins, requests, rooms)
    assert chosen(plan) == {uuid: host for uuid, (host, _) in expected.items()}
    for request in requests:
        host, refused = expected[request.vm_uuid]
        explained = plan.explanation(request.vm_uuid)
        listed = {f"u-{name}" for group in explained["refusals"] for name in group["hosts"]}
        if host is None:
            assert listed == refused == {one.uuid for one in rooms}
        else:
            # Late filters are asked in the order of merit until one host passes, so fewer refusals may be known.
            assert listed <= refused
            assert host not in listed


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 2**32), st.randoms(use_true_random=False))
def test_the_order_in_which_hosts_are_listed_does_not_matter(seed, random):
    """The plan is the same whatever order the store returns hosts in."""
    plugins, requests, rooms = random_case(seed, 8, 10)
    shuffled = random.sample(rooms, len(rooms))
    assert chosen(Planner(plugins).plan(requests, rooms)) == chosen(Planner(plugins).plan(requests, shuffled))


def test_the_own_cluster_comes_first_whatever_the_scorers_prefer():
    """A fuller host of the VM's own cluster wins over an empty one of another (S9)."""
    rooms = [room("near", used_ram=800), room("far", cluster="c2")]
    assert chosen(Planner(SIMPLE).plan([vm("a")], rooms)) == {"a": "u-near"}


def test_another_cluster_is_used_when_the_own_one_is_full():
    """S9: same cluster first, not same cluster only."""
    rooms = [room("near", used_ram=950), room("far", cluster="c2")]
    assert chosen(Planner(SIMPLE).plan([vm("a")], rooms)) == {"a": "u-far"}


def test_another_zone_is_never_used_even_without_a_single_plugin():
    """No list of plugins can break S9."""
    plan = Planner([]).plan([vm("a")], [room("abroad", zone="z2"), room("abroad-too", zone="z2", cluster="c1")])
    assert plan.unplaced == ("a",)
    assert "zone" in plan.explanation("a")["refusals"][0]["reason"]


def test_a_vm_on_local_storage_stays_with_its_host():
    """Not even a pin moves it."""
    rooms = [room("home"), room("other")]
    assert chosen(Planner(SIMPLE).plan([vm("a", local_host="u-home")], rooms)) == {"a": "u-home"}
    assert Planner(SIMPLE).plan([vm("a", local_host="u-home", pinned="u-other")], rooms).unplaced == ("a",)


def test_storage_of_one_cluster_keeps_the_vm_in_it():
    """A full cluster leaves the VM waiting rather than sending it where its storage is not."""
    rooms = [room("near", used_ram=950), room("far", cluster="c2")]
    assert Planner(SIMPLE).plan([vm("a", pool_cluster="c1")], rooms).unplaced == ("a",)


def test_a_pin_is_weighed_with_the_storage_of_each_vm():
    """VMs pinned to one host share a ranking only if their storage says the same of it."""
    requests = [
        vm("free", pinned="u-h1"),
        vm("local", pinned="u-h1", local_host="u-h2"),
        vm("pool", pinned="u-h1", pool_cluster="c2"),
        vm("abroad", pinned="u-h1", zone="z2"),
    ]
    plan = Planner([]).plan(requests, [room("h1"), room("h2")])
    assert plan.unplaced == ("local", "pool", "abroad")


def test_what_a_plugin_says_of_the_own_cluster_holds_when_the_zone_is_looked_at():
    """Refused as the own cluster, a host does not come back as one among the others of the zone."""

    class Leaves(Fits):
        reads = frozenset({"ram"})

        def refuse(self, request, hosts):
            return {host.uuid: "leave the cluster" for host in hosts if host.cluster == request.cluster}

    rooms = [room("h1"), room("h2", cluster="c2")]
    plan = Planner([("leaves", Leaves())]).plan([vm("a"), vm("b", cluster="c2"), vm("c", cluster="")], rooms)
    assert chosen(plan) == {"a": "u-h2", "b": "u-h1", "c": "u-h1"}
    assert [group["hosts"] for group in plan.explanation("a")["refusals"]] == [["h1"]]


def test_an_excluded_host_is_never_chosen_and_its_reason_is_kept():
    """The plugins never see exclusions; the planner keeps them."""
    plan = Planner(SIMPLE).plan([vm("a", excluded={"u-h1": "the start failed there"})], [room("h1"), room("h2")])
    assert chosen(plan) == {"a": "u-h2"}
    assert plan.explanation("a")["refusals"] == [
        {"by": "excluded", "reason": "the start failed there", "count": 1, "hosts": ["h1"]}
    ]


def test_an_earlier_scorer_dominates_later_ones():
    """Scores are compared plugin by plugin, in the listed order."""

    class Likes:
        def __init__(self, **scores):
            self.scores_by_name = scores

        def refuse(self, request, hosts):
            return {}

        def score(self, request, hosts):
            return {host.uuid: self.scores_by_name[host.name] for host in hosts}

    first, second = ("first", Likes(h1=0.51, h2=0.5, h3=0.51)), ("second", Likes(h1=0.1, h2=1.0, h3=0.2))
    rooms = [room("h1"), room("h2"), room("h3")]
    assert chosen(Planner([first, second]).plan([vm("a")], rooms)) == {"a": "u-h3"}
    assert chosen(Planner([second, first]).plan([vm("a")], rooms)) == {"a": "u-h2"}


def test_ties_go_to_the_first_host_name():
    """Deterministic: names decide, whatever the order of the list."""
    assert chosen(Planner([]).plan([vm("a")], [room("h2"), room("h1"), room("h3")])) == {"a": "u-h1"}


def test_placements_are_booked_on_copies():
    """Each VM sees the room that the ones before it left; the caller's rooms are as they were."""
    rooms = [room("h1", groups={"g": 1})]
    before = replace(rooms[0], groups=dict(rooms[0].groups))
    plan = Planner(SIMPLE).plan([vm(f"vm{number}", ram=400, affinity_group="g") for number in range(3)], rooms)
    assert list(chosen(plan).values()) == ["u-h1", "u-h1", None]
    left = plan.rooms["u-h1"]
    assert (left.used_ram, left.used_cpu, left.vm_count, left.groups) == (800, 200, 2, {"g": 3})
    assert rooms == [before]


def test_a_plan_can_be_continued():
    """VMs whose proof comes later are placed into the room that is left."""
    plan = Planner(SIMPLE).begin([room("h1")])
    assert plan.place(vm("a", ram=700)).host == "u-h1"
    assert plan.place(vm("b", ram=700)).host is None


def test_a_vm_is_placed_once():
    """S1: a plan never has two places for one VM."""
    with pytest.raises(InvalidRequest, match="VM a is in the plan already"):
        Planner(SIMPLE).plan([vm("a"), vm("a")], [room("h1")])


def test_a_host_that_is_listed_twice_is_refused():
    """Else its room would be given away twice."""
    with pytest.raises(InvalidRequest, match="listed twice"):
        Planner(SIMPLE).plan([], [room("h1"), room("h1")])


def test_a_filter_that_fails_on_a_host_keeps_only_that_host_out():
    """An error is no consent, and one plugin's error does not stop the plan."""
    plan = Planner([("breaks", Breaks("h1", "refuse")), *SIMPLE]).plan([vm("a"), vm("b")], [room("h1"), room("h2")])
    assert set(chosen(plan).values()) == {"u-h2"}
    assert plan.explanation("a")["refusals"][0] == {
        "by": "breaks", "reason": "filter breaks failed on it (ZeroDivisionError)", "count": 1, "hosts": ["h1"],
    }  # fmt: skip
    assert plan.problems == ("placement plugin breaks: refuse failed: ZeroDivisionError: no room reported",)


def test_a_scorer_that_fails_on_a_host_gives_it_nothing():
    """The host can still be used."""
    plan = Planner([("breaks", Breaks("h1", "score"))]).plan([vm("a")], [room("h1")])
    assert chosen(plan) == {"a": "u-h1"}
    assert plan.problems


@pytest.mark.parametrize("score", [float("nan"), float("inf"), -0.5, 7.0, "much", None])
def test_a_score_that_is_none_counts_as_nothing(score):
    """A score outside 0 to 1 never outweighs an honest one."""

    class Boasts(Fits):
        def score(self, request, hosts):
            return {host.uuid: score if host.name == "h1" else 0.5 for host in hosts}

    plan = Planner([("boasts", Boasts())]).plan([vm("a"), vm("b")], [room("h1"), room("h2")])
    assert set(chosen(plan).values()) == {"u-h2"}
    assert plan.problems


def test_an_adapted_driver_keeps_its_promises():
    """What the loader hands over carries `reads` and `scores` of the driver."""

    class Driver:
        reads = frozenset({"ram"})
        scores = False

        @hookimpl
        def refuse(self, request, hosts):
            return {host.uuid: "is full" for host in hosts if host.used_ram + request.ram > host.total_ram}

        @hookimpl
        def score(self):
            return {}

    adapted = adapt(POINTS["placement"], Driver(), "driver")
    assert isinstance(adapted, Placement)
    assert (adapted.reads, adapted.scores) == (Driver.reads, False)
    plan = Planner([("driver", adapted)]).plan([vm("a", ram=2000)], [room("h1")])
    assert plan.explanation("a")["refusals"][0]["by"] == "driver"


class Counts(Whim):
    """Counts about how many hosts it is asked."""

    def __init__(self, **promises):
        super().__init__("counts", refuses=0.0, **promises)
        self.asked = 0

    def refuse(self, request, hosts):
        self.asked += len(hosts)
        return super().refuse(request, hosts)


def test_after_a_placement_only_the_changed_host_is_asked_about_again():
    """The cost of many equal VMs is the hosts once, then one for each VM."""
    counts = Counts(reads=frozenset({"ram"}))
    Planner([("counts", counts)]).plan([vm(f"vm{n}") for n in range(50)], [room(f"h{n}") for n in range(30)])
    assert counts.asked == 30 + 49


def test_vms_of_all_clusters_share_one_look_at_the_zone():
    """Where the plugins promise not to read the cluster, ten dead clusters cost one ranking of the zone, not ten."""
    counts = Counts(reads=frozenset({"ram"}))
    rooms = [room(f"h{n}", cluster="alive") for n in range(30)]
    Planner([("counts", counts)]).plan([vm(f"vm{n}", cluster=f"dead-{n}") for n in range(10)], rooms)
    assert counts.asked == 30 + 9


def test_a_filter_of_one_group_does_not_cost_a_ranking_for_each_group():
    """Filters that read the affinity group are asked about the best host only."""
    shared, late = Counts(reads=frozenset()), Counts(reads=frozenset({"affinity_group"}), scores=False)
    rooms = [room(f"h{n}") for n in range(30)]
    requests = [vm(f"vm{n}", affinity_group=f"g{n}") for n in range(20)]
    Planner([("late", late), ("shared", shared)]).plan(requests, rooms)
    assert (shared.asked, late.asked) == (30 + 19, 20)


def test_the_explanation_has_choice_scores_runners_up_and_refusals():
    """Everything an operator asks: where to, why there, who else could, who could not and why; ready for JSON."""
    rooms = [
        room("h1"),
        room("h2", used_ram=500),
        room("h3"),
        room("h4"),
        room("h5", cluster="c2"),
        room("h6", zone="z2"),
    ]
    plan = Planner([("strict", Strict("h3", "h4")), *SIMPLE]).plan([vm("a")], rooms)
    explanation = json.loads(json.dumps(plan.explanation("a")))
    assert explanation["chosen"] == {"host": "u-h1", "name": "h1", "cluster": "c1"}
    assert explanation["score"] == {"emptiest": 0.95}
    assert explanation["looked_at"] == ["cluster c1"]
    assert [(other["name"], other["score"]) for other in explanation["runners_up"]] == [("h2", {"emptiest": 0.7})]
    assert [(group["by"], group["hosts"]) for group in explanation["refusals"]] == [
        ("strict", ["h3", "h4"]),
        ("reach", ["h6"]),
    ]
    assert explanation["not_asked"] == 1


def test_the_explanation_is_of_the_moment_of_placement():
    """What is placed later does not rewrite why an earlier VM went where it went."""
    plan = Planner(SIMPLE).begin([room("h1"), room("h2")])
    plan.place(vm("a", ram=600))
    before = plan.explanation("a"), plan.brief("a"), plan.summary("a")
    plan.place(vm("b", ram=600))
    plan.place(vm("c", ram=600))
    assert (plan.explanation("a"), plan.brief("a"), plan.summary("a")) == before
    assert plan.explanation("b")["refusals"] == [{"by": "fits", "reason": "is full", "count": 1, "hosts": ["h1"]}]
    assert plan.unplaced == ("c",)


def test_names_may_be_bounded_and_counts_never_are():
    """A reason that meets thousands of hosts does not fill the store with their names."""
    plan = Planner([("strict", Strict(*(f"h{n}" for n in range(9))))]).plan(
        [vm("a")], [room(f"h{n}") for n in range(9)]
    )
    [group] = plan.explanation("a", names_per_reason=2)["refusals"]
    assert (group["count"], group["hosts"]) == (9, ["h0", "h1"])
    assert plan.summary("a", "web 1").startswith("no host can take VM web 1: h0, h1")
    assert plan.summary("a") == "no host can take VM a: h0, h1, h2 and 6 more: not this one (strict)"


def test_the_brief_counts_refusals_by_plugin_and_area():
    """Enough for the record of each of 20,000 VMs."""
    plan = Planner([("strict", Strict("h1")), *SIMPLE]).plan(
        [vm("a", ram=900)], [room("h1"), room("h2", used_ram=500), room("h3", cluster="c2"), room("h4", cluster="c2")]
    )
    brief = plan.brief("a")
    assert brief["chosen"]["name"] == "h3"
    assert brief["looked_at"][0] == {"area": "cluster c1", "not_refused": 0, "refused": {"strict": 1, "fits": 1}}
    assert brief["looked_at"][1] == {"area": "zone z1", "not_refused": 2, "refused": {"strict": 1, "fits": 1}}


def test_a_cloud_without_hosts_is_said():
    """No host at all is a reason too."""
    plan = Planner(SIMPLE).plan([vm("a")], [])
    assert plan.summary("a") == "no host can take VM a: there is no host at all; add hosts to its zone"
