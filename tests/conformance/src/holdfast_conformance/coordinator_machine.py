"""Reference model of leases: who holds what, and until when."""

from collections.abc import Callable

from holdfast.errors import LeaseLost
from holdfast.hooks.coordinator import Coordinator, Session
from hypothesis import strategies
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

NAMES = ("north", "south")
MEMBERS = strategies.sampled_from(NAMES)
RESOURCES = strategies.sampled_from(["host-1", "host-2"])
LONG_LEASE = 600.0


class LeaseMachine(RuleBasedStateMachine):
    """Times are seconds of the model's own clock, which only `wait` moves.

    Without a clock of its own the service is given leases so long that none ends while an example runs. Names carry
    the number of the example, because the service remembers the examples before.
    """

    def __init__(
        self, driver: Coordinator, pass_time: Callable[[float], None], lease: float, own_clock: bool, number: int
    ) -> None:
        super().__init__()
        self.driver = driver
        self.pass_time = pass_time
        self.lease = lease if own_clock else LONG_LEASE
        self.own_clock = own_clock
        self.number = number
        self.now = 0.0
        self.sessions: dict[str, Session] = {}
        self.ends: dict[str, float] = {}
        self.holders: dict[str, str] = {}
        self.highest: dict[str, int] = {}
        self.last_session_epoch = -1

    @initialize()
    def everybody_joins(self) -> None:
        """Rivals are there from the start: most rules need two of them."""
        for member in NAMES:
            self.join(member)

    @rule(member=MEMBERS)
    def join(self, member: str) -> None:
        """A member without a live session opens one."""
        if self._is_live(member):
            return
        session = self.driver.join(self._name(member), self.lease)
        assert session.epoch > self.last_session_epoch, "session epochs do not grow"
        self._forget(member)
        self.last_session_epoch = session.epoch
        self.sessions[member] = session
        self.ends[member] = self.now + self.lease

    @precondition(lambda self: self.sessions)
    @rule(member=MEMBERS)
    def renew(self, member: str) -> None:
        """A live lease is extended; one that ended is lost."""
        if member not in self.sessions:
            return
        if self._is_live(member):
            assert 0 < self.driver.renew(self.sessions[member]) <= self.lease
            self.ends[member] = self.now + self.lease
            return
        try:
            self.driver.renew(self.sessions[member])
        except LeaseLost:
            return
        raise AssertionError("a lease that had ended was renewed")

    @precondition(lambda self: self.sessions)
    @rule(member=MEMBERS, resource=RESOURCES)
    def claim(self, member: str, resource: str) -> None:
        """Granted exactly if nobody else's live lease holds it."""
        if not self._is_live(member):
            return
        answer = self.driver.claim(self.sessions[member], (self._name(resource),))
        holder = self._holder(resource)
        if holder not in ("", member):
            assert answer == {}, f"{resource} is held by {holder} and was given to {member}"
            return
        epoch = answer[self._name(resource)]
        if holder == member:
            assert epoch == self.highest[resource], "the epoch of a claim changed while it was held"
        else:
            assert epoch > self.highest.get(resource, -1), "claim epochs do not grow"
        self.holders[resource] = member
        self.highest[resource] = epoch

    @precondition(lambda self: self.sessions)
    @rule(member=MEMBERS, resource=RESOURCES)
    def release(self, member: str, resource: str) -> None:
        """Only the holder frees it."""
        if member in self.sessions:
            self.driver.release(self.sessions[member], (self._name(resource),))
            if self._holder(resource) == member:
                del self.holders[resource]

    @precondition(lambda self: self.sessions)
    @rule(member=MEMBERS)
    def leave(self, member: str) -> None:
        """Frees all the member held."""
        if member in self.sessions:
            self.driver.leave(self.sessions[member])
            self._forget(member)

    @precondition(lambda self: self.own_clock)
    @rule(share=strategies.sampled_from([0.1, 0.4, 1.1]))
    def wait(self, share: float) -> None:
        """Time passes."""
        self.pass_time(self.lease * share)
        self.now += self.lease * share

    @rule()
    def members(self) -> None:
        """Those whose lease holds, sorted, and nobody else."""
        mine = f"-{self.number}"
        live = sorted(self._name(member) for member in self.sessions if self._is_live(member))
        assert [name for name in self.driver.members() if name.endswith(mine)] == live

    @invariant()
    def holders_still_hold(self) -> None:
        """Asking again for what one holds changes nothing, whatever others did meanwhile."""
        for resource in self.holders:
            if holder := self._holder(resource):
                name = self._name(resource)
                answer = self.driver.claim(self.sessions[holder], (name,))
                assert answer == {name: self.highest[resource]}, f"{holder} lost {resource}"

    def teardown(self) -> None:
        """Leave the service as it was found."""
        for member in list(self.sessions):
            self.leave(member)

    def _name(self, word: str) -> str:
        return f"{word}-{self.number}"

    def _is_live(self, member: str) -> bool:
        return member in self.sessions and self.now < self.ends[member]

    def _holder(self, resource: str) -> str:
        holder = self.holders.get(resource, "")
        return holder if holder and self._is_live(holder) else ""

    def _forget(self, member: str) -> None:
        self.sessions.pop(member, None)
        self.holders = {resource: holder for resource, holder in self.holders.items() if holder != member}
