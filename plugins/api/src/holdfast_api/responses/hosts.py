"""Hosts, with their room, host HA and out-of-band management."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from holdfast.model import Host, HostDetail, ManagementServer

from holdfast_api.allocation import Room, rooms
from holdfast_api.dedicated_hosts import dedicated_ids, zone_warnings
from holdfast_api.fields import Answer, Field, ResponseObject
from holdfast_api.responses.certificates import certificates_that_end
from holdfast_api.responses.host_ha import HOST_HA_FIELDS, ha_by_host, ha_now
from holdfast_api.responses.out_of_band import OOBM_FIELDS, devices_by_host, fence_readiness, oobm_answer
from holdfast_api.responses.zones import CLUSTER_REF, POD_REF, ZONE_REF
from holdfast_api.rows import Places, by_id, details, tags_of
from holdfast_api.times import moment_text

if TYPE_CHECKING:
    from holdfast_api.call import Call

ALL_DETAILS = ("all", "capacity", "core", "events", "min", "stats")
_WITHOUT_ROOM = frozenset({"core", "events", "min"})
_SECRET_DETAILS = ("password", "secret", "privatekey", "private_key")
_EVENTS = "AgentConnected; AgentDisconnected; HostDown; ManagementServerDown; Ping; PingTimeout; Remove"


@dataclass(frozen=True, slots=True)
class Candidate:
    """A host as a place to migrate a VM to. `refusal` is "" if it would do."""

    host: Host
    refusal: str


def _build(call: "Call", items: Sequence[Host | Candidate]) -> list[Answer]:
    hosts = [item.host if isinstance(item, Candidate) else item for item in items]
    ids = [host.id for host in hosts]
    wanted = set(call.parameters.get("details", ())) if call.command.name == "listHosts" else set()
    room = {} if wanted and wanted <= _WITHOUT_ROOM else rooms(call, hosts)
    places = Places(
        call.store,
        zones=(host.data_center_id for host in hosts),
        pods=(host.pod_id for host in hosts),
        clusters=(host.cluster_id for host in hosts),
    )
    servers = by_id(call.store, ManagementServer, (host.mgmt_server_id for host in hosts))
    tags, dedicated, named = tags_of(call.store, ids), dedicated_ids(call), details(call.store, HostDetail, ids)
    ha, oobm = ha_by_host(call, ids), devices_by_host(call, ids)
    warnings = zone_warnings(call, (host.data_center_id for host in hosts))
    ending = certificates_that_end(call, hosts)
    answers = []
    for item, host in zip(items, hosts, strict=True):
        cluster, server = places.clusters.get(host.cluster_id), servers.get(host.mgmt_server_id or 0)
        devices = oobm.get(host.id, [])
        warned = [warnings.get(host.data_center_id, ""), *(device.problem for device in devices if device.enabled)]
        warned += [device.readiness_detail for device in devices if device.enabled]
        warned.append(ending.get(host.uuid, ""))
        answers.append(
            _plain(host)
            | places.answer(zone=host.data_center_id, pod=host.pod_id, cluster=host.cluster_id)
            | (_room(room[host.id]) if host.id in room else {})
            | (_suitable(item) if isinstance(item, Candidate) else {})
            | {
                "clustertype": cluster.cluster_type if cluster else None,
                "managementserverid": server.uuid if server else None,
                "managementservername": server.name if server else None,
                "hosttags": ",".join(tags.get(host.id, ())) or None,
                "hahost": host.id in dedicated,
                "details": _shown_details(named.get(host.id, {})),
                "hostha": ha_now(call, ha.get(host.id), host),
                "outofbandmanagement": oobm_answer(host.uuid, devices[0] if devices else None),
                "fencedevices": [oobm_answer(host.uuid, device) for device in devices],
                "fencereadiness": fence_readiness(devices),
                "hawarnings": list(dict.fromkeys(text for text in warned if text)),
            }
        )
    return answers


def _plain(host: Host) -> Answer:
    return {
        "id": host.uuid,
        "name": host.name,
        "state": str(host.status),
        "type": host.type,
        "resourcestate": str(host.resource_state),
        "hypervisor": host.hypervisor_type,
        "ipaddress": host.private_ip_address or host.name,
        "created": moment_text(host.created),
        "lastpinged": moment_text(host.last_ping),
        "disconnected": moment_text(host.disconnected),
        "removed": moment_text(host.removed),
        "events": _EVENTS,
        "capabilities": "hvm",
        "islocalstorageactive": False,
        "cpunumber": host.cpus or None,
        "cpuspeed": host.speed or None,
    }


def _room(room: Room) -> Answer:
    cpu, ram = _percent(room.cpu_used, room.cpu_limit), _percent(room.ram_used, room.ram_limit)
    return {
        "cpuallocated": cpu,
        "cpuallocatedpercentage": cpu,
        "cpuallocatedvalue": room.cpu_used,
        "cpuallocatedwithoverprovisioning": cpu,
        "cpuwithoverprovisioning": f"{room.cpu_limit:.1f}",
        "memorytotal": room.ram,
        "memorywithoverprovisioning": f"{room.ram_limit:.1f}",
        "memoryallocated": room.ram_used,
        "memoryallocatedbytes": room.ram_used,
        "memoryallocatedpercentage": ram,
        "hasenoughcapacity": room.cpu_used < room.cpu_limit and room.ram_used < room.ram_limit,
    }


def _percent(part: int, whole: int) -> str:
    return f"{part / whole * 100:.2f}%" if whole > 0 else "0.00%"


def _suitable(item: Candidate) -> Answer:
    return {
        "suitableformigration": not item.refusal,
        "hasenoughcapacity": not item.refusal,
        "unsuitablebecause": item.refusal or None,
    }


def _shown_details(found: dict[str, str]) -> dict[str, str] | None:
    shown = {key: value for key, value in found.items() if not any(word in key.lower() for word in _SECRET_DETAILS)}
    return shown or None


HOST = ResponseObject(
    name="host",
    fields=(
        Field("id", "string", "the UUID of the host"),
        Field("name", "string", "name of the host"),
        Field("state", "string", "Up, Down, Connecting, Disconnected, Alert or Removed"),
        Field("type", "string", "Routing: it runs VMs"),
        Field("resourcestate", "string", "Enabled, Disabled, Maintenance …"),
        Field("hypervisor", "string", "hypervisor of the host"),
        Field("ipaddress", "string", "address of the host"),
        *ZONE_REF,
        *POD_REF,
        *CLUSTER_REF,
        Field("clustertype", "string", "who manages the cluster"),
        Field("created", "date", "when it was added"),
        Field("lastpinged", "date", "when its agent was last heard"),
        Field("disconnected", "date", "when its agent was lost"),
        Field("removed", "date", "when it was removed"),
        Field("events", "string", "events that can happen to it"),
        Field("capabilities", "string", "what it can run"),
        Field("islocalstorageactive", "boolean", "whether it has local storage"),
        Field("managementserverid", "string", "the UUID of the management server that owns it"),
        Field("managementservername", "string", "name of the management server that owns it"),
        Field("cpunumber", "integer", "CPUs"),
        Field("cpuspeed", "long", "MHz of one CPU"),
        Field("cpuallocated", "string", "share of its CPU that is given out"),
        Field("cpuallocatedpercentage", "string", "share of its CPU that is given out"),
        Field("cpuallocatedvalue", "long", "MHz that are given out"),
        Field("cpuallocatedwithoverprovisioning", "string", "share of its CPU with overcommit that is given out"),
        Field("cpuwithoverprovisioning", "string", "MHz with overcommit"),
        Field("memorytotal", "long", "bytes of memory"),
        Field("memorywithoverprovisioning", "string", "bytes of memory with overcommit"),
        Field("memoryallocated", "long", "bytes of memory that are given out"),
        Field("memoryallocatedbytes", "long", "bytes of memory that are given out"),
        Field("memoryallocatedpercentage", "string", "share of its memory that is given out"),
        Field("hasenoughcapacity", "boolean", "whether it has room, for the VM asked about if there is one"),
        Field("suitableformigration", "boolean", "whether the VM asked about could be migrated here"),
        Field("unsuitablebecause", "string", "why it could not", since="0.1"),
        Field("hosttags", "string", "its tags, separated by commas"),
        Field(
            "hahost", "boolean", "whether it takes only VMs restarted by HA: it carries the tag of the setting ha.tag"
        ),
        Field("details", "map", "named values of the host"),
        Field("hostha", "responseobject", "host HA of the host", HOST_HA_FIELDS),
        Field("outofbandmanagement", "responseobject", "out-of-band management of the host", OOBM_FIELDS),
        Field("fencedevices", "list", "all of its fence devices, by level and index", OOBM_FIELDS, since="0.1"),
        Field("fencereadiness", "string", "Ready, Warning or NotReady: whether it could be fenced now", since="0.1"),
        Field("hawarnings", "list", "why HA would not do its work here", since="0.1"),
    ),
    build=_build,
    record=Host,
)
