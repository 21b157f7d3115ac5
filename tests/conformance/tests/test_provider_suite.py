"""The provider suite passes a correct provider, and each check fails one that breaks its rule."""

from dataclasses import replace
from typing import ClassVar

import pytest
from holdfast.hooks.markers import hookimpl
from holdfast.hooks.provider import ActionOutcome, Eligibility
from holdfast.model.evidence import Evidence, Kind
from holdfast.model.states import MAINTENANCE_STATES, Opinion, PowerAction
from holdfast_conformance import ProviderConformance, failures, standard_tests


class GoodProvider:
    """A correct provider."""

    hypervisor = "Memory"
    display_name = "MemoryHAProvider"
    defaults: ClassVar = {"kvm.ha.health.check.timeout": "2"}

    @hookimpl
    def eligibility(self, host, surroundings):
        if host.resource_state in MAINTENANCE_STATES:
            return Eligibility(False, "the host is in maintenance")
        if not surroundings.oobm_enabled:
            return Eligibility(False, surroundings.oobm_reason)
        if not surroundings.up_neighbours:
            return Eligibility(False, "no other host of the cluster is up")
        return Eligibility(True)

    @hookimpl
    def check_health(self, host, probes):
        return (probes.link(),)

    @hookimpl
    def check_activity(self, host, probes):
        return probes.heartbeats()

    @hookimpl
    def recover(self, host, probes):
        return probes.switch_power(PowerAction.RESET)

    @hookimpl
    def fence(self, host, probes):
        return probes.switch_power(PowerAction.OFF)

    @hookimpl
    def read_back(self, host, probes):
        return probes.power()

    @hookimpl
    def polls_health(self, host):
        return False


class TestACorrectProvider(ProviderConformance):
    """The whole suite."""

    @pytest.fixture
    def driver(self) -> GoodProvider:
        """The provider under test."""
        return GoodProvider()


class Nameless(GoodProvider):
    hypervisor = ""


class SetsNonsense(GoodProvider):
    defaults: ClassVar = {"kvm.ha.health.check.timeout": "soon"}


class SetsTheUnknown(GoodProvider):
    defaults: ClassVar = {"no.such.setting": "1"}


class NeverEligible(GoodProvider):
    @hookimpl
    def eligibility(self, host, surroundings):
        return Eligibility(False, "no")


class AlwaysEligible(GoodProvider):
    @hookimpl
    def eligibility(self, host, surroundings):
        return Eligibility(True)


class SilentRefusal(GoodProvider):
    @hookimpl
    def eligibility(self, host, surroundings):
        return replace(super().eligibility(host, surroundings), reason="")


class DeafToTheLink(GoodProvider):
    @hookimpl
    def check_health(self, host, probes):
        return (probes.agent(),)


class FencesWhileLooking(GoodProvider):
    @hookimpl
    def check_activity(self, host, probes):
        probes.switch_power(PowerAction.OFF)
        return super().check_activity(host, probes)


class UnknownIsDead(GoodProvider):
    @hookimpl
    def check_health(self, host, probes):
        link = probes.link()
        return (replace(link, opinion=Opinion.DEAD) if link.opinion is Opinion.UNKNOWN else link,)


class OnePieceForAllPools(GoodProvider):
    @hookimpl
    def check_activity(self, host, probes):
        return probes.heartbeats()[:1]


class FencesSoftly(GoodProvider):
    @hookimpl
    def fence(self, host, probes):
        probes.switch_power(PowerAction.SOFT)
        return probes.switch_power(PowerAction.OFF)


class RecoversByOff(GoodProvider):
    @hookimpl
    def recover(self, host, probes):
        return probes.switch_power(PowerAction.OFF)


class TakesNoForYes(GoodProvider):
    @hookimpl
    def fence(self, host, probes):
        return ActionOutcome(True, probes.switch_power(PowerAction.OFF).detail)


class AcceptedIsOff(GoodProvider):
    @hookimpl
    def read_back(self, host, probes):
        return Evidence(Kind.POWER, host.uuid, Opinion.DEAD, "assumed", 0.0)


class LacksFence(GoodProvider):
    fence = None


CAUGHT_BY = {
    "test_driver_keeps_the_hook_contract": [LacksFence],
    "test_it_says_what_it_is_for": [Nameless],
    "test_its_defaults_are_good_settings": [SetsTheUnknown],
    "test_a_sound_host_is_eligible": [NeverEligible],
    "test_an_ineligible_host_learns_why": [AlwaysEligible, SilentRefusal],
    "test_a_heard_link_is_alive": [DeafToTheLink],
    "test_observing_never_switches_power": [FencesWhileLooking],
    "test_no_death_is_invented": [UnknownIsDead, AcceptedIsOff],
    "test_activity_has_one_piece_per_pool": [OnePieceForAllPools],
    "test_fencing_is_a_hard_off": [FencesSoftly],
    "test_recovery_ends_with_power_on": [RecoversByOff],
    "test_a_refused_action_is_not_accepted": [TakesNoForYes],
    "test_read_back_is_what_the_bmc_reads": [AcceptedIsOff],
}


@pytest.mark.parametrize(("check", "wrong"), [(check, wrong) for check in CAUGHT_BY for wrong in CAUGHT_BY[check]])
def test_each_check_fails_a_provider_that_breaks_its_rule(check: str, wrong: type[GoodProvider]) -> None:
    """A check that cannot fail proves nothing."""
    assert check in failures(TestACorrectProvider, lambda: {"driver": wrong()}, only=check)


def test_a_default_with_a_bad_value_is_refused() -> None:
    """The setting itself says what it accepts."""
    check = "test_its_defaults_are_good_settings"
    found = failures(TestACorrectProvider, lambda: {"driver": SetsNonsense()}, only=check)
    assert "soon" in str(found[check])


def test_every_check_has_a_provider_that_it_fails() -> None:
    """The list above leaves no check out."""
    assert set(CAUGHT_BY) == set(standard_tests(ProviderConformance))
