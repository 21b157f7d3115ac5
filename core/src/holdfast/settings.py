"""Global settings: what they are called, what they mean, our default beside upstream's, and where they may be set.

Names and scopes are CloudStack's where CloudStack has them. Values are text, as the API and the table carry them;
`Settings` gives them typed. This module reads nothing: the caller brings the stored values.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from holdfast.errors import InvalidRequest
from holdfast.settings_catalogue import ENTRIES, WORDS

Kind = Literal["int", "float", "bool", "text"]
Scope = Literal["Global", "Zone", "Cluster", "StoragePool"]


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting. `upstream` is CloudStack 4.22's default ("-" where it has none); `low` and `high` are inclusive.

    Of a text `high` is the most characters. `words` are the only texts that it takes; empty if it takes any.
    """

    name: str
    kind: Kind
    default: str
    upstream: str
    scope: Scope
    unit: str
    description: str
    category: str
    low: float | None = None
    high: float | None = None
    words: tuple[str, ...] = ()

    def parse(self, text: str) -> int | float | bool | str:
        """The typed value of `text`, or `InvalidRequest` naming the setting, the text and what is allowed."""
        try:
            value = _READERS[self.kind](text.strip())
        except ValueError:
            raise InvalidRequest(f"setting {self.name}: {text!r} is not {_ARTICLES[self.kind]}") from None
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            self._check_range(value)
        if isinstance(value, str) and self.high is not None and len(value) > self.high:
            raise InvalidRequest(f"setting {self.name}: it has {len(value)} characters, {self.high:g} are allowed")
        if self.words and str(value).lower() not in self.words:
            raise InvalidRequest(f"setting {self.name}: {text!r} is not allowed; allowed is {' or '.join(self.words)}")
        return value.lower() if self.words and isinstance(value, str) else value

    def _check_range(self, value: float) -> None:
        if not math.isfinite(value):
            raise InvalidRequest(f"setting {self.name}: {value} is not a finite number")
        if self.low is not None and value < self.low:
            raise InvalidRequest(f"setting {self.name}: {value:g} is below the lowest allowed value {self.low:g}")
        if self.high is not None and value > self.high:
            raise InvalidRequest(f"setting {self.name}: {value:g} is above the highest allowed value {self.high:g}")


def _read_bool(text: str) -> bool:
    lowered = text.lower()
    if lowered not in ("true", "false"):
        raise ValueError(text)
    return lowered == "true"


_READERS: dict[str, Callable[[str], int | float | bool | str]] = {
    "int": int,
    "float": float,
    "bool": _read_bool,
    "text": str,
}
_TABLES = {
    "Global": "table configuration",
    "Zone": "table data_center_details",
    "Cluster": "table cluster_details",
    "StoragePool": "table storage_pool_details",
}
_ARTICLES = {"int": "a whole number", "float": "a number", "bool": "true or false", "text": "text"}

CATALOGUE: dict[str, Setting] = {entry[0]: Setting(*entry, WORDS.get(entry[0], ())) for entry in ENTRIES}
"""Every setting by name."""


