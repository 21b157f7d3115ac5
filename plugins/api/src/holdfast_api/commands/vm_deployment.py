"""deployVirtualMachine: makes a VM and orders its start."""

from dataclasses import dataclass, replace

from holdfast.errors import InvalidRequest, NoCapacity
from holdfast.hooks.store import Change, Insert, Query
from holdfast.model import Host, HostStatus, Network, ResourceState, ServiceOffering, StoragePool, Template, Vm, Zone

from holdfast_api.allocation import rooms
from holdfast_api.call import Call, JobRequest, new_uuid
from holdfast_api.commands.storage import has_hosts, pools_reaching
from holdfast_api.dedicated_hosts import dedicated_ids, ha_tag
from holdfast_api.hypervisors import check_hypervisor
from holdfast_api.inventory_change import fresh
from holdfast_api.lun_choice import root_disk_of_new_vm
from holdfast_api.ordering import vm_job
from holdfast_api.registry import Parameter, command
from holdfast_api.rows import tags_of
from holdfast_api.vm_names import check_vm_name, refuse_taken


@dataclass(frozen=True, slots=True)
class _Parts:
    zone: Zone
    offering: ServiceOffering
    template: Template
    network: Network | None
    host: Host | None
    pool: StoragePool


@command(
    "deployVirtualMachine",
    "Makes a VM and starts it.",
    kind="create-async",
    responds="virtualmachine",
    parameters=(
        Parameter("serviceofferingid", "uuid", "its compute offering", required=True, of="serviceoffering"),
        Parameter("templateid", "uuid", "its template", required=True, of="template"),
        Parameter("zoneid", "uuid", "the zone it lives in", required=True, of="zone"),
        Parameter("networkids", "list", "its network; the zone's only one if not given", of="network", length=0),
        Parameter("name", "string", "name of the VM and of its guest; made up if not given"),
        Parameter("displayname", "string", "name to show"),
        Parameter("hostid", "uuid", "the host to start it on; any if not given", of="host"),
        Parameter("startvm", "boolean", "false: it is only made"),
        Parameter("hypervisor", "string", "its hypervisor: that of the template"),
        Parameter("affinitygroupnames", "list", "VMs of one group avoid each other's hosts"),
    ),
)
def deploy_virtual_machine(call: Call) -> JobRequest:
    """The VM copies the offering. Where no storage or room is, nothing is made and the answer is 533."""
    uuid = new_uuid()
    name = check_vm_name(call.text("name")) if call.has("name") else f"VM-{uuid}"
    group = _group(call)

    def plan() -> list[Change]:
        parts = _parts(call)
        refuse_taken(call, name, parts.zone.id)
        vm = _vm(call, parts, uuid, name, group)
        told = call.event("VM.CREATE", f"made VM {name} in zone {parts.zone.name}", resource=("VirtualMachine", uuid))
        return [Insert(vm), Insert(told)]

    host, start = call.row_or_none("hostid", Host), call.flag("startvm", True)
    where = {"hostid": host.id} if host else {}
    what = f"start VM {name}{f' on host {host.name}' if host else ''}" if start else f"make VM {name}"
    type_ = "VM.START" if start else "VM.CREATE"
    # The VM has no database id yet: the job finds it by the uuid of what it is about.
    job = vm_job(call, type_, what, uuid, host.id if host else None, startvm=start, **where)
    return replace(job, created=uuid, plan=plan)


def _vm(call: Call, parts: _Parts, uuid: str, name: str, group: str) -> Vm:
    offering, host = parts.offering, parts.host
    return Vm(
        uuid=uuid,
        name=name,
        display_name=call.text("displayname"),
        instance_name=f"i-{call.caller.account.id}-{uuid[:8]}-VM",
        vm_template_id=parts.template.id,
        service_offering_id=offering.id,
        network_id=parts.network.id if parts.network else None,
        data_center_id=parts.zone.id,
        pod_id=host.pod_id if host else None,
        cluster_id=host.cluster_id if host else None,
        # Local storage ties a VM to the host where its disk is made.
        last_host_id=host.id if host and parts.pool.scope == "HOST" else None,
        pool_id=parts.pool.id,
        root_disk=root_disk_of_new_vm(call.store, parts.pool),
        cpu=offering.cpu,
        cpu_speed=offering.speed,
        ram=offering.ram_size,
        host_tag=offering.host_tag,
        ha_enabled=offering.ha_enabled,
        ha_priority=offering.ha_priority,
        affinity_group=group,
        user_id=call.caller.user.id,
        account_id=call.caller.account.id,
        created=call.now(),
    )


