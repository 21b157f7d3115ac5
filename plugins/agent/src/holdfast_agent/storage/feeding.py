"""When the watchdog is fed, and what is done about VMs when the lease lapses: the rules of self-fencing. Pure.

The promise to the owner is: once no beat of this host has moved on any of its pools, and no owner that grants has heard
it, for lease + watchdog + margin, no VM that another host could run lives here. S11 limits its price: nobody is reset
for nothing.
"""

from collections.abc import Iterable

from holdfast.model.views import VmSpec

from holdfast_agent.storage.lease import StorageLease
from holdfast_agent.storage.terms import LeaseTerms, is_endangered, pools_of


def may_feed(lease: StorageLease, running: Iterable[VmSpec], now: float) -> bool:
    """Whether the watchdog is fed at `now`.

    One pool that still takes beats is enough, whichever pools the VMs are on: its beat moves, so nobody takes this host
    for dead. Without any, its owner's word keeps it, or that nothing runs here that another host could run.
    """
    return lease.held(now) or not any(is_endangered(vm) for vm in running)


def is_adrift(terms: LeaseTerms, lease: StorageLease, begun: float, now: float) -> bool:
    """Whether the host asks its owner for grants at `now`: for half of the lease no pool has taken a beat.

    `begun` is when it began to write to pools; the first beat takes its time.
    """
    half = lease.seconds / 2
    return terms.ha and bool(terms.pools) and now >= max(begun + half, lease.storage_ends_at() - half)


def why_no_start(terms: LeaseTerms, lease: StorageLease, vm: VmSpec, ordered: float, now: float) -> str:
    """Empty, or why `vm` must not be started at `now`, by an order that came at `ordered`.

    The lease must have held all that time. Otherwise the host may have been proven dead meanwhile, and the VM may run
    elsewhere, although the lease is held again.
    """
    if not terms.ha or not terms.pools or not is_endangered(vm) or lease.held_on_storage_throughout(ordered, now):
        return ""
    if lease.held_on_storage(now):
        return "this host's storage lease lapsed after the order had come; it is held again, so ask again"
    names = ", ".join(pool.name for pool in terms.pools)
    ends = lease.storage_ends_at()
    since = f"for {now - ends:.0f} s" if ends > float("-inf") else "yet"
    return f"this host holds no storage lease {since}: no heartbeat gets through to {names}"


def to_stop(terms: LeaseTerms, lease: StorageLease, running: Iterable[VmSpec], now: float) -> tuple[VmSpec, ...]:
    """VMs that `ha.self.fence.action` = stop ends at `now`: those with HA and a disk on a pool whose beats fail.

    Stopped here, they can be started where the pool answers.
    """
    if terms.action != "stop" or not terms.ha or terms.problem:
        return ()
    failed = lease.lapsed_sources(frozenset(pool.uuid for pool in terms.pools), now)
    return tuple(vm for vm in running if vm.ha and is_endangered(vm) and pools_of(vm) & failed)
