"""Times as the API writes and reads them."""

import math
import time
from datetime import UTC, datetime

from holdfast.model import Moment

_FIRST, _LAST = datetime(1, 1, 1, tzinfo=UTC).timestamp(), datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC).timestamp()
"""Stores hold no moment beyond these."""
_GRAIN_SECONDS = 0.001
_FORMATS = ("%Y-%m-%dT%H:%M:%S%z", "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d")


def moment_text(moment: Moment | None) -> str | None:
    """`2026-01-31T23:59:59+0000`, or None, which leaves the field out."""
    return None if moment is None else time.strftime("%Y-%m-%dT%H:%M:%S+0000", time.gmtime(moment))


def read_moment(text: str) -> Moment:
    """The moment that a text names, UTC unless it says otherwise; `ValueError` for what is no time."""
    for form in _FORMATS:
        try:
            found = datetime.strptime(text, form)  # noqa: DTZ007 - the zone is added below where the text has none
        except ValueError:
            continue
        return Moment((found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp())
    raise ValueError(text)


def just_before(moment: Moment) -> Moment:
    """The bound, exclusive, above which lies all that happened from this moment on."""
    return Moment(max(moment - _GRAIN_SECONDS, _FIRST))


def just_after(moment: Moment) -> Moment:
    """The bound, exclusive, below which lies all that happened until this moment, its second included: answers show no
    more of a moment than that, and people copy what they are shown."""
    return Moment(min(math.floor(moment) + 1.0, _LAST))
