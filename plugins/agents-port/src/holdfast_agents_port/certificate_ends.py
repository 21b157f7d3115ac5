"""Tells of certificates before they end: a host's that its agent has not renewed, and the authority's own.

A host whose certificate ended is cut off from every server at once, and looks like one that died.
"""

import logging
import time
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from holdfast.hooks.store import Change, Insert, Query, Store, Update
from holdfast.model import Alert, Event, Host, ManagementServer, Moment
from holdfast.model.alerts import ALERT_TYPES
from holdfast.model.certificates import day_of, ending

from holdfast_agents_port.registrar import Registrar

log = logging.getLogger("holdfast.agents.certificates")

HOST_ALERT = "ALERT.HOST.CERTIFICATE"
AUTHORITY_ALERT = "ALERT.CA.CERTIFICATE"
_EVENTS = {HOST_ALERT: "HOST.CERTIFICATE.END", AUTHORITY_ALERT: "CA.CERTIFICATE.END"}
_AUTHORITY_WARNED = 180 * 86400.0
_AGAIN_AFTER = 86400.0
_SAME_END = 3600.0


@dataclass(frozen=True, slots=True)
class Ending:
    """One certificate. `host` is None for the authority's."""

    alert: str
    text: str
    host: Host | None = None

    @property
    def key(self) -> tuple[str, str]:
        """What tells it from others: the alert's name, and whom it is about."""
        return self.alert, self.host.uuid if self.host else ""


class CertificateEnds:
    """Looks at what is stored. Of several servers the first that is up writes. Blocks; not thread-safe."""

    def __init__(self, store: Store, registrar: Registrar, server: str, wall: Callable[[], float] = time.time) -> None:
        self._store = store
        self._registrar = registrar
        self._server = server
        self._wall = wall

    def found(self) -> list[Ending]:
        """All that come to their end now."""
        now, expires = self._wall(), self._registrar.authority.expires
        endings = []
        if now >= expires - _AUTHORITY_WARNED:
            text = (
                f"the agents' certificate authority ends on {day_of(expires)}, and every certificate of hosts and "
                "servers with it: plan a day on which each host joins again. How: docs/how-to/install-on-hosts.md"
            )
            endings.append(Ending(AUTHORITY_ALERT, text))
        for host, certificate in self._registrar.newest_certificates():
            # Nothing that outlives the authority can be had: its own alert says all there is to say.
            text = "" if certificate.expires >= expires - _SAME_END else ending(certificate, now)
            if text:
                endings.append(Ending(HOST_ALERT, f"host {host.name}: {text}", host))
        return endings

    def look(self) -> list[Ending]:
        """Write what is new, and once a day what lasts; close what is over. Returns what was written anew.

        Raises what the store raises; the next look then does it.
        """
        if not self._is_ours():
            return []
        now, changes, told = Moment(self._wall()), [], []
        open_ones = {(alert.name, alert.resource_id): alert for alert in self._open()}
        for one in self.found():
            alert = open_ones.pop(one.key, None)
            if alert is None:
                changes += _rows(one, now)
                told.append(one)
            elif now - alert.last_sent >= _AGAIN_AFTER:
                values = {"content": one.text, "last_sent": now, "sent_count": alert.sent_count + 1}
                changes.append(Update(Alert, alert.id, values, {"sent_count": alert.sent_count}))
                told.append(one)
        changes += [Update(Alert, alert.id, {"resolved": now}) for alert in open_ones.values()]
        if changes:
            self._store.commit(changes)
        for one in told:
            log.warning("%s", one.text)
        return told

    def _is_ours(self) -> bool:
        up = Query(equal={"removed": None, "state": "Up"}, order=("msid",), limit=1)
        first = self._store.select(ManagementServer, up)
        return not first or first[0].name == self._server

    def _open(self) -> Iterable[Alert]:
        return self._store.select(Alert, Query(equal={"resolved": None}, among={"name": tuple(_EVENTS)}))


def _rows(one: Ending, now: Moment) -> list[Change]:
    host = one.host
    subject = f"the certificate of host {host.name} ends" if host else "the agents' certificate authority ends"
    return [
        Insert(
            Alert(
                uuid=str(uuid.uuid4()), type=ALERT_TYPES[one.alert], name=one.alert, subject=subject, content=one.text,
                resource_id=host.uuid if host else "", data_center_id=host.data_center_id if host else None,
                pod_id=host.pod_id if host else None, cluster_id=host.cluster_id if host else None, created=now,
                last_sent=now,
            )
        ),
        Insert(
            Event(
                uuid=str(uuid.uuid4()), type=_EVENTS[one.alert], level="WARN", description=one.text,
                resource_type="Host" if host else "CertificateAuthority", resource_id=host.uuid if host else "",
                created=now,
            )
        ),
    ]  # fmt: skip
