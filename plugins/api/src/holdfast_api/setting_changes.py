"""Changing one stored setting safely: checked alone, checked against the others, written under a latch."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from holdfast.errors import InvalidRequest
from holdfast.hooks.store import Change, Insert, Query, Store, Update
from holdfast.model import ClusterDetail, Configuration, Moment, Row, StoragePoolDetail, ZoneDetail
from holdfast.settings import INEQUALITIES, Setting, Settings, contradictions

_LATCH = "holdfast.settings.version"
_DETAILS: Mapping[str, tuple[type[Any], str]] = {
    "Zone": (ZoneDetail, "dc_id"),
    "Cluster": (ClusterDetail, "cluster_id"),
    "StoragePool": (StoragePoolDetail, "pool_id"),
}
Texts = tuple[dict[str, str], dict[tuple[str, int], dict[str, str]]]


def check_change(setting: Setting, scope: str, scope_id: int, text: str, texts: Texts) -> str:
    """The text to store. `InvalidRequest` names what is wrong with it, or the inequality that would be broken."""
    value = setting.parse(text)
    stored_text = str(value).lower() if isinstance(value, bool) or setting.words else text.strip()
    stored, scoped = dict(texts[0]), {key: dict(values) for key, values in texts[1].items()}
    if scope == "Global":
        stored[setting.name] = stored_text
    else:
        scoped.setdefault((scope, scope_id), {})[setting.name] = stored_text
    clusters = (0, *sorted(number for kind, number in scoped if kind == "Cluster"))
    touched = tuple(rule.text for rule in INEQUALITIES if setting.name in rule.names)
    broken = [text for text in contradictions(Settings(stored, scoped), clusters) if text.startswith(touched)]
    if touched and broken:
        raise InvalidRequest(f"setting {setting.name}: {stored_text} contradicts other settings: {'; '.join(broken)}")
    return stored_text


@dataclass(frozen=True, slots=True)
class SettingChange:
    """A change about to be written. The latch makes it fail with `Conflict` if any other change came in between."""

    setting: Setting
    scope: str
    scope_id: int
    row: Row | None
    old: str | None
    latch: Configuration | None

    @classmethod
    def read(cls, store: Store, setting: Setting, scope: str, scope_id: int) -> "SettingChange":
        """What is stored now. Read it before the values that the new one is checked against."""
        latches = store.select(Configuration, Query(equal={"name": _LATCH}))
        record, place = _DETAILS.get(scope, (Configuration, ""))
        where = {place: scope_id} if place else {}
        rows: list[Any] = store.select(record, Query(equal={"name": setting.name, **where}))
        row = rows[0] if rows else None
        return cls(setting, scope, scope_id, row, row.value if row else None, latches[0] if latches else None)

    def writing(self, value: str, now: Moment) -> list[Change]:
        """The batch that stores `value`."""
        return [self._latched(now), self._stored(value, now)]

    def _latched(self, now: Moment) -> Change:
        if self.latch is None:
            return Insert(Configuration(name=_LATCH, value="1", updated=now))
        number = {"value": str(int(self.latch.value) + 1), "updated": now}
        return Update(Configuration, self.latch.id, number, expect={"value": self.latch.value})

    def _stored(self, value: str, now: Moment) -> Change:
        record, place = _DETAILS.get(self.scope, (Configuration, ""))
        values: dict[str, Any] = {"value": value} if place else {"value": value, "updated": now}
        if self.row is not None:
            return Update(record, self.row.id, values, expect={"value": self.old})
        identity = {place: self.scope_id} if place else {}
        return Insert(record(name=self.setting.name, **identity, **values))
