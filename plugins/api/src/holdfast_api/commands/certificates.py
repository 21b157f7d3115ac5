"""How hosts come to a certificate, and how it is taken from them. The servers' service `agents` carries it out."""

import hashlib
import ssl

from holdfast.errors import InvalidRequest
from holdfast.hooks.store import Change, Delete, Insert, Query, Update
from holdfast.model import Host, HostCertificate, HostJoinToken, KeyStore, Moment
from holdfast.protocol.tokens import JoinToken

from holdfast_api.call import Call, Listing, Success, new_uuid
from holdfast_api.fields import Answer
from holdfast_api.paging import given, select_page
from holdfast_api.registry import Parameter, command

_AUTHORITY = "agents"
_HOUR = 3600
_MONTH = 31 * 24 * _HOUR
_NEWS = "certificates"


def _authority(call: Call) -> KeyStore:
    found = call.store.select(KeyStore, Query(equal={"name": _AUTHORITY}, limit=1))
    if not found:
        raise InvalidRequest(
            "this cloud has no certificate authority yet: a management server that runs the service agents makes one "
            "at its start; add it to server.services"
        )
    return found[0]


@command(
    "listCaCertificate",
    "Shows the certificate of the authority that hosts' agents and management servers trust.",
    kind="sync",
    responds="cacertificates",
    changes=False,
    since="4.11.0",
)
def list_ca_certificate(call: Call) -> Answer:
    """Public: the key stays in the store."""
    found = _authority(call)
    return {"certificate": found.certificate, "fingerprint": _fingerprint(found)}


def _fingerprint(authority: KeyStore) -> str:
    return hashlib.sha256(ssl.PEM_cert_to_DER_cert(authority.certificate)).hexdigest()


@command(
    "createHostJoinToken",
    "Makes a token with which one host, once, gets its certificate: hand it to `holdfast agent join` on that host.",
    kind="sync",
    responds="hostjointoken",
    since="0.1",
    parameters=(
        Parameter("hostid", "uuid", "the host that the token is for; addHost comes first", required=True, of="host"),
        Parameter("duration", "integer", "seconds for which it is good; an hour if not given", low=60, high=_MONTH),
    ),
)
def create_host_join_token(call: Call) -> Answer:
    """The only answer that ever shows it. Tokens of the host that were not used yet are good no more."""
    host = call.row("hostid", Host)
    token = JoinToken.make(_fingerprint(_authority(call)))
    now = call.now()
    row = HostJoinToken(
        uuid=new_uuid(),
        secret_hash=hashlib.sha256(token.secret.reveal().encode()).hexdigest(),
        host_id=host.id,
        created=now,
        expires=Moment(now + call.whole("duration", _HOUR)),
    )
    told = call.event("HOST.JOIN.TOKEN", f"made a join token for host {host.name}", resource=("Host", host.uuid))
    unused = Query(equal={"host_id": host.id, "used": None, "removed": None})
    withdrawn: list[Change] = [
        Update(HostJoinToken, old.id, {"removed": now}, {"used": None})
        for old in call.store.select(HostJoinToken, unused)
    ]
    call.store.commit([*withdrawn, Insert(row), Insert(told)])
    return {
        "id": row.uuid,
        "hostid": host.uuid,
        "hostname": host.name,
        "token": token.text().reveal(),
        "expires": row.expires,
        "created": now,
    }


@command(
    "listHostJoinTokens",
    "Lists join tokens that can still be used; what they are is not shown.",
    kind="list",
    responds="hostjointoken",
    since="0.1",
    parameters=(
        Parameter("id", "uuid", "the UUID of a token", of="hostjointoken"),
        Parameter("hostid", "uuid", "tokens of this host", of="host"),
    ),
)
def list_host_join_tokens(call: Call) -> Listing:
    """The newest first."""
    equal = {"used": None, "removed": None, **given(call, id="id", host_id="hostid")}
    query = Query(equal=equal, above={"expires": call.now()}, order=("-id",))
    return Listing.of(call.store.select(HostJoinToken, query), call.page)


