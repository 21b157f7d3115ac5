"""Times as the API writes and reads them."""

import time
from datetime import UTC, datetime

from holdfast.model import Moment

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
