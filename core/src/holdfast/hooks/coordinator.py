"""Coordinator: who may act on a host, and until when."""

from dataclasses import dataclass

from holdfast.hooks.markers import hookspec


@dataclass(frozen=True, slots=True)
class Session:
    """One management server's membership. `epoch` grows with every session ever opened, across restarts."""

    member: str
    epoch: int
    token: str


class Coordinator:
    """Sessions with a lease, and exclusive claims under them. Group `holdfast.coordinator`; one is chosen.

    A claim is void as soon as its session's lease has ended, whoever holds it. Epochs of claims on one resource grow
    strictly, for ever. All methods block; `CoordinatorUnavailable` means that nothing is known, and never that a lease
    was renewed.
    """

    @hookspec
    def join(self, member: str, lease_seconds: float) -> Session:
        """Open a session, ending any earlier one of the same member once its lease is over or given up."""
        raise NotImplementedError

    @hookspec
    def renew(self, session: Session) -> float:
        """Extend the lease; returns the seconds, counted from before the call was made, for which it now holds.

        `LeaseLost` if it had ended.
        """
        raise NotImplementedError

    @hookspec
    def leave(self, session: Session) -> None:
        """End the session and free all its claims. Idempotent."""
        raise NotImplementedError

    @hookspec
    def members(self) -> tuple[str, ...]:
        """Members whose lease holds now, sorted."""
        raise NotImplementedError

    @hookspec
    def claim(self, session: Session, resources: tuple[str, ...]) -> dict[str, int]:
        """Claim what is free; returns resource → claim epoch for all of `resources` that this session now holds."""
        raise NotImplementedError

    @hookspec
    def release(self, session: Session, resources: tuple[str, ...]) -> None:
        """Give claims back. Idempotent."""
        raise NotImplementedError
