"""The notifier suite passes a correct notifier, and each check fails one that breaks its rule."""

import logging
import threading

import pytest
from holdfast.errors import Unreachable
from holdfast.hooks.markers import hookimpl
from holdfast_conformance import NotifierBench, NotifierCapabilities, NotifierConformance, failures, standard_tests

SECRET = "token of the other end"


class Inbox(NotifierBench):
    """The other end, in memory."""

    def __init__(self) -> None:
        self.items: list[str] = []
        self.silent = False
        self.gate = threading.Event()

    def received(self) -> list[str]:
        return list(self.items)

    def make_unreachable(self) -> None:
        self.silent = True


class MemoryNotifier:
    """A correct notifier."""

    def __init__(self, inbox: Inbox) -> None:
        self._inbox = inbox

    @hookimpl
    def notify(self, notice, deadline):
        if self._inbox.silent:
            raise Unreachable("nobody takes notices")
        self._inbox.items.append(f"{notice.level} {notice.name} {notice.subject} {notice.text}")


class TestACorrectNotifier(NotifierConformance):
    """The whole suite."""

    capabilities = NotifierCapabilities(secrets=(SECRET,))

    @pytest.fixture
    def bench(self) -> Inbox:
        """A fresh inbox."""
        return Inbox()

    @pytest.fixture
    def driver(self, bench: Inbox) -> MemoryNotifier:
        """The notifier under test."""
        return MemoryNotifier(bench)


class SendsTheNameAlone(MemoryNotifier):
    @hookimpl
    def notify(self, notice, deadline):
        self._inbox.items.append(notice.name)


class KeepsTheLastAlone(MemoryNotifier):
    @hookimpl
    def notify(self, notice, deadline):
        super().notify(notice, deadline)
        self._inbox.items = self._inbox.items[-1:]


class SwallowsTrouble(MemoryNotifier):
    @hookimpl
    def notify(self, notice, deadline):
        try:
            super().notify(notice, deadline)
        except Unreachable:
            logging.getLogger("memory").warning("lost %s", notice.name)


class Hangs(MemoryNotifier):
    @hookimpl
    def notify(self, notice, deadline):
        if self._inbox.silent:
            self._inbox.gate.wait(30)


class ShowsTheToken(MemoryNotifier):
    @hookimpl
    def notify(self, notice, deadline):
        logging.getLogger("memory").debug("sending with %s", SECRET)
        super().notify(notice, deadline)


class LacksNotify:
    def __init__(self, inbox: Inbox) -> None:
        """It takes an inbox and does nothing with it."""


CAUGHT_BY = {
    "test_driver_keeps_the_hook_contract": [LacksNotify],
    "test_a_notice_arrives": [SendsTheNameAlone, KeepsTheLastAlone],
    "test_notices_from_many_threads_all_arrive": [KeepsTheLastAlone],
    "test_silence_is_unreachable": [SwallowsTrouble, Hangs],
    "test_secrets_are_never_shown": [ShowsTheToken],
}


@pytest.mark.parametrize(("check", "wrong"), [(check, wrong) for check in CAUGHT_BY for wrong in CAUGHT_BY[check]])
def test_each_check_fails_a_notifier_that_breaks_its_rule(check: str, wrong: type) -> None:
    """A check that cannot fail proves nothing."""

    def fixtures() -> dict[str, object]:
        inbox = Inbox()
        return {"bench": inbox, "driver": wrong(inbox)}

    assert check in failures(TestACorrectNotifier, fixtures, only=check)


def test_every_check_has_a_notifier_that_it_fails() -> None:
    """The list above leaves no check out."""
    assert set(CAUGHT_BY) == set(standard_tests(NotifierConformance))
