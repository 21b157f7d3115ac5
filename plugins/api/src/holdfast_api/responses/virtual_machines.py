"""VMs."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from holdfast.model import Account, Network, Permit, PermitState, ServiceOffering, StoragePool, Template, User, Vm

from holdfast_api.domains import ROOT_NAME, ROOT_UUID
from holdfast_api.fields import Answer, Field, ResponseObject
from holdfast_api.responses.zones import CLUSTER_REF, POD_REF, ZONE_REF
from holdfast_api.rows import Places, among, by_id
from holdfast_api.times import moment_text

if TYPE_CHECKING:
    from holdfast_api.call import Call


class _Related:
    """Everything that answers about some VMs take from other tables, each read once."""

    def __init__(self, call: "Call", vms: Sequence[Vm]) -> None:
        store = call.store
        self.places = Places(
            store,
            zones=(vm.data_center_id for vm in vms),
            pods=(vm.pod_id for vm in vms),
            clusters=(vm.cluster_id for vm in vms),
            hosts=[*(vm.host_id for vm in vms), *(vm.last_host_id for vm in vms)],
        )
        self.templates = by_id(store, Template, (vm.vm_template_id for vm in vms))
        self.offerings = by_id(store, ServiceOffering, (vm.service_offering_id for vm in vms))
        self.networks = by_id(store, Network, (vm.network_id for vm in vms))
        self.pools = by_id(store, StoragePool, (vm.pool_id for vm in vms))
        self.accounts = by_id(store, Account, (vm.account_id for vm in vms))
        self.users = by_id(store, User, (vm.user_id for vm in vms))
        self.permits = {
            row.vm_id: row
            for row in among(store, Permit, "vm_id", (vm.id for vm in vms))
            if row.state != PermitState.ENDED
        }


def _build(call: "Call", vms: Sequence[Vm]) -> list[Answer]:
    related = _Related(call, vms)
    return [_plain(vm) | _made_of(vm, related) | _placed(vm, related) | _owned(vm, related) for vm in vms]


def _plain(vm: Vm) -> Answer:
    return {
        "id": vm.uuid,
        "name": vm.name,
        "displayname": vm.display_name or vm.name,
        "instancename": vm.instance_name,
        "state": str(vm.state),
        "vmtype": str(vm.type),
        "cpunumber": vm.cpu,
        "cpuspeed": vm.cpu_speed,
        "memory": vm.ram,
        "haenable": vm.ha_enabled,
        "hapriority": vm.ha_priority,
        "dependson": [part for part in vm.depends_on.split(",") if part] or None,
        "affinitygroup": [{"name": vm.affinity_group}] if vm.affinity_group else [],
        "securitygroup": [],
        "tags": [],
        "runepoch": vm.run_epoch,
        "reason": vm.reason or None,
        "created": moment_text(vm.created),
        "lastupdated": moment_text(vm.update_time),
        "rootdevicetype": "ROOT",
        "passwordenabled": False,
        "displayvm": True,
        "isdynamicallyscalable": False,
    }


def _made_of(vm: Vm, related: _Related) -> Answer:
    template = related.templates.get(vm.vm_template_id)
    offering = related.offerings.get(vm.service_offering_id)
    network = related.networks.get(vm.network_id or 0)
    nic = network and {
        "networkid": network.uuid,
        "networkname": network.name,
        "netmask": network.netmask or None,
        "gateway": network.gateway or None,
        "type": network.guest_type,
        "traffictype": network.traffic_type,
        "isdefault": True,
    }
    return {
        "templateid": template.uuid if template else None,
        "templatename": template.name if template else None,
        "templatedisplaytext": template.display_text if template else None,
        "hypervisor": template.hypervisor_type if template else None,
        "serviceofferingid": offering.uuid if offering else None,
        "serviceofferingname": offering.name if offering else None,
        "nic": [nic] if nic else [],
    }


def _placed(vm: Vm, related: _Related) -> Answer:
    places = related.places
    host, last = places.hosts.get(vm.host_id or 0), places.hosts.get(vm.last_host_id or 0)
    pool, permit = related.pools.get(vm.pool_id or 0), related.permits.get(vm.id)
    return {
        **places.answer(zone=vm.data_center_id, pod=vm.pod_id, cluster=vm.cluster_id),
        "hostid": host.uuid if host else None,
        "hostname": host.name if host else None,
        "lasthostid": last.uuid if last else None,
        "storageid": pool.uuid if pool else None,
        "storagename": pool.name if pool else None,
        "permitstate": str(permit.state) if permit else None,
    }


def _owned(vm: Vm, related: _Related) -> Answer:
    account, user = related.accounts.get(vm.account_id), related.users.get(vm.user_id)
    return {
        "account": account.account_name if account else None,
        "userid": user.uuid if user else None,
        "username": user.username if user else None,
        "domain": ROOT_NAME,
        "domainid": ROOT_UUID,
    }


VIRTUAL_MACHINE = ResponseObject(
    name="virtualmachine",
    fields=(
        Field("id", "string", "the UUID of the VM"),
        Field("name", "string", "name of the VM"),
        Field("displayname", "string", "name to show"),
        Field("instancename", "string", "name on the hypervisor"),
        Field("state", "string", "Running, Stopped, Starting …"),
        Field("vmtype", "string", "User, DomainRouter …"),
        Field("account", "string", "name of the account that owns it"),
        Field("userid", "string", "the UUID of the user who made it"),
        Field("username", "string", "name of the user who made it"),
        Field("domain", "string", "name of the domain"),
        Field("domainid", "string", "the UUID of the domain"),
        *ZONE_REF,
        *POD_REF,
        *CLUSTER_REF,
        Field("hostid", "string", "the UUID of the host where it runs, or may run"),
        Field("hostname", "string", "name of that host"),
        Field("lasthostid", "string", "the UUID of the host where it ran before", since="0.1"),
        Field("storageid", "string", "the UUID of the storage pool that holds its disk", since="0.1"),
        Field("storagename", "string", "name of that storage pool", since="0.1"),
        Field("templateid", "string", "the UUID of its template"),
        Field("templatename", "string", "name of its template"),
        Field("templatedisplaytext", "string", "what its template is"),
        Field("hypervisor", "string", "its hypervisor"),
        Field("serviceofferingid", "string", "the UUID of its compute offering"),
        Field("serviceofferingname", "string", "name of its compute offering"),
        Field("cpunumber", "integer", "CPUs"),
        Field("cpuspeed", "integer", "MHz of one CPU"),
        Field("memory", "integer", "MB of memory"),
        Field("haenable", "boolean", "whether HA restarts it"),
        Field("hapriority", "integer", "which VMs are restarted first: those with more", since="0.1"),
        Field("dependson", "list", "UUIDs of VMs that are restarted before it", since="0.1"),
        Field(
            "affinitygroup", "list", "VMs of one group avoid each other's hosts", (Field("name", "string", "its name"),)
        ),
        Field("securitygroup", "list", "security groups, of which there are none"),
        Field(
            "nic",
            "list",
            "its networks",
            (
                Field("networkid", "string", "the UUID of the network"),
                Field("networkname", "string", "name of the network"),
                Field("netmask", "string", "netmask"),
                Field("gateway", "string", "gateway"),
                Field("type", "string", "Shared or Isolated"),
                Field("traffictype", "string", "Guest"),
                Field("isdefault", "boolean", "whether it is the VM's first"),
            ),
        ),
        Field("tags", "list", "tags of the VM"),
        Field("runepoch", "integer", "number of its newest run; 0: it never ran", since="0.1"),
        Field("permitstate", "string", "issued or running: a run of it may be live", since="0.1"),
        Field("reason", "string", "why it is in this state", since="0.1"),
        Field("created", "date", "when it was made"),
        Field("lastupdated", "date", "when its state changed"),
        Field("rootdevicetype", "string", "ROOT"),
        Field("passwordenabled", "boolean", "whether its guest takes passwords from the cloud"),
        Field("displayvm", "boolean", "whether it is shown to users"),
        Field("isdynamicallyscalable", "boolean", "whether it can grow while it runs"),
    ),
    build=_build,
    record=Vm,
)
