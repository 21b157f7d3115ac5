"""Taking hosts in and out of service: reconnect, maintenance, and declaring one dead."""

from holdfast.errors import Conflict, InvalidRequest
from holdfast.model import MAINTENANCE_STATES, Host, HostStatus, ResourceState

from holdfast_api.call import Call, JobRequest
from holdfast_api.ordering import host_job
from holdfast_api.registry import Parameter, command

_ID = Parameter("id", "uuid", "the UUID of the host", required=True, of="host")


@command("reconnectHost", "Connects to a host's agent afresh.", kind="async", responds="host", parameters=(_ID,))
def reconnect_host(call: Call) -> JobRequest:
    """The VMs of the host are not touched."""
    host = call.row("id", Host)
    return host_job(call, "HOST.RECONNECT", f"reconnect host {host.name}", host, id=host.id)


@command(
    "prepareHostForMaintenance",
    "Takes a host out of service: it gets no more VMs, and those it has are moved away.",
    kind="async",
    responds="host",
    parameters=(_ID,),
)
def prepare_host_for_maintenance(call: Call) -> JobRequest:
    """A host that is in maintenance already stays so, and the job says that it succeeded."""
    host = call.row("id", Host)
    if host.resource_state == ResourceState.DEGRADED:
        raise InvalidRequest(
            f"parameter id: host {host.name} is Degraded; call updateHost allocationstate=Enable first"
        )
    return host_job(call, "MAINT.PREPARE", f"prepare host {host.name} for maintenance", host, id=host.id)


@command(
    "cancelHostMaintenance",
    "Puts a host back into service.",
    kind="async",
    responds="host",
    parameters=(_ID,),
)
def cancel_host_maintenance(call: Call) -> JobRequest:
    """Also what lets a host work again that was fenced."""
    host = call.row("id", Host)
    if host.resource_state not in MAINTENANCE_STATES:
        raise InvalidRequest(f"parameter id: host {host.name} is {host.resource_state}, not in maintenance")
    return host_job(call, "MAINT.CANCEL", f"cancel the maintenance of host {host.name}", host, id=host.id)


@command(
    "declareHostDead",
    "Records an administrator's word that a host is dead, so that its HA VMs may start elsewhere. If it is not dead, "
    "they run twice and destroy their disks.",
    kind="async",
    responds="host",
    since="0.1",
    parameters=(_ID, Parameter("name", "string", "the host's name, letter for letter, to confirm it", required=True)),
)
def declare_host_dead(call: Call) -> JobRequest:
    """The last rung of the proof-of-death ladder. Refused while the host shows signs of life."""
    host = call.row("id", Host)
    if call.text("name") != host.name:
        raise InvalidRequest(
            f"parameter name: {call.text('name')[:60]!r} is not the name of host {host.uuid}, which is {host.name!r}; "
            "look again which host you mean"
        )
    if host.status == HostStatus.UP:
        raise Conflict(
            f"host {host.name} is Up: its agent is being heard. Switch it off first "
            "(issueOutOfBandManagementPowerAction action=OFF, or by hand), then declare it dead"
        )
    who = call.caller.user.username
    return host_job(
        call,
        "HA.DECLARE.DEAD",
        f"take host {host.name} for dead, on the word of {who}",
        host,
        id=host.id,
        name=host.name,
    )
