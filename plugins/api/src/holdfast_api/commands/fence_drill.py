"""Fence drills: the proof that a host's fence devices do what they say, taken while nobody needs it."""

from typing import Any

from holdfast.errors import InvalidRequest
from holdfast.model import Host, ResourceState

from holdfast_api.call import Call, JobRequest
from holdfast_api.ordering import host_job
from holdfast_api.registry import Parameter, command
from holdfast_api.switches import usable_oobm


@command(
    "runFenceDrill",
    "Power-cycles an empty host in maintenance through its fence devices, and tells how long each stage took.",
    kind="async",
    responds="fencedrill",
    since="0.1",
    parameters=(
        Parameter("hostid", "uuid", "the UUID of the host", required=True, of="host"),
        Parameter("level", "integer", "the fence level to try; every one, one after the other, if not given", low=1),
        Parameter("timeout", "long", "seconds that the host has to boot in; 900 if not given", low=1, high=86_400),
    ),
)
def run_fence_drill(call: Call) -> JobRequest:
    """Refused unless the host is in maintenance. That it is empty is checked just before its power is cut."""
    host = call.row("hostid", Host)
    usable_oobm(call, host)
    if host.resource_state != ResourceState.MAINTENANCE:
        raise InvalidRequest(
            f"parameter hostid: host {host.name} is {host.resource_state}, not in Maintenance, and a drill switches it "
            "off: call prepareHostForMaintenance first"
        )
    info: dict[str, Any] = {name: call.whole(name) for name in ("level", "timeout") if call.has(name)}
    what = f"drill the fencing of host {host.name}"
    return host_job(call, "HOST.OOBM.FENCE.DRILL", what, host, hostid=host.id, **info)
