"""Management servers and hypervisors."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from holdfast.hooks.store import Query
from holdfast.model import Host, ManagementServer, ManagementServerPeer

from holdfast_api.fields import Answer, Field, ResponseObject, as_given
from holdfast_api.times import moment_text

if TYPE_CHECKING:
    from holdfast_api.call import Call


def _build(call: "Call", servers: Sequence[ManagementServer]) -> list[Answer]:
    peers = _peers(call, servers) if call.flag("peers") else {}
    return [
        {
            "id": server.uuid,
            "name": server.name,
            "state": server.state,
            "version": server.version or None,
            "serviceip": server.service_ip or None,
            "ipaddress": server.service_ip or None,
            "lastserverstart": moment_text(server.started),
            "lastupdated": moment_text(server.last_update),
            "agentscount": call.store.count(Host, Query(equal={"mgmt_server_id": server.id, "removed": None})),
            "peers": peers.get(server.id) or None,
        }
        for server in servers
    ]


def _peers(call: "Call", servers: Sequence[ManagementServer]) -> dict[int, list[Answer]]:
    seen = {server.id: server for server in call.store.select(ManagementServer, Query())}
    found: dict[int, list[Answer]] = {}
    owners = Query(among={"owner_mshost": tuple(server.id for server in servers)})
    for row in call.store.select(ManagementServerPeer, owners):
        peer = seen.get(row.peer_mshost)
        # A row of an earlier run of the peer says nothing about the present one.
        if peer is None or peer.runid != row.peer_runid:
            continue
        found.setdefault(row.owner_mshost, []).append(
            {
                "id": peer.uuid,
                "name": peer.name,
                "state": row.peer_state,
                "serviceip": peer.service_ip or None,
                "lastupdated": moment_text(row.last_update),
            }
        )
    return found


MANAGEMENT_SERVER = ResponseObject(
    name="managementserver",
    fields=(
        Field("id", "string", "the UUID of the management server"),
        Field("name", "string", "name of the management server"),
        Field("state", "string", "Up, Down, Maintenance …"),
        Field("version", "string", "release it runs"),
        Field("serviceip", "string", "address it serves"),
        Field("ipaddress", "string", "address it serves"),
        Field("lastserverstart", "date", "when it was started"),
        Field("lastupdated", "date", "when it was last heard of", since="0.1"),
        Field("agentscount", "long", "hosts whose agents are connected to it"),
        Field(
            "peers",
            "list",
            "how it sees the others",
            (
                Field("id", "string", "the UUID of the peer"),
                Field("name", "string", "name of the peer"),
                Field("state", "string", "state of the peer, as it sees it"),
                Field("serviceip", "string", "address of the peer"),
                Field("lastupdated", "date", "when it last heard of the peer"),
            ),
        ),
    ),
    build=_build,
    record=ManagementServer,
)


HYPERVISOR = ResponseObject(
    name="hypervisor", fields=(Field("name", "string", "name of the hypervisor"),), build=as_given
)


DATABASE_NODE = ResponseObject(
    name="databasenode",
    fields=(
        Field("name", "string", "address of the server, host:port"),
        Field("primary", "boolean", "whether the configuration names it first"),
        Field("state", "string", "Up, Warning, Broken or Unreachable"),
        Field("reason", "string", "why it could not be read"),
        Field("problems", "list", "what is wrong with it, one sentence each"),
        Field("version", "string", "what it runs"),
        Field("serverid", "long", "its number in the replication"),
        Field("readonly", "boolean", "whether it refuses writes"),
        Field("gtid", "string", "the transactions it has"),
        Field("binarylogfiles", "integer", "files of its binary log"),
        Field("binarylogsize", "long", "bytes of its binary log"),
        Field("diskfree", "long", "bytes left on the disk of its data, where the server shows it"),
        Field("semisync", "boolean", "whether commits wait for a replica, or it acknowledges them"),
        Field("replicas", "list", "addresses of the servers that replicate from it"),
        Field(
            "sources",
            "list",
            "the servers that it replicates from",
            (
                Field("name", "string", "address of the source"),
                Field("receiving", "boolean", "whether it receives changes"),
                Field("applying", "boolean", "whether it applies them"),
                Field("lag", "float", "seconds behind, as the server says"),
                Field("behind", "long", "transactions that the source has and it has not"),
                Field("encrypted", "boolean", "whether the stream is encrypted"),
                Field("error", "string", "what the server says is wrong with the stream"),
            ),
        ),
    ),
    build=as_given,
)
