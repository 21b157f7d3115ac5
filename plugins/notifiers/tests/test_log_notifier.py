"""Notices as log lines."""

import logging

import pytest
from holdfast.hooks.notifier import Notice
from holdfast.plugins import Plugins
from holdfast_notifiers.log import LogNotifier


def notice(**changes: object) -> Notice:
    """A notice like any other."""
    given = {
        "kind": "alert", "name": "ALERT.HA", "level": "WARN", "subject": "host h1 is silent",
        "text": "no beats\nfor 3 s", "at": 1.0, "resource": "h1", "facts": {"verdict": "unknown"},
    }  # fmt: skip
    return Notice(**{**given, **changes})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("level", "number"),
    [("INFO", logging.INFO), ("WARN", logging.WARNING), ("ERROR", logging.ERROR), ("odd", logging.WARNING)],
)
def test_one_notice_is_one_line_at_its_level(level: str, number: int, caplog: pytest.LogCaptureFixture) -> None:
    """All parts of the notice are there, and line ends in it make no second line."""
    with caplog.at_level(logging.INFO, "holdfast.notice"):
        LogNotifier({}).notify(notice(level=level))
    assert [record.levelno for record in caplog.records] == [number]
    line = caplog.records[0].getMessage()
    assert line == "alert ALERT.HA: host h1 is silent | no beats for 3 s | resource=h1 | verdict=unknown"


def test_it_is_what_a_configuration_without_words_uses(caplog: pytest.LogCaptureFixture) -> None:
    """Loaded through the hub, it is called with the deadline that it does not take itself."""
    (notifier,) = Plugins().drivers("notifier")
    with caplog.at_level(logging.INFO, "holdfast.notice"):
        notifier.notify(notice(), 1.0)
    assert len(caplog.records) == 1
