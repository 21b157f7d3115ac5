"""Hosts that this server holds at the coordinator but may not act on, because the store knows a newer owner epoch.

For a moment that is ordinary: somebody else has just taken over. When it lasts, the coordinator has lost its epochs, or
somebody raised `owner_epoch` by hand, and nobody watches the host: that must not be silent (S10).
"""

from dataclasses import dataclass

from holdfast.model import Host

from holdfast_manager.desk import Desk

_LASTS_LEASES = 3
_NAMED = 10


@dataclass(slots=True)
class _Refusal:
    host: Host
    claimed: int
    stored: int
    since: float


class Refusals:
    """Event loop only."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._found: dict[str, _Refusal] = {}

    def note(self, host: Host, claimed: int, stored: int) -> bool:
        """The store refuses `claimed`. Whether that is news."""
        known = self._found.get(host.uuid)
        if known is not None and known.stored == stored:
            known.claimed = claimed
            return False
        self._found[host.uuid] = _Refusal(host, claimed, stored, self._desk.clock.monotonic())
        return True

    def clear(self, uuid: str) -> None:
        """The host was taken."""
        self._found.pop(uuid, None)

    def lasting(self) -> list[_Refusal]:
        """Those that are no hand-over any more: this server held the host for several leases and still may not act."""
        epochs = self._desk.membership.epochs
        self._found = {uuid: one for uuid, one in self._found.items() if uuid in epochs}
        patience = _LASTS_LEASES * self._desk.inventory.settings.number("cluster.heartbeat.threshold") / 1000
        before = self._desk.clock.monotonic() - patience
        return [one for one in self._found.values() if one.since <= before]

    def warning(self) -> str:
        """What to tell operators; "" if there is nothing to tell."""
        found = sorted(self.lasting(), key=lambda one: one.host.id)
        if not found:
            return ""
        names = ", ".join(one.host.name for one in found[:_NAMED])
        more = f" and {len(found) - _NAMED} more" if len(found) > _NAMED else ""
        ids = ", ".join(str(one.host.id) for one in found[:_NAMED])
        return (
            f"hosts are not watched, because the tables know a newer owner epoch than the coordinator gives: {names}"
            f"{more}. The coordinator lost its epochs, or ha_config.owner_epoch was raised by hand. {_WAY_OUT} "
            f"(resource_id {ids}{' …' if more else ''})"
        )

    def words(self, uuid: str) -> str:
        """Why this server does not act on the host; "" if it has nothing to say of it."""
        one = self._found.get(uuid)
        if one is None:
            return ""
        return (
            f"it is not watched: the tables know owner epoch {one.stored}, newer than {one.claimed}, which the "
            f"coordinator gives. {_WAY_OUT}"
        )


_WAY_OUT = (
    "Make certain that no management server runs which listManagementServers does not show as Up, then set owner_epoch "
    "of these ha_config rows to 0: they are taken at the next look"
)
