"""The computer system that a host is: found among those behind a BMC, read, and reset."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from holdfast.errors import DeadlineExceeded, DriverError, Refused
from holdfast.model.states import PowerState

from holdfast_oobm_redfish.answers import members_of, path_in
from holdfast_oobm_redfish.bmc import ROOT, Bmc
from holdfast_oobm_redfish.deadline import Deadline
from holdfast_oobm_redfish.resets import read_state
from holdfast_oobm_redfish.target import Target

SYSTEMS = "/redfish/v1/Systems"
RESET = "#ComputerSystem.Reset"
ALLOWED = "ResetType@Redfish.AllowableValues"
MOST_PAGES = 64
MOST_SYSTEMS = 1024
"""A rack manager may have some hundred; more is a BMC that leads on for ever. The deadline ends it all the same."""
MOST_NAMED = 8


@dataclass(frozen=True, slots=True)
class System:
    """A system as the BMC described it last. `allowed` is None where the BMC does not say which resets it takes."""

    path: str
    state: PowerState
    reset_path: str
    allowed: frozenset[str] | None

    @property
    def name(self) -> str:
        """The last part of its path: what `system` in the options calls it."""
        return _last(self.path)


def remembered(bmc: Bmc, target: Target, deadline: Deadline) -> System:
    """The system meant by `target` as it was when it was last read; its `state` may be old."""
    found = bmc.known.get(_key(target))
    return found if found is not None else read(bmc, target, deadline)


def read(bmc: Bmc, target: Target, deadline: Deadline) -> System:
    """The system meant by `target`, asked for now. `Refused` names the systems there are if it is none or several."""
    key = _key(target)
    known = bmc.known.get(key)
    if known is not None:
        try:
            return _keep(bmc, key, _described(bmc, target, known.path, deadline))
        except Refused as error:
            if type(error) not in (Refused, _AnotherSystem):
                raise
            bmc.known.pop(key, None)  # the path has gone, or was renumbered: look for the system anew, once
    return _keep(bmc, key, _find(bmc, target, deadline))


class _AnotherSystem(Refused):
    """What is there is not the host that was meant."""


def _key(target: Target) -> tuple[str, str]:
    return target.system, str(target.uuid or "")


def _keep(bmc: Bmc, key: tuple[str, str], system: System) -> System:
    bmc.known[key] = system
    return system


def _find(bmc: Bmc, target: Target, deadline: Deadline) -> System:
    where = bmc.target.where
    paths = _paths(bmc, deadline)
    if not paths:
        raise Refused(f"{where}: it lists no system; is the user allowed to see them?")
    if target.system:
        named = [path for path in paths if target.system in (path.rstrip("/"), _last(path))]
        if len(named) == 1:
            return _described(bmc, target, named[0], deadline)
        raise Refused(f"{where}: it has no system {target.system!r}; there are {_listed(paths)}. Set `system` to one")
    if len(paths) == 1:
        return _described(bmc, target, paths[0], deadline)
    if target.uuid is not None:
        for path in paths[:MOST_SYSTEMS]:
            if _is_same(bmc.get(path, deadline).get("UUID"), target.uuid):
                return _described(bmc, target, path, deadline)
        raise _AnotherSystem(f"{where}: no system there has the UUID {target.uuid}; there are {_listed(paths)}")
    raise Refused(
        f"{where}: there are {len(paths)} systems behind it: {_listed(paths)}. Set `system` or `uuid` of this host"
    )


def _paths(bmc: Bmc, deadline: Deadline) -> list[str]:
    where = bmc.target.where
    link = bmc.get(ROOT, deadline).get("Systems")
    page: Any = path_in(link, where) if link else SYSTEMS
    found: list[str] = []
    for _ in range(MOST_PAGES):
        collection = bmc.get(page, deadline)
        found += [path_in(member, where) for member in members_of(collection)]
        following = collection.get("Members@odata.nextLink")
        if not isinstance(following, str) or len(found) > MOST_SYSTEMS:
            break
        # The continuation is in the query, which a path alone would lose.
        page = path_in(following, where) + (f"?{following.partition('?')[2]}" if "?" in following else "")
    return list(dict.fromkeys(found))


def _described(bmc: Bmc, target: Target, path: str, deadline: Deadline) -> System:
    data, where = bmc.get(path, deadline), bmc.target.where
    shown = data.get("UUID")
    if target.uuid is not None and not _is_same(shown, target.uuid):
        known = bmc.known.get(_key(target))
        if shown or known is None or known.path != path:
            raise _AnotherSystem(
                f"{where}: another host answers there: system {_last(path)} has the UUID {str(shown)[:40]!r}, expected "
                f"is {target.uuid}. Correct the BMC's address, or `uuid` if the board was replaced"
            )
    reset = _table(_table(data.get("Actions")).get(RESET))
    reset_path = path_in(reset["target"], where) if reset.get("target") else f"{path.rstrip('/')}/Actions/{RESET[1:]}"
    return System(path, read_state(data.get("PowerState")), reset_path, _allowed(bmc, target, reset, deadline))


def _allowed(bmc: Bmc, target: Target, reset: Mapping[str, Any], deadline: Deadline) -> frozenset[str] | None:
    values = reset.get(ALLOWED)
    if isinstance(values, list):
        return frozenset(str(value) for value in values) or None
    link = reset.get("@Redfish.ActionInfo")
    if not link:
        return None
    known = bmc.known.get(_key(target))
    if isinstance(known, System) and known.allowed:
        return known.allowed  # the list hardly ever changes, and a reading should cost one round trip
    try:
        parameters = _action_info(bmc, path_in(link, bmc.target.where), deadline).get("Parameters")
    except DeadlineExceeded:
        raise
    except DriverError:
        return None  # the power was read all the same, and the best reset can be tried
    for parameter in parameters if isinstance(parameters, list) else []:
        values = _table(parameter).get("AllowableValues")
        if _table(parameter).get("Name") == "ResetType" and isinstance(values, list):
            return frozenset(str(value) for value in values) or None
    return None


def _action_info(bmc: Bmc, path: str, deadline: Deadline) -> Mapping[str, Any]:
    """What stands behind the link; nothing where the BMC refuses to show it, which it is asked once for each login."""
    refused = ("refused", path)
    if refused in bmc.known:
        return {}
    try:
        return bmc.get(path, deadline)
    except Refused:
        bmc.known[refused] = True
        return {}


def _is_same(shown: object, uuid: UUID) -> bool:
    try:
        found = UUID(str(shown))
    except ValueError:
        return False
    # SMBIOS keeps the first three fields the other way round, and some BMCs show them so.
    return uuid in (found, UUID(bytes=found.bytes_le))


def _table(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _last(path: str) -> str:
    return path.rstrip("/").rsplit("/", 1)[-1]


def _listed(paths: list[str]) -> str:
    names = ", ".join(_last(path) for path in paths[:MOST_NAMED])
    return f"{names} and {len(paths) - MOST_NAMED} more" if len(paths) > MOST_NAMED else names
