"""What VMs are made from: compute offerings, templates and networks; and their affinity groups."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from holdfast.model import Network, ServiceOffering, Template

from holdfast_api.domains import ROOT_NAME, ROOT_UUID
from holdfast_api.fields import Answer, Field, ResponseObject, as_given
from holdfast_api.network_offering import NETWORK_OFFERING_NAME, NETWORK_OFFERING_UUID
from holdfast_api.os_types import UNKNOWN, os_type
from holdfast_api.responses.zones import ZONE_REF
from holdfast_api.rows import Places
from holdfast_api.times import moment_text

if TYPE_CHECKING:
    from holdfast_api.call import Call

_DOMAIN_FIELDS = (
    Field("domain", "string", "name of the domain"),
    Field("domainid", "string", "the UUID of the domain"),
)


def _offerings(_call: "Call", offerings: Sequence[ServiceOffering]) -> list[Answer]:
    return [
        {
            "id": row.uuid,
            "name": row.name,
            "displaytext": row.display_text,
            "cpunumber": row.cpu,
            "cpuspeed": row.speed,
            "memory": row.ram_size,
            "offerha": row.ha_enabled,
            "hapriority": row.ha_priority,
            "hosttags": row.host_tag or None,
            "storagetype": row.storage_type,
            "state": row.state,
            "created": moment_text(row.created),
            "issystem": False,
            "iscustomized": False,
            "isvolatile": False,
            "limitcpuuse": False,
            "defaultuse": False,
            "provisioningtype": "thin",
        }
        for row in offerings
    ]


SERVICE_OFFERING = ResponseObject(
    name="serviceoffering",
    fields=(
        Field("id", "string", "the UUID of the offering"),
        Field("name", "string", "name of the offering"),
        Field("displaytext", "string", "what it is"),
        Field("cpunumber", "integer", "CPUs"),
        Field("cpuspeed", "integer", "MHz of one CPU"),
        Field("memory", "integer", "MB of memory"),
        Field("offerha", "boolean", "whether its VMs are restarted by HA"),
        Field("hapriority", "integer", "which VMs are restarted first: those with more", since="0.1"),
        Field("hosttags", "string", "tag that a host must carry"),
        Field("storagetype", "string", "shared or local"),
        Field("state", "string", "Active"),
        Field("created", "date", "when it was made"),
        Field("issystem", "boolean", "whether it is for system VMs"),
        Field("iscustomized", "boolean", "whether the VM's size is given when it is made"),
        Field("isvolatile", "boolean", "whether a reboot makes its disk afresh"),
        Field("limitcpuuse", "boolean", "whether CPU is capped"),
        Field("defaultuse", "boolean", "whether it is the default of system VMs"),
        Field("provisioningtype", "string", "how disks are made"),
    ),
    build=_offerings,
    record=ServiceOffering,
)


def _templates(call: "Call", templates: Sequence[Template]) -> list[Answer]:
    places = Places(call.store, zones=(row.data_center_id for row in templates))
    return [
        {
            "id": row.uuid,
            "name": row.name,
            "displaytext": row.display_text,
            **places.answer(zone=row.data_center_id),
            "format": row.format,
            "hypervisor": row.hypervisor_type,
            "url": row.url or None,
            "ostypeid": os_type(row.os_type or UNKNOWN).id,
            "ostypename": row.os_type or UNKNOWN,
            "size": row.size,
            "ispublic": row.is_public,
            "isready": row.is_ready,
            "isfeatured": False,
            "isextractable": False,
            "crosszones": row.data_center_id is None,
            "passwordenabled": False,
            "templatetype": "USER",
            "status": "Download Complete" if row.is_ready else "Not ready",
            "created": moment_text(row.created),
            "domain": ROOT_NAME,
            "domainid": ROOT_UUID,
        }
        for row in templates
    ]


TEMPLATE = ResponseObject(
    name="template",
    fields=(
        Field("id", "string", "the UUID of the template"),
        Field("name", "string", "name of the template"),
        Field("displaytext", "string", "what it is"),
        *ZONE_REF,
        Field("format", "string", "format of the image"),
        Field("hypervisor", "string", "hypervisor it is made for"),
        Field("url", "string", "where it comes from"),
        Field("ostypeid", "string", "the UUID of the operating system in it"),
        Field("ostypename", "string", "operating system in it"),
        Field("size", "long", "bytes"),
        Field("ispublic", "boolean", "whether every account may use it"),
        Field("isready", "boolean", "whether VMs can be made from it"),
        Field("isfeatured", "boolean", "whether it is shown first"),
        Field("isextractable", "boolean", "whether it can be downloaded"),
        Field("crosszones", "boolean", "whether it is in every zone"),
        Field("passwordenabled", "boolean", "whether its guests take passwords from the cloud"),
        Field("templatetype", "string", "USER"),
        Field("status", "string", "how far it has been fetched"),
        Field("created", "date", "when it was made"),
        *_DOMAIN_FIELDS,
    ),
    build=_templates,
    record=Template,
)


def _networks(call: "Call", networks: Sequence[Network]) -> list[Answer]:
    places = Places(call.store, zones=(row.data_center_id for row in networks))
    return [
        {
            "id": row.uuid,
            "name": row.name,
            "displaytext": row.display_text,
            **places.answer(zone=row.data_center_id),
            "type": row.guest_type,
            "traffictype": row.traffic_type,
            "gateway": row.gateway or None,
            "netmask": row.netmask or None,
            "cidr": row.cidr or None,
            "vlan": row.vlan or None,
            "broadcasturi": f"vlan://{row.vlan}" if row.vlan else None,
            "broadcastdomaintype": "Vlan",
            "state": row.state,
            "created": moment_text(row.created),
            "networkofferingid": NETWORK_OFFERING_UUID,
            "networkofferingname": NETWORK_OFFERING_NAME,
            "issystem": False,
            "isdefault": False,
            "canusefordeploy": True,
            "domain": ROOT_NAME,
            "domainid": ROOT_UUID,
        }
        for row in networks
    ]


NETWORK = ResponseObject(
    name="network",
    fields=(
        Field("id", "string", "the UUID of the network"),
        Field("name", "string", "name of the network"),
        Field("displaytext", "string", "what it is"),
        *ZONE_REF,
        Field("type", "string", "Shared or Isolated"),
        Field("traffictype", "string", "Guest"),
        Field("gateway", "string", "gateway of the guests"),
        Field("netmask", "string", "netmask of the guests"),
        Field("cidr", "string", "addresses of the guests"),
        Field("vlan", "string", "VLAN"),
        Field("broadcasturi", "string", "VLAN, as a URI"),
        Field("broadcastdomaintype", "string", "Vlan"),
        Field("state", "string", "Setup, Implemented …"),
        Field("created", "date", "when it was made"),
        Field("networkofferingid", "string", "the UUID of its offering"),
        Field("networkofferingname", "string", "name of its offering"),
        Field("issystem", "boolean", "whether it is the cloud's own"),
        Field("isdefault", "boolean", "whether it is the default"),
        Field("canusefordeploy", "boolean", "whether VMs can be put on it"),
        *_DOMAIN_FIELDS,
    ),
    build=_networks,
    record=Network,
)

NETWORK_OFFERING = ResponseObject(
    name="networkoffering",
    fields=(
        Field("id", "string", "the UUID of the offering"),
        Field("name", "string", "name of the offering"),
        Field("displaytext", "string", "what it is"),
        Field("guestiptype", "string", "Shared"),
        Field("traffictype", "string", "Guest"),
        Field("state", "string", "Enabled"),
        Field("availability", "string", "Optional"),
        Field("isdefault", "boolean", "whether it came with the installation"),
        Field("specifyvlan", "boolean", "whether its networks name their VLAN"),
        Field("specifyipranges", "boolean", "whether its networks name their addresses"),
        Field("forvpc", "boolean", "whether it is for virtual private clouds"),
    ),
    build=as_given,
)

OS_TYPE = ResponseObject(
    name="ostype",
    fields=(
        Field("id", "string", "the UUID of the operating system"),
        Field("description", "string", "what it is called"),
    ),
    build=as_given,
)

AFFINITY_GROUP = ResponseObject(
    name="affinitygroup",
    fields=(
        Field("id", "string", "the UUID of the affinity group"),
        Field("name", "string", "name of the affinity group"),
        Field("type", "string", "host anti-affinity"),
        Field("virtualmachineIds", "list", "UUIDs of its VMs"),
    ),
    build=as_given,
)

AFFINITY_GROUP_TYPE = ResponseObject(
    name="affinityGroupType", fields=(Field("type", "string", "host anti-affinity"),), build=as_given
)
