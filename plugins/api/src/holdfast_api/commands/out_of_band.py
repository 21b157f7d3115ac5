"""Out-of-band management: the power switches of hosts (M3.2)."""

import secrets
import string
from typing import Any

from holdfast.errors import Conflict
from holdfast.hooks.store import Update
from holdfast.model import Cluster, Host, Oobm, PowerAction, Secret, Zone

from holdfast_api.call import Call, JobRequest
from holdfast_api.commands.fence_devices import PLACE, one_device
from holdfast_api.faults import INTERNAL, ApiFault
from holdfast_api.ordering import host_job, place_job
from holdfast_api.registry import Parameter, command
from holdfast_api.switches import configured_oobm, usable_oobm

_HOST = Parameter("hostid", "uuid", "the UUID of the host", required=True, of="host")
_CLUSTER = Parameter("clusterid", "uuid", "the UUID of the cluster", required=True, of="cluster")
_ZONE = Parameter("zoneid", "uuid", "the UUID of the zone", required=True, of="zone")
_LONGEST_PASSWORD = 16


def _host_switch(call: Call, enable: bool) -> JobRequest:
    host = call.row("hostid", Host)
    configured_oobm(call, host)
    word = "enable" if enable else "disable"
    what = f"{word} out-of-band management of host {host.name}"
    return host_job(call, f"HOST.OOBM.{word.upper()}", what, host, hostid=host.id)


def _place_switch(call: Call, enable: bool) -> JobRequest:
    word = "enable" if enable else "disable"
    cluster, zone = call.row_or_none("clusterid", Cluster), call.row_or_none("zoneid", Zone)
    type_ = f"HOST.OOBM.{word.upper()}"
    if cluster is not None:
        what = f"{word} out-of-band management in cluster {cluster.name}"
        return place_job(call, type_, what, ("Cluster", cluster.uuid), clusterid=cluster.id)
    assert zone is not None
    what = f"{word} out-of-band management in zone {zone.name}"
    return place_job(call, type_, what, ("Zone", zone.uuid), zoneid=zone.id)


@command(
    "enableOutOfBandManagementForHost",
    "Lets out-of-band management of a host be used.",
    kind="async",
    responds="outofbandmanagement",
    parameters=(_HOST,),
)
def enable_for_host(call: Call) -> JobRequest:
    """It must have been configured."""
    return _host_switch(call, enable=True)


@command(
    "disableOutOfBandManagementForHost",
    "Keeps out-of-band management of a host from being used; host HA cannot fence it then.",
    kind="async",
    responds="outofbandmanagement",
    parameters=(_HOST,),
)
def disable_for_host(call: Call) -> JobRequest:
    """It must have been configured."""
    return _host_switch(call, enable=False)


@command(
    "enableOutOfBandManagementForCluster",
    "Turns on the cluster's switch of out-of-band management; the hosts keep theirs.",
    kind="async",
    responds="outofbandmanagement",
    parameters=(_CLUSTER,),
)
def enable_for_cluster(call: Call) -> JobRequest:
    """Zone, cluster and host must all be on."""
    return _place_switch(call, enable=True)


@command(
    "disableOutOfBandManagementForCluster",
    "Turns off out-of-band management in a cluster; host HA cannot fence its hosts then.",
    kind="async",
    responds="outofbandmanagement",
    parameters=(_CLUSTER,),
)
def disable_for_cluster(call: Call) -> JobRequest:
    """The hosts keep their own switches."""
    return _place_switch(call, enable=False)


@command(
    "enableOutOfBandManagementForZone",
    "Turns on the zone's switch of out-of-band management; clusters and hosts keep theirs.",
    kind="async",
    responds="outofbandmanagement",
    parameters=(_ZONE,),
)
def enable_for_zone(call: Call) -> JobRequest:
    """Zone, cluster and host must all be on."""
    return _place_switch(call, enable=True)


@command(
    "disableOutOfBandManagementForZone",
    "Turns off out-of-band management in a zone; host HA cannot fence its hosts then.",
    kind="async",
    responds="outofbandmanagement",
    parameters=(_ZONE,),
)
def disable_for_zone(call: Call) -> JobRequest:
    """Clusters and hosts keep their own switches."""
    return _place_switch(call, enable=False)


@command(
    "issueOutOfBandManagementPowerAction",
    "Switches a host's power, or reads it: OFF is a hard power down, SOFT asks the guest system.",
    kind="async",
    responds="outofbandmanagement",
    parameters=(
        _HOST,
        Parameter(
            "action", "string", "what to do", required=True, choices=tuple(str(action) for action in PowerAction)
        ),
        Parameter("timeout", "long", "seconds to wait for the BMC", low=1, high=3600),
        *PLACE,
    ),
)
def issue_power_action(call: Call) -> JobRequest:
    """Refused with 530 if a switch of zone, cluster or host is off, naming it.

    Without level and index it is the host as a whole: OFF goes to the first fence level, and to the next if that fails.
    """
    host, action = call.row("hostid", Host), call.text("action")
    rows = usable_oobm(call, host)
    info: dict[str, Any] = {"hostid": host.id, "action": action} | _device_info(call, host, rows)
    if call.has("timeout"):
        info["timeout"] = call.whole("timeout")
    return host_job(call, "HOST.OOBM.ACTION", f"carry out power action {action} on host {host.name}", host, **info)


@command(
    "changeOutOfBandManagementPassword",
    "Changes the password of the BMC's user, on the BMC and here.",
    kind="async",
    responds="outofbandmanagement",
    parameters=(
        _HOST,
        Parameter(
            "password", "string", "the new password; a random one if not given", length=_LONGEST_PASSWORD, secret=True
        ),
        *PLACE,
    ),
)
def change_password(call: Call) -> JobRequest:
    """The new one waits in the host's row, encrypted, until a management server has put it into the BMC."""
    host = call.row("hostid", Host)
    rows = usable_oobm(call, host)
    info = _device_info(call, host, rows)
    row = one_device(call, host, rows) if info else rows[0]
    if not row.password:
        raise ApiFault(INTERNAL, f"out-of-band management of host {host.name} has no password yet: configure it first")
    if row.new_password:
        raise Conflict(
            f"an earlier change of the BMC password of host {host.name} is not settled: wait until the BMC has "
            "answered, or say with configureOutOfBandManagement which password is in force"
        )
    waiting = {"new_password": call.secret("password") or _generated(), "update_count": row.update_count + 1}
    call.store.commit([Update(Oobm, row.id, waiting, expect={"update_count": row.update_count})])
    what = f"change the BMC password of host {host.name}"
    return host_job(call, "HOST.OOBM.CHANGEPASSWORD", what, host, hostid=host.id, **info)


def _device_info(call: Call, host: Host, rows: list[Oobm]) -> dict[str, Any]:
    """Which fence device a job is about; nothing if none was named."""
    if not call.has("level") and not call.has("index"):
        return {}
    row = one_device(call, host, rows)
    return {"level": row.level, "index": row.device_index}


def _generated() -> Secret:
    letters = string.ascii_letters + string.digits
    return Secret("".join(secrets.choice(letters) for _ in range(_LONGEST_PASSWORD)))
