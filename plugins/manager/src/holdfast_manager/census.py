"""Counting silent hosts per failure domain, for the brake (S7)."""

from holdfast.engine.brake import Domain
from holdfast.model import HAState, Host

from holdfast_manager.inventory import Inventory

SILENT = frozenset(
    {HAState.SUSPECT, HAState.CHECKING, HAState.RECOVERING, HAState.RECOVERED, HAState.FENCING, HAState.DEGRADED}
)
UNWATCHED = frozenset({HAState.DISABLED, HAState.INELIGIBLE, None})
"""States of hosts that host HA does not see to; they do not count."""


class Census:
    """Totals of silent hosts by cluster and zone, kept up to date change by change: asking costs nothing."""

    def __init__(self) -> None:
        self._state: dict[int, HAState | None] = {}
        self._place: dict[int, tuple[int, int]] = {}
        self._total: dict[tuple[str, int], int] = {}
        self._silent: dict[tuple[str, int], int] = {}
        self._names: dict[tuple[str, int], str] = {}
        self._counted: Inventory | None = None

    def rebuild(self, inventory: Inventory, states: dict[int, HAState | None]) -> None:
        """Bring it up to date with a snapshot: who is there, and where. Of the same one only states can differ."""
        if inventory is self._counted:
            for host_id in self._place:
                self.note(host_id, states.get(host_id))
            return
        self._counted = inventory
        self._names = {("zone", z.id): f"zone {z.name}" for z in inventory.zones.values()}
        self._names |= {("cluster", c.id): f"cluster {c.name}" for c in inventory.clusters.values()}
        self._place = {host.id: (host.cluster_id, host.data_center_id) for host in inventory.hosts.values()}
        self._state, self._total, self._silent = {}, {}, {}
        for host_id in self._place:
            self.note(host_id, states.get(host_id))

    def note(self, host_id: int, state: HAState | None) -> None:
        """A host's state as it is now."""
        before = self._state.get(host_id)
        if before is state:
            return
        self._state[host_id] = state
        place = self._place.get(host_id)
        if place is None:
            return
        total = (state not in UNWATCHED) - (before not in UNWATCHED)
        silent = (state in SILENT) - (before in SILENT)
        if total or silent:
            for key in (("cluster", place[0]), ("zone", place[1])):
                self._total[key] = self._total.get(key, 0) + total
                self._silent[key] = self._silent.get(key, 0) + silent

    def domains(self, host: Host) -> tuple[Domain, ...]:
        """The failure domains of one host."""
        return tuple(
            Domain(self._names.get(key, f"{key[0]} {key[1]}"), self._total.get(key, 0), self._silent.get(key, 0))
            for key in (("cluster", host.cluster_id), ("zone", host.data_center_id))
        )
