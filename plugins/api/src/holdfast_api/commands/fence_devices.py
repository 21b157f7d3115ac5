"""What a host's fence devices are: BMCs and switched outlets, in levels, each with its driver and options (M3.2)."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from holdfast import bmc_options
from holdfast.errors import Conflict, InvalidRequest, PluginError
from holdfast.hooks.store import Change, Delete, Insert, Update
from holdfast.model import Host, Oobm, PowerState
from holdfast.options import Option

from holdfast_api.call import Call, Success
from holdfast_api.faults import INTERNAL, ApiFault
from holdfast_api.fields import Answer
from holdfast_api.inventory_change import fresh
from holdfast_api.registry import Parameter, command
from holdfast_api.responses.out_of_band import oobm_answer
from holdfast_api.switches import devices_of

HIGHEST_LEVEL, HIGHEST_INDEX = 9, 15
_HOST = Parameter("hostid", "uuid", "the UUID of the host", required=True, of="host")
PLACE = (
    Parameter(
        "level", "integer", "fence level of the device: 1 is tried first", low=1, high=HIGHEST_LEVEL, since="0.1"
    ),
    Parameter(
        "index", "integer", "number of the device within its level, from 0", low=0, high=HIGHEST_INDEX, since="0.1"
    ),
)
"""Parameters that name one fence device; without them it is level 1, index 0, or the host as a whole."""
_ATTEMPTS = 10
_BLANK = re.compile(r"\s")


def place_of(call: Call) -> tuple[int, int]:
    """Level and index that were given, or those of a host's only device."""
    return call.whole("level", 1), call.whole("index", 0)


def one_device(call: Call, host: Host, rows: Sequence[Oobm]) -> Oobm:
    """The device at the place that was given; `InvalidRequest` names those that there are."""
    level, index = place_of(call)
    for row in rows:
        if (row.level, row.device_index) == (level, index):
            return row
    there = ", ".join(f"level {row.level} index {row.device_index}" for row in rows) or "none"
    raise InvalidRequest(
        f"parameter level: host {host.name} has no fence device at level {level} index {index}; it has {there}"
    )


@command(
    "configureOutOfBandManagement",
    "Says how to reach a host's BMC, or another of its fence devices. It is not asked, and nothing is enabled.",
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
        *PLACE,
        Parameter(
            "timeout",
            "integer",
            "seconds that the device has to be switched off in before the next level is tried; 0: as the settings say",
            low=0,
            high=3600,
            since="0.1",
        ),
        Parameter(
            "details",
            "map",
            "options of the driver for this BMC alone, as details[0].NAME=VALUE; an empty value takes one away",
            allow_empty=True,
            secret=True,
            since="0.1",
        ),
    ),
)
def configure_out_of_band_management(call: Call) -> Answer:
    """Overwrites what was configured before for the same level and index."""
    host, values = call.row("hostid", Host), _values(call)
    for _ in range(_ATTEMPTS):
        try:
            row = _written(call, fresh(call, host), values)
        except Conflict:
            fresh(call, host)
            continue
        call.context.bell.ring("inventory")
        return oobm_answer(host.uuid, row) | {
            "description": f"configured for host {host.name}"
            + ("" if row.enabled else "; enable it with enableOutOfBandManagementForHost"),
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
    } | ({"timeout": call.whole("timeout")} if call.has("timeout") else {})


def _written(call: Call, host: Host, values: dict[str, Any]) -> Oobm:
    rows, (level, index) = devices_of(call, host), place_of(call)
    row = next((row for row in rows if (row.level, row.device_index) == (level, index)), None)
    values = values | _options(call, row, values["driver"])
    what = f"driver {values['driver']}, address {values['address']}"
    where = "" if (level, index) == (1, 0) else f" (device {index} of level {level})"
    text = f"configured out-of-band management of host {host.name}{where}: {what}"
    told = Insert(call.event("HOST.OOBM.CONFIGURE", text, resource=("Host", host.uuid)))
    change: Change
    if row is None:
        # A host is enabled as a whole: a device that joins it is, too.
        enabled = any(other.enabled for other in rows)
        state = PowerState.UNKNOWN if enabled else PowerState.DISABLED
        place: dict[str, Any] = {"level": level, "device_index": index, "enabled": enabled, "power_state": state}
        change = Insert(Oobm(host_id=host.id, update_time=call.now(), **place, **values))
    else:
        kept = {name: value for name, value in values.items() if value != "" or name == "problem"}
        counted = {"update_count": row.update_count + 1, "update_time": call.now()}
        new = kept | counted | _unseen(row, kept)
        change = Update(Oobm, row.id, new, expect={"update_count": row.update_count})
    call.store.commit([change, told])
    return _stored(call, host)


def _unseen(row: Oobm, values: Mapping[str, Any]) -> dict[str, Any]:
    """What was seen through the old address or login, and says nothing of the new one. It is looked at anew soon."""
    changed = {name for name, value in values.items() if getattr(row, name) != value}
    found: dict[str, Any] = {}
    if changed & {"driver", "address", "port"} and row.power_state != PowerState.DISABLED:
        found["power_state"] = PowerState.UNKNOWN
    if changed - {"problem", "new_password"}:
        found |= {"readiness": "", "readiness_detail": "", "readiness_since": None}
    return found


def _stored(call: Call, host: Host) -> Oobm:
    for row in devices_of(call, host):
        if (row.level, row.device_index) == place_of(call):
            return row
    raise Conflict(f"host {host.name} was removed meanwhile")


def _options(call: Call, row: Oobm | None, driver: str) -> dict[str, Any]:
    """Columns with the driver's options for this device: those that were given over those that it had.

    What another driver left there goes.
    """
    given: dict[str, str] = call.parameters.get("details", {})
    if not given and (row is None or (row.driver == driver) or (row.options == "{}" and not row.secret_options)):
        return {}
    try:
        known: dict[str, Option] = dict(getattr(call.context.plugins.driver_class("oobm", driver), "BMC_OPTIONS", {}))
    except PluginError as problem:
        raise ApiFault(INTERNAL, f"parameter details: driver {driver} cannot be used: {problem}") from problem
    try:
        checked = bmc_options.checked(known, given, driver)
    except InvalidRequest as problem:
        raise InvalidRequest(f"parameter details: {problem}") from problem
    return bmc_options.stored(known, row, checked)


@command(
    "removeOutOfBandManagementDevice",
    "Takes one of a host's fence devices out of its configuration. Host HA cannot fence with it any more.",
    kind="sync",
    responds="success",
    since="0.1",
    parameters=(_HOST, *PLACE),
)
def remove_out_of_band_management_device(call: Call) -> Success:
    """The others of its level alone must be off then. Nothing is sent to it."""
    host = call.row("hostid", Host)
    row = one_device(call, host, devices_of(call, host))
    text = (
        f"removed fence device {row.device_index} of level {row.level} of host {host.name}: driver {row.driver}, "
        f"address {row.address}"
    )
    told = Insert(call.event("HOST.OOBM.REMOVE", text, resource=("Host", host.uuid)))
    call.store.commit([Delete(Oobm, row.id, expect={"update_count": row.update_count}), told])
    call.context.bell.ring("inventory")
    return Success()