class Settings:
    """Effective values: stored scoped value, else stored global value, else the provider's default, else the default.

    Immutable; make a new one when stored values change. A stored text that cannot be read falls back to the default and
    is listed in `problems`, so that a row changed badly by hand never stops the loop.
    """

    __slots__ = ("_cache", "_numbers", "_problems", "_scoped", "_stored")

    def __init__(
        self,
        stored: Mapping[str, str] | None = None,
        scoped: Mapping[tuple[str, int], Mapping[str, str]] | None = None,
    ) -> None:
        """`stored`: name → text. `scoped`: (scope, database id) → name → text, e.g. ("Cluster", 3)."""
        self._stored = dict(stored or {})
        self._scoped = {key: dict(value) for key, value in (scoped or {}).items()}
        self._cache: dict[tuple[str, str, int], int | float | bool | str] = {}
        self._numbers: dict[str, float] = {}
        """Of the cache, those that are asked for without a place: loops ask for them all the time."""
        self._problems: list[str] | None = None

    def value(
        self,
        name: str,
        *,
        zone: int = 0,
        cluster: int = 0,
        pool: int = 0,
        provider_defaults: Mapping[str, str] | None = None,
    ) -> int | float | bool | str:
        """The typed value in effect there. `KeyError` for a name that is not in the catalogue."""
        setting = CATALOGUE[name]
        scope = setting.scope
        scope_id = 0 if scope == "Global" else cluster if scope == "Cluster" else zone if scope == "Zone" else pool
        if provider_defaults and name in provider_defaults and not self._is_set(name, setting.scope, scope_id):
            return setting.parse(provider_defaults[name])
        key = (name, scope, scope_id)
        found = self._cache.get(key)
        if found is None:
            found = self._cache[key] = self._read(setting, scope_id)
        return found

    def same_as(self, other: "Settings") -> bool:
        """Whether the stored values are the same."""
        return self._stored == other._stored and self._scoped == other._scoped

    def _is_set(self, name: str, scope: str, scope_id: int) -> bool:
        return name in self._stored or name in self._scoped.get((scope, scope_id), {})

    def _read(self, setting: Setting, scope_id: int) -> int | float | bool | str:
        scoped = self._scoped.get((setting.scope, scope_id), {})
        for text in (scoped.get(setting.name), self._stored.get(setting.name)):
            if text is None:
                continue
            try:
                return setting.parse(text)
            except InvalidRequest:
                continue  # `problems` says so
        return setting.parse(setting.default)

    @property
    def problems(self) -> list[str]:
        """Every stored text that cannot be used, whether it was asked for or not: its row, the text, what is allowed.

        Looked for once.
        """
        if self._problems is None:
            self._problems = list(self._unusable())
        return self._problems

    def _unusable(self) -> Iterator[str]:
        rows = [(("Global", 0), name, text) for name, text in self._stored.items()]
        rows += [(place, name, text) for place, texts in self._scoped.items() for name, text in texts.items()]
        for (scope, scope_id), name, text in rows:
            setting = CATALOGUE.get(name)
            if setting is None or scope not in ("Global", setting.scope):
                continue
            try:
                setting.parse(text)
            except InvalidRequest as problem:
                where = f"{_TABLES[scope]}, {scope} {scope_id}" if scope_id else _TABLES[scope]
                instead = f"the global value or the default {setting.default!r}" if scope_id else repr(setting.default)
                yield f"{problem} (row {name} of {where}); in effect is {instead} until the row is mended"

    def number(self, name: str, **where: int) -> float:
        """A numeric setting as float."""
        if where:
            return self._number(name, **where)
        found = self._numbers.get(name)
        if found is None:
            found = self._numbers[name] = self._number(name)
        return found

    def _number(self, name: str, **where: int) -> float:
        value = self.value(name, **where)  # type: ignore[arg-type]
        assert isinstance(value, (int, float))
        return float(value)

    def whole(self, name: str, **where: int) -> int:
        """A whole-number setting."""
        return int(self.number(name, **where))

    def flag(self, name: str, **where: int) -> bool:
        """A true/false setting."""
        return bool(self.value(name, **where))  # type: ignore[arg-type]

    def text(self, name: str, **where: int) -> str:
        """A text setting."""
        return str(self.value(name, **where))  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True)
class Inequality:
    """One rule that ties settings together. `holds` is computed from the values of `names`, in order."""

    text: str
    names: tuple[str, ...]
    reason: str

    def slack(self, settings: Settings, **where: int) -> float:
        """Left side minus right side; the rule holds while it is above 0."""
        return _SLACKS[self.text](*(settings.number(name, **where) for name in self.names))


