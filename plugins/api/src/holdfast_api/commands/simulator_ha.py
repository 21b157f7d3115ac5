"""The simulator's HA provider: scripted answers, and the transitions that came of them."""

from holdfast.errors import InvalidRequest
from holdfast.hooks.store import Change, Insert, Query, Update
from holdfast.model import HaTransition, Host, HostDetail

from holdfast_api.call import Call, Listing, Success
from holdfast_api.hypervisors import SIMULATOR
from holdfast_api.inventory_change import change_inventory, fresh
from holdfast_api.registry import Parameter, command

ANSWERS = ("health", "activity", "recover", "fence")
_REVISION = "simulator.ha.revision"
_SHOWN = 100
_HOST = Parameter("hostid", "uuid", "the UUID of the host", required=True, of="host")


@command(
    "configureSimulatorHAProviderState",
    "Scripts what the simulator's HA provider answers for a host, and forgets the transitions recorded so far.",
    kind="sync",
    responds="success",
    since="4.11.0",
    parameters=(
        _HOST,
        Parameter("health", "boolean", "whether health checks pass", required=True),
        Parameter("activity", "boolean", "whether activity checks find activity", required=True),
        Parameter("recover", "boolean", "whether recovery attempts succeed", required=True),
        Parameter("fence", "boolean", "whether fence attempts succeed", required=True),
    ),
)
def configure_state(call: Call) -> Success:
    """For hosts of the hypervisor Simulator. Counters of the host start afresh."""
    host = call.row("hostid", Host)
    if host.hypervisor_type != SIMULATOR:
        raise InvalidRequest(f"parameter hostid: host {host.name} runs {host.hypervisor_type}, not {SIMULATOR}")
    answers = {f"simulator.ha.{name}": "true" if call.flag(name) else "false" for name in ANSWERS}

    def plan() -> list[Change]:
        fresh(call, host)
        rows = {row.name: row for row in call.store.select(HostDetail, Query(equal={"host_id": host.id}))}
        revision = rows.get(_REVISION)
        number = int(revision.value) + 1 if revision and revision.value.isdecimal() else 1
        shown = Query(equal={"host_id": host.id, "hidden": False})
        changes: list[Change] = [
            Update(HaTransition, row.id, {"hidden": True}) for row in call.store.select(HaTransition, shown)
        ]
        for name, value in (*answers.items(), (_REVISION, str(number))):
            row = rows.get(name)
            if row is None:
                changes.append(Insert(HostDetail(host_id=host.id, name=name, value=value)))
            elif row.value != value:
                changes.append(Update(HostDetail, row.id, {"value": value}, expect={"value": row.value}))
        text = f"scripted HA answers of host {host.name}: " + ", ".join(f"{k}={call.flag(k)}" for k in ANSWERS)
        return [*changes, Insert(call.event("HA.RESOURCE.CONFIGURE", text, resource=("Host", host.uuid)))]

    change_inventory(call, plan)
    return Success()


@command(
    "listSimulatorHAStateTransitions",
    "Lists the last 100 HA transitions of a simulated host since its answers were scripted, oldest first.",
    kind="list",
    responds="hastatetransition",
    paged=False,
    since="4.11.0",
    parameters=(_HOST,),
)
def list_transitions(call: Call) -> Listing:
    """Each is recorded once."""
    host = call.row("hostid", Host)
    newest = Query(equal={"host_id": host.id, "hidden": False}, order=("-id",), limit=_SHOWN)
    return Listing.of(call.store.select(HaTransition, newest)[::-1])
