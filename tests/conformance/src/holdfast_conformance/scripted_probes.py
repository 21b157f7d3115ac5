"""Probes whose answers a test writes down beforehand."""

from collections.abc import Sequence

from holdfast.hooks.provider import ActionOutcome
from holdfast.model.evidence import Evidence, Kind
from holdfast.model.states import Opinion, PowerAction


class ScriptedProbes:
    """Stands in for what the manager lends a provider; remembers which power actions were asked for."""

    def __init__(
        self,
        subject: str,
        link: Opinion = Opinion.UNKNOWN,
        agent: Opinion = Opinion.UNKNOWN,
        power: Opinion = Opinion.UNKNOWN,
        pools: Sequence[Opinion] = (),
        accepts: bool = True,
        disks: Sequence[Opinion] = (),
    ) -> None:
        self._subject = subject
        self._opinions = {Kind.LINK: link, Kind.AGENT: agent, Kind.POWER: power}
        self._pools = tuple(pools)
        self._accepts = accepts
        self._disks = tuple(disks)
        self.actions: list[PowerAction] = []

    def link(self) -> Evidence:
        """As scripted."""
        return self._evidence(Kind.LINK)

    def agent(self) -> Evidence:
        """As scripted."""
        return self._evidence(Kind.AGENT)

    def power(self) -> Evidence:
        """As scripted."""
        return self._evidence(Kind.POWER)

    def heartbeats(self) -> tuple[Evidence, ...]:
        """One piece per scripted pool."""
        return tuple(
            Evidence(Kind.HEARTBEAT, self._subject, opinion, "neighbour", 0.0, pool=f"pool-{number}")
            for number, opinion in enumerate(self._pools)
        )

    def disks(self) -> tuple[Evidence, ...]:
        """One piece per scripted pool on which disks change, or cannot be looked at."""
        return tuple(
            Evidence(Kind.ACTIVITY, self._subject, opinion, "neighbour", 0.0, pool=f"pool-{number}")
            for number, opinion in enumerate(self._disks)
        )

    def switch_power(self, action: PowerAction) -> ActionOutcome:
        """Remembers the action; accepts it or not, as scripted."""
        self.actions.append(action)
        return ActionOutcome(self._accepts, "accepted" if self._accepts else "the BMC says no")

    def _evidence(self, kind: Kind) -> Evidence:
        return Evidence(kind, self._subject, self._opinions[kind], "scripted", 0.0)
