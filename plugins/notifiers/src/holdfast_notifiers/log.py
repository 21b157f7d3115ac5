"""Notices as log lines: the least that every installation has."""

import logging
from collections.abc import Mapping
from typing import Any, ClassVar

from holdfast.hooks.markers import hookimpl
from holdfast.hooks.notifier import Notice
from holdfast.options import Option

log = logging.getLogger("holdfast.notice")

_LEVELS = {"INFO": logging.INFO, "WARN": logging.WARNING, "ERROR": logging.ERROR}


class LogNotifier:
    """Notifier `log`: one line for each notice, at the notice's own level."""

    SETTINGS: ClassVar[Mapping[str, Option]] = {}

    def __init__(self, settings: Mapping[str, Any]) -> None:
        """Takes no settings."""

    @hookimpl
    def notify(self, notice: Notice) -> None:
        """Write the line."""
        parts = [f"{notice.kind} {notice.name}: {notice.subject}", notice.text]
        parts += [f"resource={notice.resource}"] if notice.resource else []
        parts += [f"{key}={value}" for key, value in notice.facts.items()]
        # One notice is one line, whatever its text: log readers split at line ends.
        line = " | ".join(" ".join(part.split()) for part in parts if part.strip())
        log.log(_LEVELS.get(notice.level, logging.WARNING), "%s", line)
