"""Conformance of commands: words on the command line that help, and fail in one line."""

import argparse
from typing import ClassVar

import pytest
from holdfast.errors import HoldfastError
from holdfast.hooks.command import Command

from holdfast_conformance.suite import Conformance


class CommandConformance(Conformance):
    """Subclass it; give the fixture `driver`, `good` (arguments that end with status 0) and `bad` (ones that fail)."""

    point = "command"
    good: ClassVar[tuple[str, ...] | None] = None
    bad: ClassVar[tuple[str, ...] | None] = None

    def test_it_has_a_summary(self, driver: Command) -> None:
        """One line for `holdfast --help`."""
        assert driver.summary.strip()
        assert "\n" not in driver.summary

    def test_every_argument_is_explained(self, driver: Command) -> None:
        """`--help` works, and says something about each argument."""
        parser = self._parser(driver)
        assert parser.format_help()
        unexplained = [
            action.dest for action in parser._actions if not action.help and not isinstance(action.choices, dict)
        ]
        assert unexplained == []

    def test_configuring_two_parsers_is_harmless(self, driver: Command) -> None:
        """`configure` keeps nothing between calls."""
        assert self._parser(driver).format_help() == self._parser(driver).format_help()

    def test_success_is_status_zero(self, driver: Command) -> None:
        """The arguments in `good` end with 0."""
        if self.good is None:
            pytest.skip("the suite names no arguments that succeed")
        assert driver.run(self._parser(driver).parse_args(self.good)) == 0

    def test_failure_is_an_error_or_a_status(self, driver: Command) -> None:
        """The arguments in `bad` end with a status above 0, or a `HoldfastError`, or the parser refuses them."""
        if self.bad is None:
            pytest.skip("the suite names no arguments that fail")
        try:
            status = driver.run(self._parser(driver).parse_args(self.bad))
        except (HoldfastError, SystemExit) as problem:
            status = problem.code if isinstance(problem, SystemExit) and isinstance(problem.code, int) else 2
        assert status > 0

    @staticmethod
    def _parser(driver: Command) -> argparse.ArgumentParser:
        parser = argparse.ArgumentParser(prog="holdfast word")
        driver.configure(parser)
        return parser
