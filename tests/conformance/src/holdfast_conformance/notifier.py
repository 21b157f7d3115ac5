"""Conformance of notifiers: every notice arrives whole, or its loss is said."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import pytest
from holdfast.errors import Unreachable
from holdfast.hooks.notifier import Notice, Notifier

from holdfast_conformance.calls import attempt, raised_by, together
from holdfast_conformance.secrecy import SecretWatch
from holdfast_conformance.suite import Conformance

SHORT_DEADLINE = 1.0
THREADS = 8


@dataclass(frozen=True, slots=True)
class NotifierCapabilities:
    """`can_be_unreachable` guards the knob `make_unreachable`; `secrets` are those of the driver's settings."""

    can_be_unreachable: bool = True
    secrets: tuple[str, ...] = ()
    deadline_seconds: float = 5.0


class NotifierBench(ABC):
    """The other end: where notices arrive."""

    @abstractmethod
    def received(self) -> list[str]:
        """What arrived so far, as text, in order: one item per notice. Waits for what is still on its way."""

    def make_unreachable(self) -> None:
        """Nobody answers at the other end from now on."""
        raise NotImplementedError("give the bench `make_unreachable`, or set can_be_unreachable=False")


def notice(number: int, level: str = "WARN") -> Notice:
    """A notice that can be told from others by its name."""
    return Notice(
        kind="alert",
        name=f"CONFORMANCE.NOTICE-{number:03d}",
        level=level,
        subject=f"subject of {number:03d}: 호스트 \u201cquoted\u201d <&>",
        text=f"text of {number:03d}, first line\nsecond line",
        at=1_700_000_000.0 + number,
        resource=f"host-{number:03d}",
        facts={"state": "Fencing"},
    )


class NotifierConformance(Conformance):
    """Subclass it; give the fixtures `bench` (a `NotifierBench`, fresh for each test) and `driver`."""

    point = "notifier"
    capabilities: ClassVar[NotifierCapabilities] = NotifierCapabilities()

    def test_a_notice_arrives(self, driver: Notifier, bench: NotifierBench) -> None:
        """Name, subject and level get through, in any script, and with line breaks in the text."""
        for number, level in enumerate(("INFO", "WARN", "ERROR")):
            driver.notify(notice(number, level), self.capabilities.deadline_seconds)
        arrived = bench.received()
        assert len(arrived) == 3, f"three notices were sent, {len(arrived)} arrived"
        for number, text in enumerate(arrived):
            assert f"CONFORMANCE.NOTICE-{number:03d}" in text
            assert f"{number:03d}" in text.replace(f"NOTICE-{number:03d}", "")

    def test_notices_from_many_threads_all_arrive(self, driver: Notifier, bench: NotifierBench) -> None:
        """None is lost and none is mixed up with another."""
        patience = self.capabilities.deadline_seconds * 2
        calls = [lambda sent=number: driver.notify(notice(sent), patience) for number in range(THREADS)]
        together(calls, patience)
        arrived = bench.received()
        found = sorted(number for number in range(THREADS) for text in arrived if f"NOTICE-{number:03d}" in text)
        assert found == list(range(THREADS))

    def test_silence_is_unreachable(self, driver: Notifier, bench: NotifierBench) -> None:
        """A lost notice raises `Unreachable` within the deadline, so that the manager tries again later."""
        if not self.capabilities.can_be_unreachable:
            pytest.skip("the other end cannot be out of reach")
        bench.make_unreachable()
        raised_by(SHORT_DEADLINE, lambda: driver.notify(notice(1), SHORT_DEADLINE), Unreachable)

    def test_secrets_are_never_shown(self, driver: Notifier, bench: NotifierBench) -> None:
        """No secret of the settings in a log, an output, an error, a repr or a command line."""
        if not self.capabilities.secrets:
            pytest.skip("the notifier has no secrets")
        watch = SecretWatch(*self.capabilities.secrets)
        with watch.watching():
            driver.notify(notice(1), self.capabilities.deadline_seconds)
            if self.capabilities.can_be_unreachable:
                bench.make_unreachable()
                watch.note_error(attempt(SHORT_DEADLINE, lambda: driver.notify(notice(2), SHORT_DEADLINE)).error)
        watch.note("repr of the driver", f"{driver!r} {driver}")
        watch.assert_unseen()
