"""What is done with VMs: start, stop, reboot, destroy, migrate. Management servers carry it out."""

from holdfast.errors import Conflict, InvalidRequest, NoCapacity
from holdfast.model import Host, StoragePool, Vm, VmState

from holdfast_api.allocation import rooms
from holdfast_api.call import Call, JobRequest
from holdfast_api.migration_targets import hypervisor_of, migration_targets, refusal
from holdfast_api.ordering import vm_job
from holdfast_api.registry import Parameter, command

_ID = Parameter("id", "uuid", "the UUID of the VM", required=True, of="virtualmachine")
_FORCED = Parameter("forced", "boolean", "true: the guest is not asked first")
_GONE = (VmState.DESTROYED, VmState.EXPUNGING)


@command(
    "startVirtualMachine",
    "Starts a VM.",
    kind="async",
    responds="virtualmachine",
    parameters=(_ID, Parameter("hostid", "uuid", "the host to start it on; any if not given", of="host")),
)
def start_virtual_machine(call: Call) -> JobRequest:
    """A VM that runs already stays as it is, and the job says that it succeeded."""
    vm, host = _there(call), call.row_or_none("hostid", Host)
    if host is not None and vm.state != VmState.RUNNING:
        _refuse(call, vm, host)
    where = {"hostid": host.id} if host else {}
    what = f"start VM {vm.name}{f' on host {host.name}' if host else ''}"
    return vm_job(call, "VM.START", what, vm, host.id if host else None, id=vm.id, **where)


@command("stopVirtualMachine", "Stops a VM.", kind="async", responds="virtualmachine", parameters=(_ID, _FORCED))
def stop_virtual_machine(call: Call) -> JobRequest:
    """HA leaves it stopped."""
    vm, forced = _there(call), call.flag("forced")
    what = f"stop VM {vm.name}{' by force' if forced else ''}"
    return vm_job(call, "VM.STOP", what, vm, vm.host_id, id=vm.id, forced=forced)


@command("rebootVirtualMachine", "Reboots a VM.", kind="async", responds="virtualmachine", parameters=(_ID, _FORCED))
def reboot_virtual_machine(call: Call) -> JobRequest:
    """It must be running."""
    vm, forced = _there(call), call.flag("forced")
    if vm.state != VmState.RUNNING:
        raise InvalidRequest(f"parameter id: VM {vm.name} is {vm.state}, not Running; startVirtualMachine starts it")
    return vm_job(call, "VM.REBOOT", f"reboot VM {vm.name}", vm, vm.host_id, id=vm.id, forced=forced)


@command(
    "destroyVirtualMachine",
    "Stops a VM and gives up its disk.",
    kind="async",
    responds="virtualmachine",
    parameters=(_ID, Parameter("expunge", "boolean", "true: it is gone at once")),
)
def destroy_virtual_machine(call: Call) -> JobRequest:
    """Without `expunge` it is kept, destroyed, until it is destroyed again with it."""
    vm, expunge = call.row("id", Vm), call.flag("expunge")
    if vm.state in _GONE and not expunge:
        raise InvalidRequest(f"parameter id: VM {vm.name} is {vm.state} already; expunge=true removes it for good")
    what = f"destroy VM {vm.name}{' for good' if expunge else ''}"
    return vm_job(call, "VM.DESTROY", what, vm, vm.host_id, id=vm.id, expunge=expunge)


@command(
    "migrateVirtualMachine",
    "Moves a running VM to another host.",
    kind="async",
    responds="virtualmachine",
    parameters=(
        Parameter("virtualmachineid", "uuid", "the UUID of the VM", required=True, of="virtualmachine"),
        Parameter("hostid", "uuid", "where to; any fitting host if not given", of="host"),
    ),
)
def migrate_virtual_machine(call: Call) -> JobRequest:
    """An administrator may move VMs to dedicated HA hosts (M4.3)."""
    vm, host = call.row("virtualmachineid", Vm), call.row_or_none("hostid", Host)
    if vm.state != VmState.RUNNING:
        raise InvalidRequest(
            f"parameter virtualmachineid: VM {vm.name} is {vm.state}; only a Running VM can be migrated"
        )
    if host is not None:
        if host.id == vm.host_id:
            raise InvalidRequest(f"parameter hostid: VM {vm.name} runs on host {host.name} already")
        _refuse(call, vm, host)
    elif all(one.refusal for one in migration_targets(call, vm, {"removed": None})):
        raise NoCapacity(f"no host can take VM {vm.name}: listHosts virtualmachineid={vm.uuid} says why of each")
    where = {"hostid": host.id} if host else {}
    what = f"migrate VM {vm.name}{f' to host {host.name}' if host else ''}"
    return vm_job(call, "VM.MIGRATE", what, vm, vm.host_id, virtualmachineid=vm.id, **where)


def _there(call: Call) -> Vm:
    vm = call.row("id", Vm)
    if vm.state in _GONE:
        raise Conflict(f"VM {vm.name} is {vm.state}: nothing can be done with it any more")
    return vm


def _refuse(call: Call, vm: Vm, host: Host) -> None:
    """Refuse a host that cannot take the VM now."""
    pool = call.store.get(StoragePool, vm.pool_id) if vm.pool_id is not None else None
    room = rooms(call, [host], without=vm.id)[host.id]
    if host.data_center_id != vm.data_center_id:
        raise InvalidRequest(f"parameter hostid: {refusal(vm, host, room, pool, '')}")
    reason = refusal(vm, host, room, pool, hypervisor_of(call, vm))
    if reason:
        raise NoCapacity(f"{reason}; listHosts virtualmachineid={vm.uuid} shows hosts that could take it")
