"""The coordinator service of the simulated world: sessions with leases on true time, and claims with growing epochs."""

from dataclasses import dataclass, field

from holdfast.errors import LeaseLost
from holdfast.hooks.coordinator import Session

from holdfast_simulator.world.happenings import Chronicle, What
from holdfast_simulator.world.timing import WorldTime


@dataclass(slots=True)
class _Membership:
    session: Session
    lease: float
    ends: float
    claims: dict[str, int] = field(default_factory=dict)


class CoordinatorService:
    """What the real thing promises, in memory."""

    def __init__(self, time: WorldTime, chronicle: Chronicle) -> None:
        self._time = time
        self._chronicle = chronicle
        self._sessions: dict[str, _Membership] = {}
        self._session_epoch = 0
        self._claim_epochs: dict[str, int] = {}
        self._holders: dict[str, str] = {}
        self.given_up: dict[str, tuple[str, float]] = {}
        """Who held a resource last, and when that ended; for those who watch for the truth."""

    def join(self, member: str, lease_seconds: float) -> Session | float:
        """Open a session; or the seconds to wait, while an earlier one of that member still holds."""
        self._forget_ended()
        now = self._time.now()
        rest = max((kept.ends - now for kept in self._sessions.values() if kept.session.member == member), default=0.0)
        if rest > 0:
            return rest
        self._session_epoch += 1
        session = Session(member, self._session_epoch, f"session-{self._session_epoch}")
        self._sessions[session.token] = _Membership(session, lease_seconds, now + lease_seconds)
        return session

    def renew(self, session: Session) -> float:
        """Extend the lease from now."""
        kept = self._valid(session)
        kept.ends = self._time.now() + kept.lease
        return kept.lease

    def leave(self, session: Session) -> None:
        """End the session."""
        kept = self._sessions.pop(session.token, None)
        if kept is not None:
            for resource in kept.claims:
                self._free(resource, session.token, session.member, self._time.now())

    def members(self) -> tuple[str, ...]:
        """Members whose lease holds."""
        self._forget_ended()
        return tuple(sorted({kept.session.member for kept in self._sessions.values()}))

    def claim(self, session: Session, resources: tuple[str, ...]) -> dict[str, int]:
        """Claim what is free."""
        self._forget_ended()
        kept = self._valid(session)
        for resource in resources:
            if resource not in self._holders:
                epoch = self._claim_epochs[resource] = self._claim_epochs.get(resource, 0) + 1
                self._holders[resource] = session.token
                kept.claims[resource] = epoch
                self._chronicle.tell(
                    What.CLAIMED, server=session.member, detail=f"{resource} epoch {epoch}", data={resource: epoch}
                )
        return {resource: kept.claims[resource] for resource in resources if resource in kept.claims}

    def release(self, session: Session, resources: tuple[str, ...]) -> None:
        """Give claims back."""
        kept = self._sessions.get(session.token)
        for resource in resources:
            if kept is not None and kept.claims.pop(resource, None) is not None:
                self._free(resource, session.token, session.member, self._time.now())

    def holder(self, resource: str) -> tuple[str, int] | None:
        """The truth: which member holds the resource now, and under which epoch."""
        self._forget_ended()
        token = self._holders.get(resource)
        if token is None:
            return None
        kept = self._sessions[token]
        return kept.session.member, kept.claims[resource]

    def _valid(self, session: Session) -> _Membership:
        kept = self._sessions.get(session.token)
        if kept is None or kept.ends <= self._time.now():
            self._forget_ended()
            raise LeaseLost(f"the lease of {session.member} (session {session.epoch}) has ended: join again")
        return kept

    def _forget_ended(self) -> None:
        now = self._time.now()
        for token in [token for token, kept in self._sessions.items() if kept.ends <= now]:
            kept = self._sessions.pop(token)
            for resource in kept.claims:
                self._free(resource, token, kept.session.member, kept.ends)

    def _free(self, resource: str, token: str, member: str, at: float) -> None:
        if self._holders.get(resource) == token:
            del self._holders[resource]
            self.given_up[resource] = (member, at)
