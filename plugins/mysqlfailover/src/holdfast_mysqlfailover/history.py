"""Which transactions a server has: GTID sets of MariaDB and of MySQL, in one shape.

An origin is where transactions were first written: domain and server id on MariaDB, the server's UUID on MySQL.
MariaDB keeps one number per origin, the last one; MySQL keeps intervals.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

Span = tuple[int, int]
"""First and last number, both inclusive."""


@dataclass(frozen=True, slots=True)
class History:
    """Origin → spans of transaction numbers, in order and apart from each other."""

    spans: Mapping[str, tuple[Span, ...]] = field(default_factory=dict)

    def beyond(self, other: "History", origins: str = "") -> "History":
        """What this history has and `other` lacks; only of origins that end with `origins`."""
        found = {}
        for origin, spans in self.spans.items():
            left = _subtract(spans, other.spans.get(origin, ()))
            if left and origin.endswith(origins):
                found[origin] = left
        return History(found)

    def together(self, other: "History") -> "History":
        """What either has."""
        origins = {*self.spans, *other.spans}
        return History(
            {origin: _merge(self.spans.get(origin, ()) + other.spans.get(origin, ())) for origin in sorted(origins)}
        )

    def __bool__(self) -> bool:
        return bool(self.spans)

    def __len__(self) -> int:
        """How many transactions these are; too many rather than too few for MariaDB, whose origins share numbers."""
        return sum(last - first + 1 for spans in self.spans.values() for first, last in spans)

    def __str__(self) -> str:
        return ", ".join(
            f"{origin}:{'+'.join(str(last) if first == last else f'{first}-{last}' for first, last in spans)}"
            for origin, spans in self.spans.items()
        )


def mariadb_history(*texts: str | None) -> History:
    """From lists such as `0-1-17,0-2-5`; several are united. All up to an origin's number count."""
    last: dict[str, int] = {}
    for text in texts:
        for each in filter(None, (part.strip() for part in (text or "").split(","))):
            domain, server, number = each.split("-")
            origin = f"{domain}-{server}"
            last[origin] = max(last.get(origin, 0), int(number))
    return History({origin: ((1, number),) for origin, number in last.items() if number})


def mysql_history(text: str | None) -> History:
    """From a set such as `3e11fa47-…:1-5:11,…:1-3`."""
    found: dict[str, tuple[Span, ...]] = {}
    for each in filter(None, ("".join(part.split()) for part in (text or "").split(","))):
        origin, *intervals = each.split(":")
        spans = []
        for interval in intervals:
            first, _, last = interval.partition("-")
            spans.append((int(first), int(last or first)))
        found[origin.lower()] = _merge(found.get(origin.lower(), ()) + tuple(spans))
    return History(found)


def _merge(spans: tuple[Span, ...]) -> tuple[Span, ...]:
    merged: list[Span] = []
    for first, last in sorted(spans):
        if merged and first <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(merged[-1][1], last))
        else:
            merged.append((first, last))
    return tuple(merged)


def _subtract(spans: tuple[Span, ...], taken: tuple[Span, ...]) -> tuple[Span, ...]:
    left = list(spans)
    for low, high in taken:
        rest: list[Span] = []
        for first, last in left:
            if high < first or last < low:
                rest.append((first, last))
                continue
            if first < low:
                rest.append((first, low - 1))
            if high < last:
                rest.append((high + 1, last))
        left = rest
    return tuple(left)