_SLACKS: dict[str, Callable[..., float]] = {
    "ha.storage.beat.stale > ha.storage.beat.interval + 2": lambda stale, beat: stale - beat - 2.0,
    "kvm.ha.fence.timeout > kvm.ha.fence.power.off.confirmations x kvm.ha.power.check.timeout"
    " + (confirmations - 1) x kvm.ha.power.check.interval": lambda fence, reads, timeout, gap: (
        fence - reads * timeout - (reads - 1) * gap
    ),
    "cluster.heartbeat.threshold > 2 x cluster.heartbeat.interval": lambda lease, beat: lease - 2 * beat,
    "ha.watchdog.margin > 1 + 0.0005 x (ha.storage.lease + ha.watchdog.time)": lambda margin, lease, dog: (
        margin - 1.0 - 0.0005 * (lease + dog)
    ),
    "ha.storage.lease > 2 x ha.storage.beat.interval": lambda lease, beat: lease - 2 * beat,
    "kvm.ha.power.off.max.interval > kvm.ha.power.check.interval": lambda longest, gap: longest - gap,
    "ha.storage.lease / 2 > ping.interval + cluster.heartbeat.interval / 1000 + 2": lambda lease, beat, renewal: (
        lease / 2 - beat - renewal / 1000 - 2.0
    ),
}

INEQUALITIES: tuple[Inequality, ...] = tuple(
    Inequality(text, names, reason)
    for text, names, reason in (
        (
            "ha.storage.beat.stale > ha.storage.beat.interval + 2",
            ("ha.storage.beat.stale", "ha.storage.beat.interval"),
            "a beat that is merely late would be read as a dead host",
        ),
        (
            "kvm.ha.fence.timeout > kvm.ha.fence.power.off.confirmations x kvm.ha.power.check.timeout"
            " + (confirmations - 1) x kvm.ha.power.check.interval",
            (
                "kvm.ha.fence.timeout",
                "kvm.ha.fence.power.off.confirmations",
                "kvm.ha.power.check.timeout",
                "kvm.ha.power.check.interval",
            ),
            "a fence attempt would end before its read-backs can",
        ),
        (
            "cluster.heartbeat.threshold > 2 x cluster.heartbeat.interval",
            ("cluster.heartbeat.threshold", "cluster.heartbeat.interval"),
            "one lost renewal would cost a management server its lease",
        ),
        (
            "ha.watchdog.margin > 1 + 0.0005 x (ha.storage.lease + ha.watchdog.time)",
            ("ha.watchdog.margin", "ha.storage.lease", "ha.watchdog.time"),
            "clocks drift by up to 500 ppm over the lease, and a watchdog ticks once a second",
        ),
        (
            "ha.storage.lease > 2 x ha.storage.beat.interval",
            ("ha.storage.lease", "ha.storage.beat.interval"),
            "one late storage beat would cost a host its lease",
        ),
        (
            "kvm.ha.power.off.max.interval > kvm.ha.power.check.interval",
            ("kvm.ha.power.off.max.interval", "kvm.ha.power.check.interval"),
            "OFF readings would expire before the next one is taken",
        ),
        (
            "ha.storage.lease / 2 > ping.interval + cluster.heartbeat.interval / 1000 + 2",
            ("ha.storage.lease", "ping.interval", "cluster.heartbeat.interval"),
            "in an outage of all storage a host's lease could end before its owner's grant of life comes, "
            "and its watchdog could reset it",
        ),
    )
)


def contradictions(
    settings: Settings, clusters: Iterable[int] = (0,), rules: Iterable[Inequality] = INEQUALITIES
) -> list[str]:
    """One sentence per inequality that does not hold in one of the clusters (0: the global values)."""
    found = []
    for cluster in clusters:
        for rule in rules:
            slack = rule.slack(settings, cluster=cluster)
            if slack <= 0:
                values = ", ".join(f"{name} = {settings.number(name, cluster=cluster):g}" for name in rule.names)
                where = f" in cluster {cluster}" if cluster else ""
                found.append(
                    f"{rule.text} does not hold{where} ({values}; slack {slack:g}, must be above 0): {rule.reason}"
                )
    return found
