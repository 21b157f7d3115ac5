"""The command suite passes a correct command, and each check fails one that breaks its rule."""

import pytest
from holdfast.errors import InvalidRequest
from holdfast.hooks.markers import hookimpl
from holdfast_conformance import CommandConformance, failures, standard_tests


class GoodCommand:
    """A correct command."""

    summary = "does nothing, well"

    @hookimpl
    def configure(self, parser):
        parser.add_argument("--times", type=int, default=1, help="how often")

    @hookimpl
    def run(self, arguments):
        if arguments.times < 0:
            raise InvalidRequest("--times is below 0")
        return 0


class TestACorrectCommand(CommandConformance):
    """The whole suite."""

    good = ("--times", "2")
    bad = ("--times", "-1")

    @pytest.fixture
    def driver(self) -> GoodCommand:
        """The command under test."""
        return GoodCommand()


class SaysNothingOfItself(GoodCommand):
    summary = ""


class ExplainsNothing(GoodCommand):
    @hookimpl
    def configure(self, parser):
        parser.add_argument("--times", type=int, default=1)


class AddsOneMoreEachTime(GoodCommand):
    _count = 0

    @hookimpl
    def configure(self, parser):
        self._count += 1
        parser.add_argument(f"--times-{self._count}", help="how often")


class AlwaysFails(GoodCommand):
    @hookimpl
    def run(self, arguments):
        return 1


class NeverFails(GoodCommand):
    @hookimpl
    def run(self, arguments):
        return 0


class LacksRun(GoodCommand):
    run = None


CAUGHT_BY = {
    "test_driver_keeps_the_hook_contract": [LacksRun],
    "test_it_has_a_summary": [SaysNothingOfItself],
    "test_every_argument_is_explained": [ExplainsNothing],
    "test_configuring_two_parsers_is_harmless": [AddsOneMoreEachTime],
    "test_success_is_status_zero": [AlwaysFails],
    "test_failure_is_an_error_or_a_status": [NeverFails],
}


@pytest.mark.parametrize(("check", "wrong"), [(check, wrong) for check in CAUGHT_BY for wrong in CAUGHT_BY[check]])
def test_each_check_fails_a_command_that_breaks_its_rule(check: str, wrong: type) -> None:
    """A check that cannot fail proves nothing."""
    driver = wrong()
    assert check in failures(TestACorrectCommand, lambda: {"driver": driver}, only=check)


def test_every_check_has_a_command_that_it_fails() -> None:
    """The list above leaves no check out."""
    assert set(CAUGHT_BY) == set(standard_tests(CommandConformance))
