"""Hosts: listHosts, updateHost and deleteHost."""

from typing import Any

from holdfast.errors import Conflict, InvalidRequest
from holdfast.hooks.store import Change, Delete, Insert, Query, Update
from holdfast.model import (
    MAINTENANCE_STATES,
    AsyncJob,
    HaConfig,
    Host,
    HostDetail,
    HostStatus,
    HostTag,
    JobStatus,
    Oobm,
    Permit,
    PermitState,
    PowerState,
    ResourceState,
    Vm,
    Work,
)
from holdfast.model.states import OPEN_STEPS

from holdfast_api.allocation import residents
from holdfast_api.call import Call, Listing, Success
from holdfast_api.dedicated_hosts import dedicated_ids
from holdfast_api.host_tags import read_tags, replaced_tags
from holdfast_api.hypervisors import HYPERVISORS
from holdfast_api.inventory_change import change_inventory, fresh, stored
from holdfast_api.migration_targets import migration_targets
from holdfast_api.paging import given, select_page
from holdfast_api.registry import Parameter, command
from holdfast_api.responses.hosts import ALL_DETAILS

_POWER = tuple(str(state) for state in PowerState)
_STATUS = tuple(str(state) for state in HostStatus)
_RESOURCE = tuple(str(state) for state in ResourceState)
_ALLOCATION = {"enable": ResourceState.ENABLED, "disable": ResourceState.DISABLED}


@command(
    "listHosts",
    "Lists hosts.",
    kind="list",
    responds="host",
    parameters=(
        Parameter("id", "uuid", "the UUID of the host", of="host"),
        Parameter("ids", "list", "UUIDs of hosts", of="host", length=0, since="0.1"),
        Parameter("name", "string", "name of the host"),
        Parameter("zoneid", "uuid", "hosts of this zone", of="zone"),
        Parameter("podid", "uuid", "hosts of this pod", of="pod"),
        Parameter("clusterid", "uuid", "hosts of this cluster", of="cluster"),
        Parameter("type", "string", "hosts of this type; Routing ones run VMs", words=("Routing",)),
        Parameter("state", "string", "hosts whose agent is in this state: Up, Down, Connecting …", words=_STATUS),
        Parameter(
            "resourcestate", "string", "hosts in this resource state: Enabled, Disabled, Maintenance …", words=_RESOURCE
        ),
        Parameter("hypervisor", "string", "hosts of this hypervisor", words=HYPERVISORS),
        Parameter("managementserverid", "uuid", "hosts that this management server owns", of="managementserver"),
        Parameter("hahost", "boolean", "true: hosts that take only VMs restarted by HA; false: the others"),
        Parameter("outofbandmanagementenabled", "boolean", "by whether out-of-band management is enabled for them"),
        Parameter("outofbandmanagementpowerstate", "string", "hosts in this power state", choices=_POWER),
        Parameter("virtualmachineid", "uuid", "hosts that this VM could be migrated to", of="virtualmachine"),
        Parameter("details", "list", "how much to show: all, or of min, core, capacity, events, stats"),
    ),
)
def list_hosts(call: Call) -> Listing:
    """By name. Each with its host HA and out-of-band management."""
    for word in call.parameters.get("details", ()):
        if word not in ALL_DETAILS:
            raise InvalidRequest(
                f"parameter details: {word[:60]!r} is not accepted; allowed are {', '.join(ALL_DETAILS)}"
            )
    equal = given(
        call,
        id="id",
        name="name",
        data_center_id="zoneid",
        pod_id="podid",
        cluster_id="clusterid",
        type="type",
        status="state",
        resource_state="resourcestate",
        hypervisor_type="hypervisor",
        mgmt_server_id="managementserverid",
    )
    picked = _Picked.of(call)
    search = ("name", "private_ip_address")
    if call.has("virtualmachineid"):
        found = migration_targets(call, call.row("virtualmachineid", Vm), {"removed": None, **equal})
        word = call.keyword.lower()
        hit = [one for one in found if any(word in str(getattr(one.host, field)).lower() for field in search)]
        return Listing.of([one for one in hit if picked.has(one.host)], call.page)
    if picked.is_everything:
        return select_page(call, Host, equal={"removed": None, **equal}, search=search, order=("name",))
    containing = {call.keyword: search} if call.keyword else {}
    query = Query(equal={"removed": None, **equal}, containing=containing, order=("name",))
    return Listing.of([host for host in call.store.select(Host, query) if picked.has(host)], call.page)


