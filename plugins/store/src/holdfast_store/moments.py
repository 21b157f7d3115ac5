"""Moments between floats and columns. Kept to the microsecond, always UTC, without a time zone in the column."""

from datetime import UTC, datetime, timedelta
from typing import Any

from holdfast.model.rows import Moment

_START = datetime(1970, 1, 1)  # noqa: DTZ001 - columns hold naive UTC
_MICROSECONDS = 1_000_000


def to_column(moment: float) -> datetime:
    """The column's value. `OverflowError` or `ValueError` outside the years 1 to 9999."""
    return _START + timedelta(microseconds=round(moment * _MICROSECONDS))


def rounded(moment: float) -> float:
    """The moment as it will be read back."""
    return round(moment * _MICROSECONDS) / _MICROSECONDS


def from_raw(value: str | datetime) -> Moment:
    """From what a driver gives, SQLite's a text. `ValueError` or `TypeError` if it is not as `to_column` writes it."""
    moment = datetime.fromisoformat(value) if isinstance(value, str) else value
    return Moment((moment - _START).total_seconds())


def from_anything(value: Any) -> Moment:
    """As typed by hand: with a zone, without microseconds, a date alone. `ValueError` if it is no moment."""
    found = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
    return from_raw(found if found.tzinfo is None else found.astimezone(UTC).replace(tzinfo=None))
