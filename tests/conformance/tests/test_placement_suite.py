"""The placement suite lets no plugin through that breaks a rule of its contract."""

import pytest
from holdfast.hooks.markers import hookimpl
from holdfast_conformance import PlacementConformance, failures


class Harmless:
    """Refuses nobody and prefers nobody."""

    @hookimpl
    def refuse(self, request, hosts):
        return {}

    @hookimpl
    def score(self, request, hosts):
        return {}


class RefusesWithoutReason(Harmless):
    @hookimpl
    def refuse(self, request, hosts):
        return {host.uuid: "  " for host in hosts if not host.up}


class RefusesOthers(Harmless):
    @hookimpl
    def refuse(self, request, hosts):
        return {"host-of-somebody": "I do not like it"}


class ScoresTooHigh(Harmless):
    @hookimpl
    def score(self, request, hosts):
        return {host.uuid: float(host.vm_count) for host in hosts}


class ScoresNotANumber(Harmless):
    @hookimpl
    def score(self, request, hosts):
        return {host.uuid: float("nan") for host in hosts}


class Remembers(Harmless):
    def __init__(self):
        self.calls = 0

    @hookimpl
    def score(self, request, hosts):
        self.calls += 1
        return {host.uuid: 1 / self.calls for host in hosts}


class BooksRoom(Harmless):
    @hookimpl
    def refuse(self, request, hosts):
        for host in hosts:
            host.used_ram += request.ram
        return {}


class ComparesHosts(Harmless):
    @hookimpl
    def score(self, request, hosts):
        most = max((host.vm_count for host in hosts), default=0) or 1
        return {host.uuid: host.vm_count / most for host in hosts}


class LooksAtTheName(Harmless):
    @hookimpl
    def refuse(self, request, hosts):
        return {} if request.vm_uuid == "another-vm" else {host.uuid: "wrong name" for host in hosts}


class ReadsMoreThanItSays(Harmless):
    reads = frozenset({"cpu"})

    @hookimpl
    def refuse(self, request, hosts):
        return {host.uuid: "too small" for host in hosts if host.total_ram < request.ram}


class ReadsTheClusterSilently(Harmless):
    reads = frozenset({"cpu"})

    @hookimpl
    def refuse(self, request, hosts):
        return {host.uuid: "stay" for host in hosts if request.cluster and host.cluster != request.cluster}


class ReadsWhatIsNotThere(Harmless):
    reads = frozenset({"memory"})


class ScoresAfterAll(Harmless):
    scores = False

    @hookimpl
    def score(self, request, hosts):
        return {host.uuid: 1.0 for host in hosts}


class Raises(Harmless):
    @hookimpl
    def refuse(self, request, hosts):
        return {host.uuid: "small" for host in hosts if request.ram / host.total_ram > 1}


class Unmarked:
    def refuse(self, request, hosts):
        return {}


BROKEN = [
    (RefusesWithoutReason, "test_refusals_have_a_reason_and_concern_the_hosts_asked_about"),
    (RefusesOthers, "test_refusals_have_a_reason_and_concern_the_hosts_asked_about"),
    (ScoresTooHigh, "test_scores_are_between_0_and_1"),
    (ScoresNotANumber, "test_scores_are_between_0_and_1"),
    (Remembers, "test_the_same_question_has_the_same_answer"),
    (BooksRoom, "test_nothing_that_is_shown_is_changed"),
    (ComparesHosts, "test_a_host_is_judged_by_itself"),
    (LooksAtTheName, "test_vms_that_differ_in_name_only_are_judged_alike"),
    (ReadsMoreThanItSays, "test_what_it_promises_not_to_read_changes_nothing"),
    (ReadsTheClusterSilently, "test_what_it_promises_not_to_read_changes_nothing"),
    (ReadsWhatIsNotThere, "test_what_it_promises_not_to_read_changes_nothing"),
    (ScoresAfterAll, "test_one_that_promises_not_to_score_does_not"),
    (Raises, "test_refusals_have_a_reason_and_concern_the_hosts_asked_about"),
    (Unmarked, "test_driver_keeps_the_hook_contract"),
]


def test_a_plugin_that_keeps_the_contract_passes():
    """Nothing fails for a plugin that does nothing wrong."""
    assert failures(PlacementConformance, lambda: {"driver": Harmless()}) == {}


@pytest.mark.parametrize(("plugin", "test"), BROKEN, ids=lambda value: getattr(value, "__name__", ""))
def test_each_breach_is_caught(plugin, test):
    """Each broken plugin fails the test that is about its fault."""
    assert test in failures(PlacementConformance, lambda: {"driver": plugin()}, only=test)