class _Picked:
    """The hosts that the filters on other tables leave. No query takes as many ids as there may be hosts."""

    def __init__(self) -> None:
        self._wanted: list[set[int]] = []
        self._unwanted: list[set[int]] = []

    @classmethod
    def of(cls, call: Call) -> "_Picked":
        """By the parameters of listHosts."""
        picked = cls()
        if call.has("ids"):
            picked._wanted.append({row.id for row in call.rows("ids", Host)})
        if call.has("hahost"):
            picked._add(dedicated_ids(call), call.flag("hahost"))
        if call.has("outofbandmanagementenabled"):
            rows = call.store.select(Oobm, Query(equal={"enabled": True}))
            picked._add({row.host_id for row in rows}, call.flag("outofbandmanagementenabled"))
        if call.has("outofbandmanagementpowerstate"):
            state = call.text("outofbandmanagementpowerstate")
            # A host without any out-of-band management shows as Disabled, and has no row.
            disabled = state == PowerState.DISABLED
            query = Query(unequal={"power_state": state}) if disabled else Query(equal={"power_state": state})
            picked._add({row.host_id for row in call.store.select(Oobm, query)}, not disabled)
        return picked

    def _add(self, hosts: set[int], wanted: bool) -> None:
        (self._wanted if wanted else self._unwanted).append(hosts)

    @property
    def is_everything(self) -> bool:
        """Whether no such filter was given."""
        return not self._wanted and not self._unwanted

    def has(self, host: Host) -> bool:
        """Whether every filter leaves this host."""
        return all(host.id in hosts for hosts in self._wanted) and not any(host.id in hosts for hosts in self._unwanted)


@command(
    "updateHost",
    "Changes a host.",
    kind="sync",
    responds="host",
    parameters=(
        Parameter("id", "uuid", "the UUID of the host", required=True, of="host"),
        Parameter("name", "string", "a new name"),
        Parameter("allocationstate", "string", "Enable, or Disable: it takes no VMs"),
        Parameter("hosttags", "string", "all of its tags, separated by commas", length=1024, allow_empty=True),
    ),
)
def update_host(call: Call) -> Host:
    """What is not given stays. Disabling moves nothing, and host HA leaves a disabled host alone."""
    state = _ordered_state(call)
    tags = read_tags(call.text("hosttags")) if call.has("hosttags") else None

    def plan() -> list[Change]:
        host = fresh(call, call.row("id", Host))
        values = _values(call, host, state)
        retagged = [] if tags is None else replaced_tags(call.store, host.id, tags)
        if not values and not retagged:
            return []
        words = [f"{name} {value}" for name, value in values.items() if name != "alloc_version"]
        words += [f"tags {','.join(tags) or '(none)'}"] if tags is not None and retagged else []
        told = call.event("HOST.EDIT", f"changed host {host.name}: {', '.join(words)}", resource=("Host", host.uuid))
        expect = {"removed": None, "resource_state": host.resource_state, "alloc_version": host.alloc_version}
        changed: list[Change] = [Update(Host, host.id, values, expect=expect)] if values else []
        return [*changed, *retagged, Insert(told)]

    change_inventory(call, plan)
    return stored(call, Host, call.row("id", Host).id)


def _ordered_state(call: Call) -> ResourceState | None:
    if not call.has("allocationstate"):
        return None
    text = call.text("allocationstate")
    found = _ALLOCATION.get(text.lower())
    if found is None:
        raise InvalidRequest(f"parameter allocationstate: {text[:60]!r} is not accepted; allowed is Enable or Disable")
    return found


