"""Global transaction ids: which transactions a server has, in both dialects.

MySQL writes sets ("uuid:1-5:7"), MariaDB the newest of each domain and server ("0-1-100"). Both become intervals by
origin here. Sequence numbers of MariaDB are shared by all servers of a domain, so an interval there means "up to".
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

Interval = tuple[int, int]

_MARIADB = re.compile(r"(\d+)-(\d+)-(\d+)")
_MARIADB_ORIGIN = re.compile(r"\d+-\d+")
_UUID = re.compile(r"[0-9a-fA-F-]{36}")


@dataclass(frozen=True, slots=True)
class GtidSet:
    """Transactions by origin: a UUID, or "domain-server". Intervals are inclusive, sorted and apart."""

    intervals: Mapping[str, tuple[Interval, ...]] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.intervals)

    def minus(self, other: "GtidSet") -> "GtidSet":
        """What is here and not there."""
        found = {}
        for origin, own in self.intervals.items():
            rest = _minus(own, other.intervals.get(origin, ()))
            if rest:
                found[origin] = rest
        return GtidSet(found)

    def union(self, other: "GtidSet") -> "GtidSet":
        """What is here or there."""
        origins = {*self.intervals, *other.intervals}
        return GtidSet({one: _merged((*self.intervals.get(one, ()), *other.intervals.get(one, ()))) for one in origins})

    def count(self) -> int:
        """How many numbers it holds."""
        return sum(high - low + 1 for found in self.intervals.values() for low, high in found)

    def __str__(self) -> str:
        return ", ".join(_written(origin, self.intervals[origin]) for origin in sorted(self.intervals))


@dataclass(frozen=True, slots=True)
class History:
    """What a server has executed. `newest` is its position: by domain in MariaDB, empty in MySQL."""

    executed: GtidSet = field(default_factory=GtidSet)
    newest: Mapping[str, int] = field(default_factory=dict)
    text: str = ""

    def behind(self, source: "History") -> int:
        """How many transactions of `source` are missing here, as far as numbers tell."""
        if source.newest or self.newest:
            return sum(max(0, number - self.newest.get(domain, 0)) for domain, number in source.newest.items())
        return source.executed.minus(self.executed).count()

    def beyond(self, source: "History") -> GtidSet:
        """What was executed here and not there."""
        return self.executed.minus(source.executed)


def _written(origin: str, found: Iterable[Interval]) -> str:
    """As the servers write it. Of MariaDB's numbers between two, others than the server may have made some, or all."""
    if not _MARIADB_ORIGIN.fullmatch(origin):
        return f"{origin}:{':'.join(str(low) if low == high else f'{low}-{high}' for low, high in found)}"
    ends = ((f"{origin}-{low}", f"{origin}-{high}", low) for low, high in found)
    return ", ".join(
        last if first == last else f"up to {last}" if low == 1 else f"{first} to {last}" for first, last, low in ends
    )


def parse_mysql(text: str) -> GtidSet:
    """A MySQL set such as "3e11…:1-5:7,\\n4f22…:1-3". Raises `ValueError`."""
    found: dict[str, tuple[Interval, ...]] = {}
    for part in filter(None, (piece.strip() for piece in (text or "").split(","))):
        origin, *ranges = part.split(":")
        if not _UUID.fullmatch(origin) or not ranges:
            raise ValueError(f"{part!r} is no GTID set")
        tags = [tag for tag in ranges if tag and not tag[0].isdigit()]
        if tags:  # MySQL 8.3 and later: uuid:tag:1-5
            origin = f"{origin.lower()}:{tags[0]}"
        spans = tuple(_interval(piece) for piece in ranges if piece not in tags)
        found[origin.lower()] = _merged((*found.get(origin.lower(), ()), *spans))
    return GtidSet(found)


def parse_mariadb(text: str) -> GtidSet:
    """A MariaDB state or position such as "0-1-100,0-2-101". Raises `ValueError`."""
    found: dict[str, tuple[Interval, ...]] = {}
    for domain, server, number in _triples(text):
        if number:
            found[f"{domain}-{server}"] = _merged((*found.get(f"{domain}-{server}", ()), (1, number)))
    return GtidSet(found)


def mariadb_positions(*texts: str) -> dict[str, int]:
    """The highest sequence number by domain of all these positions."""
    found: dict[str, int] = {}
    for text in texts:
        for domain, _server, number in _triples(text):
            found[str(domain)] = max(number, found.get(str(domain), 0))
    return found


def _triples(text: str) -> list[tuple[int, int, int]]:
    found = []
    for part in filter(None, (piece.strip() for piece in (text or "").split(","))):
        matched = _MARIADB.fullmatch(part)
        if matched is None:
            raise ValueError(f"{part!r} is no GTID of MariaDB")
        domain, server, number = matched.groups()
        found.append((int(domain), int(server), int(number)))
    return found


def _interval(text: str) -> Interval:
    low, _, high = text.partition("-")
    first, last = int(low), int(high or low)
    if first > last or first < 1:
        raise ValueError(f"{text!r} is no interval of a GTID set")
    return first, last


def _merged(spans: Iterable[Interval]) -> tuple[Interval, ...]:
    found: list[Interval] = []
    for low, high in sorted(spans):
        if found and low <= found[-1][1] + 1:
            found[-1] = (found[-1][0], max(high, found[-1][1]))
        else:
            found.append((low, high))
    return tuple(found)


def _minus(own: tuple[Interval, ...], others: tuple[Interval, ...]) -> tuple[Interval, ...]:
    rest = list(own)
    for low, high in others:
        cut: list[Interval] = []
        for first, last in rest:
            if last < low or first > high:
                cut.append((first, last))
                continue
            if first < low:
                cut.append((first, low - 1))
            if last > high:
                cut.append((high + 1, last))
        rest = cut
    return tuple(rest)
