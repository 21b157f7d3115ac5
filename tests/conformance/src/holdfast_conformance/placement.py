"""Conformance of placement plugins: pure, quick, and of one mind about a host whoever else is asked about.

The planner asks again only for the host that changed and shares answers among VMs. A plugin that breaks one of these
rules still plans something, but not what its author meant.
"""

import copy
import math
from collections.abc import Callable, Mapping
from dataclasses import fields, replace

from holdfast.hooks.placement import HostRoom, Placement, Request

from holdfast_conformance.calls import kept_deadline
from holdfast_conformance.placement_cases import Case, cases
from holdfast_conformance.suite import Conformance

QUICK_SECONDS = 1.0
MANY_HOSTS = 2_000

Answers = tuple[dict[str, str], dict[str, float]]


class PlacementConformance(Conformance):
    """Subclass it; give the fixture `driver`, constructed with settings under which it has something to say."""

    point = "placement"

    def test_refusals_have_a_reason_and_concern_the_hosts_asked_about(self, driver: Placement) -> None:
        """Each refusal is a text that an operator can read, about a host that was asked about."""

        def holds(case: Case) -> None:
            refused = driver.refuse(case.request, case.hosts)
            assert isinstance(refused, Mapping), "refuse returns a mapping of host uuid to reason"
            assert set(refused) <= _uuids(case), f"{set(refused) - _uuids(case)} were not asked about"
            for uuid, reason in refused.items():
                assert isinstance(reason, str), f"the reason for {uuid} is no text: {reason!r}"
                assert reason.strip(), f"{uuid} is refused without a reason"

        _for_all(holds)

    def test_scores_are_between_0_and_1(self, driver: Placement) -> None:
        """Scores are finite numbers from 0 to 1, about hosts that were asked about."""

        def holds(case: Case) -> None:
            scores = driver.score(case.request, case.hosts)
            assert isinstance(scores, Mapping), "score returns a mapping of host uuid to number"
            assert set(scores) <= _uuids(case), f"{set(scores) - _uuids(case)} were not asked about"
            for uuid, score in scores.items():
                assert math.isfinite(score), f"the score of {uuid} is {score!r}"
                assert 0.0 <= score <= 1.0, f"the score of {uuid} is {score!r}"

        _for_all(holds)

    def test_the_same_question_has_the_same_answer(self, driver: Placement) -> None:
        """Asked twice, also with other questions in between, it says the same."""

        def holds(case: Case) -> None:
            first = _answers(driver, case.request, case.hosts)
            _answers(driver, case.other, case.hosts[::2])
            assert _answers(driver, case.request, case.hosts) == first

        _for_all(holds)

    def test_nothing_that_is_shown_is_changed(self, driver: Placement) -> None:
        """Request and hosts are as before: only the planner books room."""

        def holds(case: Case) -> None:
            before = copy.deepcopy(case)
            _answers(driver, case.request, case.hosts)
            assert case == before

        _for_all(holds)

    def test_a_host_is_judged_by_itself(self, driver: Placement) -> None:
        """The answer about one host is the same alone, among others, and in any order."""

        def holds(case: Case) -> None:
            together = _answers(driver, case.request, case.hosts)
            assert _answers(driver, case.request, case.hosts[::-1]) == together, "the order of the hosts matters"
            for host in case.hosts:
                alone = _answers(driver, case.request, [host])
                assert alone == _only(together, host.uuid), f"{host.uuid} is judged differently alone"

        _for_all(holds)

    def test_vms_that_differ_in_name_only_are_judged_alike(self, driver: Placement) -> None:
        """`vm_uuid` changes nothing: the planner shares answers among VMs."""

        def holds(case: Case) -> None:
            other = replace(case.request, vm_uuid="another-vm")
            assert _answers(driver, other, case.hosts) == _answers(driver, case.request, case.hosts)

        _for_all(holds)

    def test_what_it_promises_not_to_read_changes_nothing(self, driver: Placement) -> None:
        """`reads`: other values of the fields it leaves out bring the same answers."""
        reads = getattr(driver, "reads", None)
        if reads is None:
            return
        known = {field.name for field in fields(Request)}
        assert set(reads) <= known, f"reads names {sorted(set(reads) - known)}, which no request has"

        def holds(case: Case) -> None:
            # Exclusions never reach a plugin through the planner, so the promise does not cover them.
            asked = replace(case.request, excluded={})
            free = known - set(reads) - {"excluded", "cluster"}
            changed = replace(asked, **{name: getattr(case.other, name) for name in free})
            assert _answers(driver, changed, case.hosts) == _answers(driver, asked, case.hosts)
            if "cluster" not in reads:
                elsewhere = [host for host in case.hosts if host.cluster != asked.cluster]
                anywhere = replace(asked, cluster="")
                assert _answers(driver, anywhere, elsewhere) == _answers(driver, asked, elsewhere), (
                    "of hosts outside the VM's own cluster it says other things when the cluster is not given; "
                    'add "cluster" to reads'
                )

        _for_all(holds)

    def test_one_that_promises_not_to_score_does_not(self, driver: Placement) -> None:
        """`scores = False`: score is always empty, since the planner does not ask."""
        if getattr(driver, "scores", True):
            return

        def holds(case: Case) -> None:
            assert not driver.score(case.request, case.hosts)

        _for_all(holds)

    def test_many_hosts_are_judged_quickly(self, driver: Placement) -> None:
        """Two thousand hosts at once are no work: a plugin that looks something up outside would hang here."""
        hosts = [_plain_host(number) for number in range(MANY_HOSTS)]
        request = Request("vm-1", "ha", "zone-1", "cluster-1", 1_000, 1_024, frozenset({"ssd"}), "group-1")
        outcome = kept_deadline(QUICK_SECONDS, lambda: _answers(driver, request, hosts))
        assert outcome.error is None, f"raised {outcome.error!r}"


def _for_all(holds: Callable[[Case], None]) -> None:
    """Run `holds` on every case; an error names the case."""
    for case in cases():
        try:
            holds(case)
        except Exception as error:
            error.add_note(f"request: {case.request}\nhosts: {case.hosts}")
            raise


def _answers(driver: Placement, request: Request, hosts: list[HostRoom]) -> Answers:
    return dict(driver.refuse(request, hosts)), dict(driver.score(request, hosts))


def _only(answers: Answers, uuid: str) -> Answers:
    refused, scores = answers
    return {key: refused[key] for key in refused if key == uuid}, {key: scores[key] for key in scores if key == uuid}


def _uuids(case: Case) -> set[str]:
    return {host.uuid for host in case.hosts}


def _plain_host(number: int) -> HostRoom:
    return HostRoom(
        uuid=f"host-{number}", name=f"host-{number}", zone="zone-1", pod="pod-1", cluster=f"cluster-{number // 50}",
        hypervisor="KVM", up=True, enabled=True, why_not="", total_cpu=100_000, total_ram=100_000,
        used_cpu=number * 37 % 100_000, used_ram=number * 53 % 100_000,
    )  # fmt: skip
