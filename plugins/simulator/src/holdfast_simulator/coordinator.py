"""A coordinator driver on the simulated world's coordinator service. Used by the simulation alone."""

from typing import Any

from holdfast.errors import CoordinatorUnavailable, LeaseLost, Unreachable
from holdfast.hooks.coordinator import Session
from holdfast.hooks.markers import hookimpl

from holdfast_simulator.world.gateway import Gateway


class SimulatorCoordinator:
    """Reaches the service over the server's coordinator path; `timeout` is the client's own, in seconds."""

    def __init__(self, gateway: Gateway, timeout: float = 1.0) -> None:
        self._gateway = gateway
        self._timeout = timeout

    @hookimpl
    def join(self, member: str, lease_seconds: float) -> Session:
        """Open a session; waits for an earlier one of the same member to end or be given up."""
        while True:
            answer = self._ask("join", member, lease_seconds)
            if isinstance(answer, Session):
                return answer
            self._gateway.world.time.sleep(float(answer))

    @hookimpl
    def renew(self, session: Session) -> float:
        """Extend the lease; the seconds that it holds, counted from before the call."""
        return float(self._ask("renew", session))

    @hookimpl
    def leave(self, session: Session) -> None:
        """End the session."""
        self._ask("leave", session)

    @hookimpl
    def members(self) -> tuple[str, ...]:
        """Members whose lease holds."""
        try:
            return tuple(self._gateway.read_coordinator(self._timeout, self._gateway.world.coordinator.members))
        except Unreachable as problem:
            raise CoordinatorUnavailable(f"coordinator, members: {problem}") from problem

    @hookimpl
    def claim(self, session: Session, resources: tuple[str, ...]) -> dict[str, int]:
        """Claim what is free."""
        return dict(self._ask("claim", session, resources))

    @hookimpl
    def release(self, session: Session, resources: tuple[str, ...]) -> None:
        """Give claims back."""
        self._ask("release", session, resources)

    def _ask(self, method: str, *args: Any) -> Any:
        function = getattr(self._gateway.world.coordinator, method)
        try:
            return self._gateway.ask_coordinator(self._timeout, function, *args)
        except LeaseLost:
            raise
        except Unreachable as problem:
            raise CoordinatorUnavailable(f"coordinator, {method}: {problem}") from problem