@command(
    "deleteHostJoinToken",
    "Withdraws a join token.",
    kind="sync",
    responds="success",
    since="0.1",
    parameters=(Parameter("id", "uuid", "the UUID of the token", required=True, of="hostjointoken"),),
)
def delete_host_join_token(call: Call) -> Success:
    """One that was used is withdrawn without effect: revokeCertificate takes from the host what it got."""
    token = call.row("id", HostJoinToken)
    call.store.commit([Delete(HostJoinToken, token.id)])
    return Success()


@command(
    "listHostCertificates",
    "Lists certificates that were given to hosts' agents.",
    kind="list",
    responds="hostcertificate",
    since="0.1",
    parameters=(
        Parameter("hostid", "uuid", "certificates of this host", of="host"),
        Parameter("serial", "string", "the serial number, in hexadecimal"),
    ),
)
def list_host_certificates(call: Call) -> Listing:
    """Revoked and expired ones too."""
    equal = {**given(call, serial="serial")}
    if call.has("hostid"):
        equal["host_uuid"] = call.row("hostid", Host).uuid
    return select_page(call, HostCertificate, equal=equal, search=("host_uuid", "serial"), order=("id",))


@command(
    "revokeCertificate",
    "Takes certificates back: the connection that uses one ends at once, and it opens none any more.",
    kind="sync",
    responds="success",
    since="4.11.0",
    parameters=(
        Parameter("serial", "string", "the serial number, in hexadecimal; all of the host's if not given"),
        Parameter("hostid", "uuid", "the host whose certificates are meant", of="host"),
        Parameter("cn", "string", "the common name; accepted for its name, the serial number says it all"),
        Parameter("provider", "string", "accepted for its name: there is one authority"),
    ),
)
def revoke_certificate(call: Call) -> Success:
    """The VMs of the host are not touched; it beats again once it joined with a new token."""
    if not call.has("serial") and not call.has("hostid"):
        raise InvalidRequest("parameter serial is missing: say which certificate, or hostid for all of a host's")
    equal: dict[str, object] = {"revoked": None}
    if call.has("serial"):
        equal["serial"] = call.text("serial").lower().removeprefix("0x").lstrip("0").replace(":", "")
    if call.has("hostid"):
        equal["host_uuid"] = call.row("hostid", Host).uuid
    found = call.store.select(HostCertificate, Query(equal=equal))
    if not found:
        raise InvalidRequest("there is no such certificate that is not revoked already; see listHostCertificates")
    now = call.now()
    changes: list[Change] = []
    for row in found:
        text = f"revoked certificate {row.serial} of host {row.host_uuid}"
        changes.append(Update(HostCertificate, row.id, {"revoked": now}))
        changes.append(Insert(call.event("CA.CERTIFICATE.REVOKE", text, resource=("Host", row.host_uuid))))
    call.store.commit(changes)
    call.context.bell.ring(_NEWS)
    return Success(f"{len(found)} revoked")


@command(
    "provisionCertificate",
    "Lets a host's agent get a new certificate now, on a new key; its connection stays.",
    kind="sync",
    responds="success",
    since="4.11.0",
    parameters=(
        Parameter("hostid", "uuid", "the UUID of the host", required=True, of="host"),
        Parameter("reconnect", "boolean", "accepted for its name: the agent uses it from its next connection on"),
        Parameter("provider", "string", "accepted for its name: there is one authority"),
    ),
)
def provision_certificate(call: Call) -> Success:
    """Asked for as soon as the host is connected. One without a good certificate has to join instead."""
    host = call.row("hostid", Host)
    good = {"host_uuid": host.uuid, "revoked": None}
    query = Query(equal=good, above={"expires": call.now()}, order=("-id",), limit=1)
    found = call.store.select(HostCertificate, query)
    if not found:
        raise InvalidRequest(
            f"parameter hostid: host {host.name} has no good certificate to renew: createHostJoinToken, then "
            "`holdfast agent join` on it"
        )
    told = call.event("CA.CERTIFICATE.PROVISION", f"host {host.name} is to renew", resource=("Host", host.uuid))
    call.store.commit([Update(HostCertificate, found[0].id, {"renewal_asked": call.now()}), Insert(told)])
    call.context.bell.ring(_NEWS)
    return Success()
