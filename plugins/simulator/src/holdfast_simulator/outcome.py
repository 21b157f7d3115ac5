"""How a run ended: every HA VM runs once, or the store says why it does not (S10)."""

from collections.abc import Iterator

from holdfast.hooks.store import Query
from holdfast.model import Alert, HaConfig, HAState, Host, Permit, PermitState, Vm, VmState, Work, WorkStep

from holdfast_simulator.memory_store import MemoryStore
from holdfast_simulator.world.world import World

_AT_REST = (HAState.AVAILABLE, HAState.FENCED, HAState.INELIGIBLE)
"""A fenced host waits for an admin, and one whose neighbours are all fenced for them."""
_OPEN = (WorkStep.INVESTIGATING, WorkStep.SCHEDULED, WorkStep.RESTARTING, WorkStep.REVOKING)


def is_calm(world: World, store: MemoryStore) -> bool:
    """Whether nothing is left to do: every HA VM runs or was given up by name, and no host is in doubt."""
    return (
        store.count(Work, Query(among={"step": _OPEN})) == 0
        and all(row.ha_state in _AT_REST for row in store.select(HaConfig, Query(equal={"enabled": True})))
        and all(host.speaking for host in world.hosts.values())
        and next(unexplained(world, store), None) is None
    )


def unexplained(world: World, store: MemoryStore) -> Iterator[tuple[str, str]]:
    """Rule and words for everything that was given up silently."""
    alerts = store.select(Alert, Query())
    for vm in store.select(Vm, Query(equal={"removed": None}, order=("id",))):
        live = world.live_runs(vm.uuid)
        if len(live) > 1:
            yield "S1", f"{vm.name} has {len(live)} live runs at the end: {live}"
        if vm.ha_enabled:
            yield from _judge_vm(world, store, vm, alerts)
    for config in store.select(HaConfig, Query(order=("id",))):
        host = store.get(Host, config.resource_id)
        if host is not None and config.ha_state in (HAState.FENCING, HAState.RECOVERING) and not config.reason:
            yield "S10", f"{host.name} is still {config.ha_state} and no reason is given"


def _judge_vm(world: World, store: MemoryStore, vm: Vm, alerts: list[Alert]) -> Iterator[tuple[str, str]]:
    works = store.select(Work, Query(equal={"instance_id": vm.id}, order=("-id",)))
    told = any(alert.resource_id == vm.uuid for alert in alerts)
    if world.serving(vm.uuid):
        permits = store.select(Permit, Query(equal={"vm_id": vm.id, "state": PermitState.RUNNING}))
        runs = [(permit.host_id, permit.run_epoch) for permit in permits]
        if vm.state != VmState.RUNNING or len(runs) != 1:
            yield "LIVENESS", f"{vm.name} runs, but the store calls it {vm.state} with the running permits {runs}"
        return
    newest = works[0] if works else None
    if newest is None:
        yield "LIVENESS", f"{vm.name} does not run, is {vm.state} ({vm.reason!r}), and nobody works on it"
    elif newest.step == WorkStep.ERROR:
        if not told:
            yield "S10", f"the restart of {vm.name} was given up without an alert"
    elif newest.step in _OPEN:
        yield "LIVENESS", f"{vm.name} still waits in {newest.step}: {vm.reason or newest.explanation}"
    elif not (told or vm.reason):
        yield "S10", f"{vm.name} does not run after work {newest.step}, and nothing says why"
