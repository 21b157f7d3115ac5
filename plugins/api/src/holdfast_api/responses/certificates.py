"""The authority, join tokens and hosts' certificates. A token's secret is shown only in the answer that makes it."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from holdfast.hooks.store import Query
from holdfast.model import Host, HostCertificate, HostJoinToken
from holdfast.model.certificates import ending, newest_by_host

from holdfast_api.fields import Answer, Field, ResponseObject
from holdfast_api.times import moment_text

if TYPE_CHECKING:
    from holdfast_api.call import Call


def certificates_that_end(call: "Call", hosts: Sequence[Host]) -> dict[str, str]:
    """Host uuid -> what is to be said of its certificate, for those whose agents have not renewed it in time."""
    uuids = tuple({host.uuid for host in hosts})
    rows = call.store.select(HostCertificate, Query(among={"host_uuid": uuids})) if uuids else []
    found = {uuid: ending(row, call.now()) for uuid, row in newest_by_host(rows).items()}
    return {uuid: text for uuid, text in found.items() if text}


def _build_authority(_call: "Call", items: Sequence[Answer]) -> list[Answer]:
    return [dict(item) for item in items]


CA_CERTIFICATES = ResponseObject(
    name="cacertificates",
    fields=(
        Field("certificate", "string", "the authority's certificate, PEM"),
        Field("fingerprint", "string", "SHA-256 of it, as join tokens carry it", since="0.1"),
    ),
    build=_build_authority,
)


def _build_tokens(call: "Call", items: Sequence[Any]) -> list[Answer]:
    ids = tuple({item.host_id for item in items if isinstance(item, HostJoinToken)})
    hosts = {row.id: row for row in call.store.select(Host, Query(among={"id": ids}))} if ids else {}
    return [_token(item, hosts) for item in items]


def _token(item: Any, hosts: dict[int, Host]) -> Answer:
    if not isinstance(item, HostJoinToken):
        return {**item, "expires": moment_text(item["expires"]), "created": moment_text(item["created"])}
    host = hosts.get(item.host_id)
    return {
        "id": item.uuid,
        "hostid": host.uuid if host else None,
        "hostname": host.name if host else None,
        "expires": moment_text(item.expires),
        "created": moment_text(item.created),
    }


HOST_JOIN_TOKEN = ResponseObject(
    name="hostjointoken",
    fields=(
        Field("id", "string", "the UUID of the token"),
        Field("hostid", "string", "the UUID of the host that it is for"),
        Field("hostname", "string", "name of that host"),
        Field("token", "string", "the token, for `holdfast agent join`; shown once"),
        Field("expires", "date", "until when it can be used"),
        Field("created", "date", "when it was made"),
    ),
    build=_build_tokens,
    record=HostJoinToken,
)


def _build_certificates(call: "Call", items: Sequence[HostCertificate]) -> list[Answer]:
    uuids = tuple({item.host_uuid for item in items})
    hosts = {row.uuid: row for row in call.store.select(Host, Query(among={"uuid": uuids}))} if uuids else {}
    return [
        {
            "id": item.uuid,
            "hostid": item.host_uuid,
            "hostname": hosts[item.host_uuid].name if item.host_uuid in hosts else None,
            "serial": item.serial,
            "issued": moment_text(item.issued),
            "expires": moment_text(item.expires),
            "revoked": moment_text(item.revoked) if item.revoked is not None else None,
        }
        for item in items
    ]


HOST_CERTIFICATE = ResponseObject(
    name="hostcertificate",
    fields=(
        Field("id", "string", "the UUID of the certificate's record"),
        Field("hostid", "string", "the UUID of the host that it was given to"),
        Field("hostname", "string", "name of that host"),
        Field("serial", "string", "serial number, in hexadecimal"),
        Field("issued", "date", "when it was given out"),
        Field("expires", "date", "until when it is good"),
        Field("revoked", "date", "when it was taken back, if it was"),
    ),
    build=_build_certificates,
    record=HostCertificate,
)