def _values(call: Call, host: Host, state: ResourceState | None) -> dict[str, Any]:
    values: dict[str, Any] = {}
    if call.has("name") and call.text("name") != host.name:
        if call.store.count(Host, Query(equal={"name": call.text("name"), "removed": None})):
            raise InvalidRequest(f"parameter name: there is a host {call.text('name')!r} already; choose another name")
        values["name"] = call.text("name")
    if state is not None and state != host.resource_state:
        if host.resource_state in MAINTENANCE_STATES:
            raise InvalidRequest(
                f"parameter allocationstate: host {host.name} is in {host.resource_state}: "
                "call cancelHostMaintenance first"
            )
        values |= {"resource_state": state, "alloc_version": host.alloc_version + 1}
    return values


@command(
    "deleteHost",
    "Removes a host on which nothing can run any more.",
    kind="sync",
    responds="success",
    parameters=(
        Parameter("id", "uuid", "the UUID of the host", required=True, of="host"),
        Parameter("forced", "boolean", "also if it is only Disabled, not in Maintenance"),
        Parameter("forcedestroylocalstorage", "boolean", "makes no difference: nothing is destroyed"),
    ),
)
def delete_host(call: Call) -> Success:
    """Nothing removes a host whose VMs may still run: they could then be started twice (S1)."""

    def plan() -> list[Change]:
        host = fresh(call, call.row("id", Host))
        _refuse_needed(call, host)
        gone = {
            "removed": call.now(),
            "status": HostStatus.REMOVED,
            "alloc_version": host.alloc_version + 1,
            "password": None,
        }
        expect = {"removed": None, "resource_state": host.resource_state, "alloc_version": host.alloc_version}
        told = call.event("HOST.DELETE", f"removed host {host.name}", resource=("Host", host.uuid))
        return [Update(Host, host.id, gone, expect=expect), *_belongings(call, host), Insert(told)]

    change_inventory(call, plan)
    return Success()


def _refuse_needed(call: Call, host: Host) -> None:
    live = Query(equal={"host_id": host.id}, among={"state": (PermitState.ISSUED, PermitState.RUNNING)})
    count = call.store.count(Permit, live)
    if count:
        raise Conflict(
            f"host {host.name} has {count} VM runs that nobody has proved to be over: prepareHostForMaintenance moves "
            "its VMs away; if it is dead for good, declareHostDead lets them start elsewhere"
        )
    waiting = call.store.count(Work, Query(equal={"host_id": host.id}, among={"step": OPEN_STEPS}))
    if waiting:
        raise Conflict(
            f"{waiting} VMs that were lost with host {host.name} still wait for their restart: explainVirtualMachineHA "
            "says for what; stopVirtualMachine ends the wait of one that is not wanted any more"
        )
    there = residents(call, [host.id])
    if there:
        raise Conflict(f"VM {there[0].name} is {there[0].state} on host {host.name}: stop it or migrate it first")
    drill = {"job_cmd": "runFenceDrill", "host_id": host.id, "job_status": JobStatus.PENDING}
    if call.store.count(AsyncJob, Query(equal=drill)):
        raise Conflict(f"a fence drill of host {host.name} is under way: wait until it ends, or the host may stay off")
    if host.resource_state in MAINTENANCE_STATES:
        return
    if host.resource_state != ResourceState.DISABLED:
        raise InvalidRequest(
            f"host {host.name} is {host.resource_state}: call prepareHostForMaintenance first, or "
            "updateHost allocationstate=Disable and then deleteHost forced=true"
        )
    if not call.flag("forced"):
        raise InvalidRequest(
            f"host {host.name} is Disabled, not in Maintenance: say forced=true to remove it all the same"
        )


def _belongings(call: Call, host: Host) -> list[Change]:
    """What goes with a host: tags, details, BMC credentials and its host HA."""
    changes: list[Change] = []
    for record, field in ((HostTag, "host_id"), (HostDetail, "host_id"), (Oobm, "host_id"), (HaConfig, "resource_id")):
        rows: list[Any] = call.store.select(record, Query(equal={field: host.id}))
        changes += [Delete(record, row.id) for row in rows]
    return changes
