"""Hosts that a VM could be migrated to, and why the others would not do."""

from collections.abc import Mapping
from typing import Any

from holdfast.hooks.store import Query
from holdfast.model import Cluster, Host, HostStatus, ResourceState, StoragePool, Vm

from holdfast_api.allocation import Room, rooms
from holdfast_api.call import Call
from holdfast_api.responses.hosts import Candidate


def migration_targets(call: Call, vm: Vm, equal: Mapping[str, Any]) -> list[Candidate]:
    """Every other host of the VM's zone that matches `equal`, by name."""
    query = Query(equal={**equal, "data_center_id": vm.data_center_id}, order=("name",))
    hosts = [host for host in call.store.select(Host, query) if host.id != vm.host_id]
    found = rooms(call, hosts, without=vm.id)
    pool = call.store.get(StoragePool, vm.pool_id) if vm.pool_id is not None else None
    home = hypervisor_of(call, vm)
    return [Candidate(host, refusal(vm, host, found[host.id], pool, home)) for host in hosts]


def refusal(vm: Vm, host: Host, room: Room, pool: StoragePool | None, hypervisor: str) -> str:
    """Why the VM cannot go to this host, in words; "" if it can. Host tags hold nobody back here (M4.3)."""
    if host.data_center_id != vm.data_center_id:
        return f"host {host.name} lies in another zone, and a VM never leaves its zone"
    if pool is not None and pool.scope == "HOST" and host.id != (vm.host_id or vm.last_host_id):
        return f"the disk of VM {vm.name} is on the local storage of its host"
    if pool is not None and pool.cluster_id not in (None, host.cluster_id):
        return f"storage pool {pool.name}, which holds its disk, does not reach the cluster of host {host.name}"
    if hypervisor and host.hypervisor_type != hypervisor:
        return f"host {host.name} runs {host.hypervisor_type}, and VM {vm.name} needs {hypervisor}"
    if host.status != HostStatus.UP:
        return f"host {host.name} is {host.status}, not Up"
    if host.resource_state != ResourceState.ENABLED:
        return f"host {host.name} is {host.resource_state}: enable it, or cancel its maintenance"
    shortage = room.shortage(vm.cpu * vm.cpu_speed, vm.ram << 20)
    return f"host {host.name} has no room: VM {vm.name} {shortage}" if shortage else ""


def hypervisor_of(call: Call, vm: Vm) -> str:
    """The hypervisor that the VM is made for; "" if nothing tells."""
    for host_id in (vm.host_id, vm.last_host_id):
        host = call.store.get(Host, host_id) if host_id is not None else None
        if host is not None:
            return host.hypervisor_type
    cluster = call.store.get(Cluster, vm.cluster_id) if vm.cluster_id is not None else None
    return cluster.hypervisor_type if cluster else ""
