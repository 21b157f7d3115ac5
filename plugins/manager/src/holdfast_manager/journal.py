"""What gets written down about what happens: events, alerts and transitions, as rows for a batch."""

import json
from collections.abc import Iterable

from holdfast.engine.explain import evidence_json
from holdfast.engine.incident import Moved
from holdfast.hooks.store import Insert, Update
from holdfast.model import Alert, Event, Evidence, HaTransition, Host, Json, Moment, Vm
from holdfast.model.alerts import ALERT_TYPES
from holdfast.runtime import Runtime


class Journal:
    """Makes rows; writes nothing. Events carry the evidence that led to them (S8)."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    def now(self) -> Moment:
        """The wall-clock moment of a row."""
        return Moment(self._runtime.clock.wall())

    def event(
        self,
        kind: str,
        text: str,
        *,
        resource: str = "",
        of: str = "Host",
        level: str = "INFO",
        evidence: Iterable[Evidence] = (),
        user: int = 0,
        account: int = 0,
    ) -> Insert:
        """An event row."""
        return Insert(
            Event(
                uuid=self._runtime.uuid(), type=kind, level=level, description=text, resource_type=of,
                resource_id=resource, user_id=user, account_id=account,
                evidence=Json(evidence_json(tuple(evidence))), created=self.now(),
            )
        )  # fmt: skip

    def alert(self, name: str, subject: str, text: str, host: Host | None = None, vm: Vm | None = None) -> Insert:
        """An alert row about a host or a VM."""
        place = host or vm
        return Insert(
            Alert(
                uuid=self._runtime.uuid(), type=ALERT_TYPES[name], name=name, subject=subject, content=text,
                resource_id=place.uuid if place else "", data_center_id=place.data_center_id if place else None,
                pod_id=place.pod_id if place else None, cluster_id=place.cluster_id if place else None,
                created=self.now(), last_sent=self.now(),
            )
        )  # fmt: skip

    def closed(self, alerts: Iterable[Alert]) -> list[Update]:
        """What these alerts are about is over."""
        return [Update(Alert, alert.id, {"resolved": self.now()}) for alert in alerts]

    def transition(self, host_id: int, moved: Moved, owner_epoch: int) -> Insert:
        """A transition row."""
        return Insert(
            HaTransition(
                host_id=host_id, event=moved.event, state=moved.target, prev_state=moved.source or "",
                activity_counter=moved.activity_counter, recovery_counter=moved.recovery_counter, reason=moved.reason,
                evidence=Json(evidence_json(moved.evidence)), owner_epoch=owner_epoch, created=self.now(),
            )
        )  # fmt: skip


def as_json(value: object) -> Json:
    """A JSON column's text."""
    return Json(json.dumps(value, separators=(",", ":"), sort_keys=True))


def from_json(text: str) -> dict[str, object]:
    """A JSON object column; anything unreadable (a row changed by hand) counts as empty."""
    try:
        found = json.loads(text or "{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
