"""Out-of-band management of hosts. No answer carries a password: it shows as ****, whatever it is."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from holdfast import bmc_options
from holdfast.errors import ConfigurationError
from holdfast.model import Host, Oobm, PowerState
from holdfast.model.readiness import host_readiness

from holdfast_api.fields import Answer, Field, ResponseObject, as_given
from holdfast_api.rows import among
from holdfast_api.times import moment_text

if TYPE_CHECKING:
    from holdfast_api.call import Call

MASK = "****"

OOBM_FIELDS = (
    Field("hostid", "string", "the UUID of the host"),
    Field("powerstate", "string", "On, Off, Unknown or Disabled, as last read"),
    Field("enabled", "boolean", "whether it is enabled for the host"),
    Field("driver", "string", "driver of its BMC"),
    Field("address", "string", "address of its BMC"),
    Field("port", "string", "port of its BMC"),
    Field("username", "string", "user of its BMC"),
    Field("password", "string", "**** if there is one"),
    Field("manageconsoleprotocol", "string", "protocol of the management console", since="0.1"),
    Field("manageconsoleport", "string", "port of the management console", since="0.1"),
    Field("problem", "string", "why it could not be read lately", since="0.1"),
    Field("level", "integer", "its fence level: those of one level must all be off together", since="0.1"),
    Field("index", "integer", "its number within the level, from 0", since="0.1"),
    Field("timeout", "integer", "seconds that it has to be switched off in, if that was set", since="0.1"),
    Field("details", "map", "options of the driver for this BMC; a secret one shows as ****", since="0.1"),
    Field("readiness", "string", "Ready, Warning or NotReady: whether a fence would get through", since="0.1"),
    Field("readinessdetail", "string", "why a fence would not, or soon will not", since="0.1"),
    Field("readinesssince", "date", "since when", since="0.1"),
)


def oobm_answer(host_uuid: str, row: Oobm | None) -> Answer:
    """What is shown of a host's out-of-band management; a host without any shows as Disabled."""
    if row is None:
        return {"powerstate": PowerState.DISABLED.value, "enabled": False}
    return {
        "hostid": host_uuid,
        "powerstate": str(row.power_state),
        "enabled": row.enabled,
        "driver": row.driver or None,
        "address": row.address or None,
        "port": row.port or None,
        "username": row.username or None,
        "password": MASK if row.password else None,
        "manageconsoleprotocol": row.manage_console_protocol or None,
        "manageconsoleport": row.manage_console_port or None,
        "problem": row.problem or None,
        "level": row.level,
        "index": row.device_index,
        "timeout": row.timeout or None,
        "details": _options(row),
        "readiness": row.readiness or None,
        "readinessdetail": row.readiness_detail or None,
        "readinesssince": moment_text(row.readiness_since) if row.readiness else None,
    }


def _options(row: Oobm) -> Answer | None:
    try:
        plain, hidden = bmc_options.read(row)
    except ConfigurationError:
        return None  # the reading of its power says what is wrong
    return {**plain, **dict.fromkeys(hidden, MASK)} or None


def fence_readiness(devices: Iterable[Oobm]) -> str | None:
    """One word for a host: whether a fence by its enabled devices would get through."""
    levels: dict[int, list[str]] = {}
    for device in devices:
        if device.enabled and device.driver:
            levels.setdefault(device.level, []).append(device.readiness)
    return host_readiness(levels) or None


def devices_by_host(call: "Call", hosts: Iterable[int]) -> dict[int, list[Oobm]]:
    """Host id → its fence devices by level and index, for hosts that have any."""
    found: dict[int, list[Oobm]] = {}
    rows = among(call.store, Oobm, "host_id", hosts)
    for row in sorted(rows, key=lambda row: (row.level, row.device_index)):
        found.setdefault(row.host_id, []).append(row)
    return found


def _from_job(call: "Call", result: Mapping[str, Any]) -> Answer:
    """With an action: the whole row. For a host otherwise: its switch. For clusters and zones: what was set."""
    done = {name: result[name] for name in ("action", "description", "status") if result.get(name) is not None}
    if "hostid" not in result:
        return {"enabled": result.get("enabled")} | done
    host = call.store.get(Host, int(result["hostid"]))
    rows = devices_by_host(call, [int(result["hostid"])]).get(int(result["hostid"]), [])
    place = (result.get("level"), result.get("index"))
    row = next((row for row in rows if (row.level, row.device_index) == place), rows[0] if rows else None)
    shown = oobm_answer(host.uuid if host else "", row) | {"hostid": host.uuid if host else None}
    if "action" not in result:
        shown = {name: shown.get(name) for name in ("hostid", "enabled", "powerstate")}
    elif result.get("powerstate"):
        # Of the host as a whole, as it was just read: its first device alone may say less.
        shown |= {"powerstate": str(result["powerstate"])}
    return shown | done


OUT_OF_BAND_MANAGEMENT = ResponseObject(
    name="outofbandmanagement",
    fields=(
        *OOBM_FIELDS,
        Field("action", "string", "the power action that was carried out"),
        Field("description", "string", "what the driver said"),
        Field("status", "boolean", "whether it was done"),
    ),
    build=as_given,
    from_job=_from_job,
)
