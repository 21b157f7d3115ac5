"""Why a host or a VM is as it is: read from what was stored, with what a management server of this process sees."""

from holdfast.hooks.store import Query
from holdfast.model import HaConfig, HaTransition, Host, Permit, PermitState, StoragePool, Vm, VmState, Work

from holdfast_api.allocation import residents
from holdfast_api.call import Call
from holdfast_api.dedicated_hosts import zone_warnings
from holdfast_api.fields import Answer
from holdfast_api.registry import Parameter, command
from holdfast_api.responses.certificates import certificates_that_end
from holdfast_api.responses.explanations import permit_history, story, work_item
from holdfast_api.responses.host_ha import ha_beside, ha_by_host, live_part
from holdfast_api.responses.out_of_band import fence_readiness, oobm_answer
from holdfast_api.switches import HA, devices_of, switched_off

_TRANSITIONS = 50
_RUNS = 50
_WORK = 10


@command(
    "explainHostHA",
    "Explains the HA state of a host: how it came about, on what evidence, and what is waited for.",
    kind="sync",
    responds="hosthaexplanation",
    changes=False,
    since="0.1",
    parameters=(Parameter("id", "uuid", "the UUID of the host", required=True, of="host"),),
)
def explain_host_ha(call: Call) -> Answer:
    """The live part is there only if a management server of this process answers."""
    host = call.row("id", Host)
    row, devices = ha_by_host(call, [host.id]).get(host.id), devices_of(call, host)
    newest = Query(equal={"host_id": host.id}, order=("-id",), limit=_TRANSITIONS)
    live = live_part(call, "manager.explain_host", host.uuid)
    return ha_beside(row, live, host.uuid) | {
        "hostname": host.name,
        "state": str(host.status),
        "resourcestate": str(host.resource_state),
        "reason": _host_reason(row),
        "switchedoff": switched_off(call, host, HA) or None,
        "story": story(call.store.select(HaTransition, newest)[::-1]),
        "outofbandmanagement": oobm_answer(host.uuid, devices[0] if devices else None),
        "fencedevices": [oobm_answer(host.uuid, device) for device in devices],
        "fencereadiness": fence_readiness(devices),
        "heartbeats": _heartbeats(call, host),
        "virtualmachines": [
            {"id": vm.uuid, "name": vm.name, "state": str(vm.state), "haenable": vm.ha_enabled}
            for vm in residents(call, [host.id])
        ],
        "hawarnings": [
            *zone_warnings(call, [host.data_center_id]).values(),
            *certificates_that_end(call, [host]).values(),
        ],
        "live": live,
    }


def _host_reason(row: HaConfig | None) -> str | None:
    if row is None or not row.provider:
        return "host HA was never configured for it: configureHAForHost, then enableHAForHost"
    if not row.enabled:
        return row.reason or "host HA is disabled for it: enableHAForHost"
    return row.reason or None


def _heartbeats(call: Call, host: Host) -> list[Answer]:
    query = Query(equal={"data_center_id": host.data_center_id, "removed": None}, order=("name",))
    return [
        {"storageid": pool.uuid, "storagename": pool.name, "heartbeat": pool.heartbeat}
        for pool in call.store.select(StoragePool, query)
        if pool.heartbeat
        and pool.cluster_id in (None, host.cluster_id)
        and call.settings.flag("kvm.ha.on.storage.heartbeat", pool=pool.id)
    ]


@command(
    "explainVirtualMachineHA",
    "Explains where a VM ran, on what proof it was started elsewhere, and what its restart waits for.",
    kind="sync",
    responds="virtualmachinehaexplanation",
    changes=False,
    since="0.1",
    parameters=(Parameter("id", "uuid", "the UUID of the VM", required=True, of="virtualmachine"),),
)
def explain_virtual_machine_ha(call: Call) -> Answer:
    """Its runs with their proofs, and its restarts with the refusal of every host that was looked at."""
    vm = call.row("id", Vm)
    host = call.store.get(Host, vm.host_id) if vm.host_id is not None else None
    permits = call.store.select(Permit, Query(equal={"vm_id": vm.id}, order=("-run_epoch",), limit=_RUNS))[::-1]
    work = call.store.select(Work, Query(equal={"instance_id": vm.id}, order=("-id",), limit=_WORK))
    return {
        "id": vm.uuid,
        "name": vm.name,
        "state": str(vm.state),
        "reason": vm.reason or None,
        "haenable": vm.ha_enabled,
        "haverdict": _verdict(call, vm, work, any(row.state != PermitState.ENDED for row in permits)),
        "hostid": host.uuid if host else None,
        "hostname": host.name if host else None,
        "runepoch": vm.run_epoch,
        "permits": permit_history(call, permits),
        "work": [work_item(row) for row in work],
        "hawarnings": list(zone_warnings(call, [vm.data_center_id]).values()),
        "live": live_part(call, "manager.explain_vm", vm.uuid),
    }


def _verdict(call: Call, vm: Vm, work: list[Work], live_run: bool) -> str:
    if work and work[0].finished is None:
        return f"a restart is under way: it is {work[0].step}, because of {work[0].reason}"
    if not vm.ha_enabled and not call.settings.flag("force.ha"):
        return "HA does not restart it: haenable is false"
    if not call.settings.flag("vm.ha.enabled", zone=vm.data_center_id):
        return "HA does not restart it: the setting vm.ha.enabled is false in its zone"
    pool = call.store.get(StoragePool, vm.pool_id) if vm.pool_id is not None else None
    if pool is not None and pool.scope == "HOST":
        return "HA does not restart it elsewhere: its disk is on the local storage of its host"
    if vm.state == VmState.STOPPING:
        return "HA does not restart it: it is being stopped by order"
    if vm.state == VmState.RUNNING:
        return "it runs; should its host be proved dead, HA restarts it elsewhere"
    if live_run:
        return "a run of it may still be live; HA starts it elsewhere only once that run is proved to be over"
    return f"it is {vm.state}, and nothing asks for a restart"