def _parts(call: Call) -> _Parts:
    zone = fresh(call, call.row("zoneid", Zone))
    offering = fresh(call, call.row("serviceofferingid", ServiceOffering))
    template = fresh(call, call.row("templateid", Template))
    if zone.allocation_state != "Enabled":
        raise NoCapacity(f"zone {zone.name} is {zone.allocation_state}: updateZone allocationstate=Enabled opens it")
    if template.data_center_id not in (None, zone.id):
        raise InvalidRequest(f"parameter templateid: template {template.name} belongs to another zone than {zone.name}")
    if not template.is_ready:
        raise InvalidRequest(f"parameter templateid: template {template.name} is not ready yet; try again later")
    if call.has("hypervisor") and check_hypervisor(call) != template.hypervisor_type:
        raise InvalidRequest(f"parameter hypervisor: template {template.name} is made for {template.hypervisor_type}")
    host = call.row_or_none("hostid", Host)
    if host is not None:
        host = fresh(call, host)
        _refuse_host(call, host, zone, offering, template)
    return _Parts(zone, offering, template, _network(call, zone), host, _pool(call, zone, offering, host))


def _refuse_host(call: Call, host: Host, zone: Zone, offering: ServiceOffering, template: Template) -> None:
    """What speaks against starting this VM on this host, at this moment."""
    if host.data_center_id != zone.id:
        raise InvalidRequest(f"parameter hostid: host {host.name} does not lie in zone {zone.name}")
    if host.hypervisor_type != template.hypervisor_type:
        raise InvalidRequest(
            f"parameter hostid: host {host.name} runs {host.hypervisor_type}, and template {template.name} is made for "
            f"{template.hypervisor_type}"
        )
    if host.id in dedicated_ids(call):
        raise InvalidRequest(
            f"parameter hostid: host {host.name} carries the tag {ha_tag(call)} and takes only VMs restarted by HA; "
            "migrateVirtualMachine may still move a VM there"
        )
    if offering.host_tag and offering.host_tag not in tags_of(call.store, [host.id]).get(host.id, ()):
        raise InvalidRequest(
            f"parameter hostid: offering {offering.name} asks for a host with tag {offering.host_tag}, which host "
            f"{host.name} does not carry"
        )
    if not call.flag("startvm", True):
        return
    if host.status != HostStatus.UP or host.resource_state != ResourceState.ENABLED:
        raise NoCapacity(
            f"host {host.name} takes no VMs: it is {host.status} and {host.resource_state}; choose another host, or "
            "leave hostid out"
        )
    shortage = rooms(call, [host])[host.id].shortage(offering.cpu * offering.speed, offering.ram_size << 20)
    if shortage:
        raise NoCapacity(
            f"host {host.name} has no room: the VM {shortage}; choose another host or a smaller offering, or leave "
            "hostid out"
        )


def _network(call: Call, zone: Zone) -> Network | None:
    wanted = call.rows("networkids", Network)
    for network in wanted:
        if network.data_center_id != zone.id:
            raise InvalidRequest(f"parameter networkids: network {network.name} does not lie in zone {zone.name}")
    if len(wanted) > 1:
        raise InvalidRequest("parameter networkids: a VM has one network; give one id")
    if wanted:
        return fresh(call, wanted[0])
    found = call.store.select(Network, Query(equal={"data_center_id": zone.id, "removed": None}, limit=2))
    return found[0] if len(found) == 1 else None


def _pool(call: Call, zone: Zone, offering: ServiceOffering, host: Host | None) -> StoragePool:
    pools = pools_reaching(call, zone.id, host.cluster_id if host else None)
    local = offering.storage_type == "local"
    if local and host is None:
        raise InvalidRequest(
            f"parameter hostid is missing: offering {offering.name} puts disks on the local storage of a host; "
            "name the host"
        )
    for pool in pools:
        if (pool.scope == "HOST") == local and has_hosts(call, pool):
            return pool
    kind = "local" if local else "shared"
    where = f"the cluster of host {host.name}" if host else f"any cluster of zone {zone.name} that has hosts"
    scope = "HOST" if local else "ZONE or CLUSTER"
    raise NoCapacity(
        f"no {kind} storage pool that is Up reaches {where}: createStoragePool with scope {scope} makes one, "
        "listStoragePools shows those there are"
    )


def _group(call: Call) -> str:
    names = call.parameters.get("affinitygroupnames", [])
    if len(names) > 1:
        raise InvalidRequest("parameter affinitygroupnames: a VM is in one group; give one name")
    return str(names[0]) if names else ""
