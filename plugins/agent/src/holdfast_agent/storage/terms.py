"""The numbers of the storage lease, as the owner ordered them, and whether they fit together. Pure."""

from dataclasses import dataclass
from math import floor
from typing import Final

from holdfast.errors import InvalidRequest
from holdfast.model.views import HostOrders, PoolView, VmSpec
from holdfast.settings import CATALOGUE, INEQUALITIES, Settings, contradictions

ACTIONS: Final = ("none", "stop", "reboot")
SLACK_SECONDS: Final = 2.0
_NAMES: Final = (
    "ha.storage.beat.interval",
    "ha.storage.beat.stale",
    "ha.storage.lease",
    "ha.watchdog.time",
    "ha.watchdog.margin",
)
_RULES: Final = tuple(rule for rule in INEQUALITIES if set(rule.names) <= set(_NAMES))
"""What the promise rests on. Others do not break it, and some of their settings this host is not told."""


@dataclass(frozen=True, slots=True)
class LeaseTerms:
    """All in seconds. `pools` are those whose beats renew the lease; `action` is what follows when it lapses.

    `problem` says why no lease can be kept on these terms, in words; "" if one can.
    """

    pools: tuple[PoolView, ...] = ()
    ha: bool = False
    interval: float = 1.0
    stale: float = 4.0
    lease: float = 10.0
    watchdog: float = 10.0
    margin: float = 5.0
    action: str = "none"
    problem: str = "the owner has not given this host its orders yet"

    @property
    def watchdog_seconds(self) -> int:
        """What the device is set to: half of the watchdog's time.

        A feeding may come late: decided while the lease held, carried out after it lapsed. It cannot come later than
        the device's own time after the one before, for then the device has fired. So the last feeding is within half of
        the watchdog's time after the lapse, and the reset within the other half: in all, within the time that the owner
        counts with, however the agent's threads are scheduled.
        """
        return max(1, floor(self.watchdog / 2))

    @property
    def wants_watchdog(self) -> bool:
        """Whether the host is to be reset when its lease lapses while it runs VMs."""
        return self.ha and self.action == "reboot" and bool(self.pools) and not self.problem


def read_terms(orders: HostOrders) -> LeaseTerms:
    """The terms in `orders`. What cannot be used does not raise: it stands in `problem`, and nothing rests on it."""
    try:
        values = [_number(orders, name) for name in _NAMES]
    except InvalidRequest as problem:
        return LeaseTerms(orders.pools, orders.ha, problem=str(problem))
    action = orders.settings.get("ha.self.fence.action", "reboot").lower()
    if action not in ACTIONS:
        return LeaseTerms(orders.pools, orders.ha, problem=f"ha.self.fence.action is {action!r}, which is unknown")
    known = {name: text for name, text in orders.settings.items() if name in CATALOGUE}
    contradiction = "; ".join(contradictions(Settings(known), rules=_RULES))
    interval, stale, lease, watchdog, margin = values
    return LeaseTerms(orders.pools, orders.ha, interval, stale, lease, watchdog, margin, action, contradiction)


def too_slow(terms: LeaseTerms, pool: str, slowest: float) -> str:
    """Why neighbours could take a host that writes so slowly for dead, or "" if they cannot."""
    if terms.stale > terms.interval + slowest + SLACK_SECONDS:
        return ""
    return (
        f"pool {pool}: the slowest write took {slowest:.1f} s, but ha.storage.beat.stale ({terms.stale:g}) must be "
        f"above ha.storage.beat.interval + the slowest write + {SLACK_SECONDS:g}: raise it, or mend the storage"
    )


def is_endangered(vm: VmSpec) -> bool:
    """Whether another host could run `vm` while it runs here: all VMs but those whose disks are all local.

    Whether HA restarts it does not matter: once a host is proven dead, people may start its other VMs elsewhere too.
    """
    return not vm.disks or any(disk.pool.scope != "HOST" for disk in vm.disks)


def pools_of(vm: VmSpec) -> frozenset[str]:
    """Uuids of the pools that the VM's disks are on."""
    return frozenset(disk.pool.uuid for disk in vm.disks) | ({vm.pool} if vm.pool else frozenset())


def _number(orders: HostOrders, name: str) -> float:
    text = orders.settings.get(name)
    return float(CATALOGUE[name].parse(CATALOGUE[name].default if text is None else text))
