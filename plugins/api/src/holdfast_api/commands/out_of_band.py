"""Out-of-band management: the power switches of hosts (M3.2)."""

import re
import secrets
import string
from typing import Any

from holdfast.errors import Conflict, InvalidRequest
from holdfast.hooks.store import Change, Insert, Update
from holdfast.model import Cluster, Host, Oobm, PowerAction, Secret, Zone

from holdfast_api.call import Call, JobRequest
from holdfast_api.faults import INTERNAL, ApiFault
from holdfast_api.fields import Answer
from holdfast_api.inventory_change import fresh
from holdfast_api.ordering import host_job, place_job
from holdfast_api.registry import Parameter, command
from holdfast_api.responses.out_of_band import oobm_answer
from holdfast_api.switches import configured_oobm, oobm_of, usable_oobm

_HOST = Parameter("hostid", "uuid", "the UUID of the host", required=True, of="host")
_CLUSTER = Parameter("clusterid", "uuid", "the UUID of the cluster", required=True, of="cluster")
_ZONE = Parameter("zoneid", "uuid", "the UUID of the zone", required=True, of="zone")
_ATTEMPTS = 10
_LONGEST_PASSWORD = 16
_BLANK = re.compile(r"\s")


@command(
    "configureOutOfBandManagement",
    "Says how to reach a host's BMC. The BMC is not asked, and nothing is enabled.",
    kind="sync",
    responds="outofbandmanagement",
    parameters=(
        _HOST,
        Parameter("driver", "string", "driver of the BMC: ipmitool, redfish, simulator …", required=True),
        Parameter("address", "string", "address of the BMC", required=True),
        Parameter("port", "string", "port of the BMC", required=True),
        Parameter("username", "string", "user of the BMC", required=True),
        Parameter("password", "string", "password of that user", required=True, secret=True),
        Parameter("manageconsoleprotocol", "string", "protocol of the management console", length=16, since="0.1"),
        Parameter("manageconsoleport", "string", "port of the management console", length=16, since="0.1"),
    ),
)
def configure_out_of_band_management(call: Call) -> Answer:
    """Overwrites what was configured before."""
    host, values = call.row("hostid", Host), _values(call)
    for _ in range(_ATTEMPTS):
        try:
            row = _written(call, fresh(call, host), values)
        except Conflict:
            fresh(call, host)
            continue
        call.context.bell.ring("inventory")
        return oobm_answer(host.uuid, row) | {
            "description": f"configured for host {host.name}; enable it with enableOutOfBandManagementForHost",
            "status": True,
        }
    raise Conflict(f"others keep changing the out-of-band management of host {host.name}; try again")


def _values(call: Call) -> dict[str, Any]:
    driver = call.text("driver").strip().lower()
    installed = call.context.plugins.names("oobm")
    if driver not in installed:
        raise ApiFault(
            INTERNAL,
            f"parameter driver: there is no out-of-band management driver {call.text('driver')[:60]!r}; there are "
            f"{', '.join(installed) or '(none)'}; `holdfast plugins list` shows them",
        )
    for name in ("address", "port"):
        if _BLANK.search(call.text(name).strip()):
            raise InvalidRequest(f"parameter {name}: {call.text(name)[:60]!r} has a blank in it")
    return {
        "driver": driver,
        "address": call.text("address").strip(),
        "port": call.text("port").strip(),
        "username": call.text("username"),
        "password": call.secret("password"),
        "manage_console_protocol": call.text("manageconsoleprotocol"),
        "manage_console_port": call.text("manageconsoleport"),
        # What was wrong with the old address or password says nothing of the new one.
        "problem": "",
        "new_password": None,
    }


def _written(call: Call, host: Host, values: dict[str, Any]) -> Oobm:
    row = oobm_of(call, host)
    text = (
        f"configured out-of-band management of host {host.name}: driver {values['driver']}, address {values['address']}"
    )
    told = Insert(call.event("HOST.OOBM.CONFIGURE", text, resource=("Host", host.uuid)))
    change: Change
    if row is None:
        change = Insert(Oobm(host_id=host.id, update_time=call.now(), **values))
    else:
        kept = {name: value for name, value in values.items() if value != "" or name == "problem"}
        counted = {"update_count": row.update_count + 1, "update_time": call.now()}
        change = Update(Oobm, row.id, kept | counted, expect={"update_count": row.update_count})
    call.store.commit([change, told])
    found = oobm_of(call, host)
    if found is None:
        raise Conflict(f"host {host.name} was removed meanwhile")
    return found


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
    ),
)
def issue_power_action(call: Call) -> JobRequest:
    """Refused with 530 if a switch of zone, cluster or host is off, naming it."""
    host, action = call.row("hostid", Host), call.text("action")
    usable_oobm(call, host)
    info: dict[str, Any] = {"hostid": host.id, "action": action}
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
    ),
)
def change_password(call: Call) -> JobRequest:
    """The new one waits in the host's row, encrypted, until a management server has put it into the BMC."""
    host = call.row("hostid", Host)
    row = usable_oobm(call, host)
    if not row.password:
        raise ApiFault(INTERNAL, f"out-of-band management of host {host.name} has no password yet: configure it first")
    waiting = {"new_password": call.secret("password") or _generated(), "update_count": row.update_count + 1}
    call.store.commit([Update(Oobm, row.id, waiting, expect={"update_count": row.update_count})])
    return host_job(
        call, "HOST.OOBM.CHANGEPASSWORD", f"change the BMC password of host {host.name}", host, hostid=host.id
    )


def _generated() -> Secret:
    letters = string.ascii_letters + string.digits
    return Secret("".join(secrets.choice(letters) for _ in range(_LONGEST_PASSWORD)))
