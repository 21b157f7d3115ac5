"""Who may connect as which host: the store's word on tokens and certificates, kept at hand.

Reads and writes block; they run in a pool. What was read last also admits hosts while the store is away: losing the
database must not silence hosts that are well.
"""

import hashlib
import logging
import threading
import time
import uuid
from collections.abc import Callable

from holdfast.errors import Conflict, HoldfastError, InvalidRequest, Refused, StoreError
from holdfast.hooks.store import Change, Insert, Query, Store, Update
from holdfast.model import Alert, Event, Host, HostCertificate, HostJoinToken, KeyStore, Moment
from holdfast.model.alerts import ALERT_TYPES
from holdfast.model.certificates import newest_by_host

from holdfast_agents_port.authority import CertificateAuthority, Issued, new_authority

log = logging.getLogger("holdfast.agents.registrar")

_AUTHORITY = "agents"
"""Name of the authority's row."""


class Registrar:
    """Thread-safe. `days` is how long a host's certificate is good for."""

    def __init__(self, store: Store, days: float, wall: Callable[[], float] = time.time) -> None:
        self._store = store
        self._days = days
        self._wall = wall
        self._guard = threading.Lock()
        self._certificates: dict[str, HostCertificate] = {}
        self._hosts: dict[str, Host] = {}
        self.authority = self._open_authority()

    def _open_authority(self) -> CertificateAuthority:
        """The cloud's one authority; made if there is none. Servers that start together agree on one."""
        for _ in range(2):
            found = self._store.select(KeyStore, Query(equal={"name": _AUTHORITY}))
            if found and found[0].key is not None:
                return CertificateAuthority(found[0].certificate, found[0].key)
            certificate, key = new_authority()
            row = KeyStore(name=_AUTHORITY, certificate=certificate, key=key, created=Moment(self._wall()))
            try:
                if found:
                    log.warning("table keystore had the authority without its key: a new one is made, hosts join again")
                    values = {"certificate": certificate, "key": key, "created": row.created}
                    self._store.commit([Update(KeyStore, found[0].id, values, {"key": None})])
                else:
                    self._store.commit([Insert(row)])
            except Conflict:
                log.info("another server was first to make the certificate authority")
        found = self._store.select(KeyStore, Query(equal={"name": _AUTHORITY}))
        if not found or found[0].key is None:
            raise InvalidRequest("the agents' certificate authority was neither found nor made; look at table keystore")
        return CertificateAuthority(found[0].certificate, found[0].key)

    # --- who is who ---------------------------------------------------------------------------------------------

    def refresh(self) -> None:
        """Read hosts and certificates. Raises what the store raises; what was known stays."""
        certificates = {row.serial: row for row in self._store.select(HostCertificate, Query())}
        hosts = {row.uuid: row for row in self._store.select(Host, Query(equal={"removed": None}))}
        with self._guard:
            self._certificates, self._hosts = certificates, hosts

    def host(self, host_uuid: str) -> Host | None:
        """The host, as it was read last."""
        return self._hosts.get(host_uuid)

    def objection(self, host_uuid: str, serial: str) -> str:
        """Why a certificate does not admit this host, as far as is known; "" if it does."""
        certificate, host = self._certificates.get(serial), self._hosts.get(host_uuid)
        if host is None:
            return f"there is no host {host_uuid} in this cloud; it was removed, or never added"
        if certificate is None:
            return f"certificate {serial} of host {host.name} is not on record here; let the host join again"
        if certificate.host_uuid != host_uuid:
            return f"certificate {serial} was given to another host than {host.name}"
        if certificate.revoked is not None:
            return f"certificate {serial} of host {host.name} was revoked; let the host join again with a new token"
        return ""

    def admit(self, host_uuid: str, serial: str) -> Host:
        """The host that may connect with that certificate. `Refused` says why not. Blocks."""
        why_not = self.objection(host_uuid, serial)
        if why_not:
            try:
                self.refresh()
            except StoreError as problem:
                raise Refused(f"the store cannot be asked who you are ({problem}); try again later") from problem
            why_not = self.objection(host_uuid, serial)
        if why_not:
            raise Refused(why_not)
        return self._hosts[host_uuid]

    def newest_certificates(self) -> list[tuple[Host, HostCertificate]]:
        """Each host of the cloud that has one, with the certificate that admits it for longest."""
        newest = newest_by_host(list(self._certificates.values()))
        return [(host, newest[host.uuid]) for host in list(self._hosts.values()) if host.uuid in newest]

    def renewals_asked(self) -> dict[str, float]:
        """Host uuid -> when an administrator last asked for a new certificate in place of one that is still good."""
        asked: dict[str, float] = {}
        for row in list(self._certificates.values()):
            if row.renewal_asked is not None and row.revoked is None:
                asked[row.host_uuid] = max(asked.get(row.host_uuid, 0.0), row.renewal_asked)
        return asked

    # --- certificates -------------------------------------------------------------------------------------------

    def join(self, secret: str, request: str, address: str) -> tuple[Host, Issued]:
        """Use a token up, and give its host a certificate. `Refused` says why not. Blocks."""
        found = self._store.select(HostJoinToken, Query(equal={"secret_hash": hash_of(secret)}, limit=1))
        if not found or found[0].removed is not None:
            raise Refused("this join token is not known here: it is wrong, of another cloud, or was withdrawn")
        token = found[0]
        if token.used is not None:
            raise Refused("this join token was used before; a token is good for one host, once: make another")
        if token.expires <= self._wall():
            raise Refused("this join token has expired; make another")
        host = self._store.get(Host, token.host_id)
        if host is None or host.removed is not None:
            raise Refused("the host that this join token is for was removed; add it again and make another token")
        try:
            issued = self.authority.for_host(host.uuid, request, self._days)
        except InvalidRequest as problem:
            raise Refused(str(problem)) from problem
        now = Moment(self._wall())
        words = f"host {host.name} joined from {address} and got certificate {issued.serial}"
        changes: list[Change] = [
            Update(HostJoinToken, token.id, {"used": now}, {"used": None, "removed": None}),
            Insert(_row(host.uuid, issued)),
            Insert(_event("HOST.CERTIFICATE.ISSUE", words, host, now)),
        ]
        # Whoever joins takes the host's identity over: what was given out under it before opens nothing any more.
        for old in self._store.select(HostCertificate, Query(equal={"host_uuid": host.uuid, "revoked": None})):
            changes.append(Update(HostCertificate, old.id, {"revoked": now}))
        try:
            self._store.commit(changes)
        except Conflict:
            raise Refused("this join token was used in this very moment by another host; make another") from None
        self._learn()
        return host, issued

    def renew(self, host_uuid: str, serial: str, request: str) -> Issued:
        """A new certificate for a connected host. `Refused` says why not. Blocks."""
        host = self.admit(host_uuid, serial)
        try:
            issued = self.authority.for_host(host_uuid, request, self._days)
        except InvalidRequest as problem:
            raise Refused(str(problem)) from problem
        now = Moment(self._wall())
        words = f"host {host.name} renewed its certificate: {issued.serial} follows {serial}"
        changes: list[Change] = [
            Insert(_row(host_uuid, issued)),
            Insert(_event("HOST.CERTIFICATE.RENEW", words, host, now)),
        ]
        # The old one stays good until it expires: the answer may not arrive.
        for old in self._store.select(HostCertificate, Query(equal={"host_uuid": host_uuid})):
            if old.renewal_asked is not None:
                changes.append(Update(HostCertificate, old.id, {"renewal_asked": None}))
        self._store.commit(changes)
        self._learn()
        return issued

    def alert_of_copy(self, host_uuid: str, text: str) -> None:
        """Tell of two machines with one certificate, unless that was told and nobody archived it. Blocks."""
        host = self._hosts.get(host_uuid)
        if host is None:
            return
        name = "ALERT.HOST.COPIED"
        told = Query(equal={"name": name, "resource_id": host.uuid, "archived": False}, limit=1)
        if not self._store.select(Alert, told):
            now = Moment(self._wall())
            row = Alert(
                uuid=str(uuid.uuid4()), type=ALERT_TYPES[name], name=name, subject=f"{name}: host {host.name}",
                content=f"host {host.name}: {text}", resource_id=host.uuid, data_center_id=host.data_center_id,
                pod_id=host.pod_id, cluster_id=host.cluster_id, created=now, last_sent=now,
            )  # fmt: skip
            self._store.commit([Insert(row)])

    def _learn(self) -> None:
        try:
            self.refresh()
        except HoldfastError as problem:
            log.warning("what was just written is read again later: %s", problem)


def hash_of(secret: str) -> str:
    """What is stored of a join token's secret. It has 256 bits of chance, so a plain hash gives nothing away."""
    return hashlib.sha256(secret.encode()).hexdigest()


def _row(host_uuid: str, issued: Issued) -> HostCertificate:
    return HostCertificate(
        uuid=str(uuid.uuid4()), host_uuid=host_uuid, serial=issued.serial, issued=Moment(issued.issued),
        expires=Moment(issued.expires),
    )  # fmt: skip


def _event(kind: str, words: str, host: Host, now: Moment) -> Event:
    return Event(
        uuid=str(uuid.uuid4()), type=kind, description=words, resource_type="Host", resource_id=host.uuid, created=now
    )
