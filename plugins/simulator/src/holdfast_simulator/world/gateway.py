"""How a management server reaches the world: requests and answers over paths that may fail. A dead one gets nowhere."""

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from holdfast.errors import Unreachable

from holdfast_simulator.world.network import AGENT, BMC, COORDINATOR, DATABASE, Path

if TYPE_CHECKING:
    from holdfast_simulator.world.host import SimHost
    from holdfast_simulator.world.world import World


class Owner(Protocol):
    """The process behind a gateway."""

    @property
    def alive(self) -> bool:
        """Whether it still runs."""

    def deliver(self, callback: Callable[..., object], *args: Any) -> None:
        """Run a listener's callback in it."""


class Gateway:
    """One process's way into the world. Blocking; to be used from a pool's call."""

    def __init__(self, world: "World", server: str, owner: Owner) -> None:
        self.world = world
        self.server = server
        self._owner = owner
        self._reads = {DATABASE: 0, COORDINATOR: 0}
        self._ways: dict[tuple[str, str], tuple[Path, Path]] = {}
        self._database = self._way(DATABASE, DATABASE)
        self._coordinator = self._way(COORDINATOR, COORDINATOR)

    def _way(self, kind: str, target: str) -> tuple[Path, Path]:
        """The paths there and back."""
        found = self._ways.get((kind, target))
        if found is None:
            network = self.world.network
            found = network.path(kind, self.server, target), network.path(kind, target, self.server)
            self._ways[kind, target] = found
        return found

    @property
    def alive(self) -> bool:
        """Whether its process still runs."""
        return self._owner.alive

    def deliver(self, callback: Callable[..., object], *args: Any) -> None:
        """Bring something to the process."""
        if self._owner.alive:
            self._owner.deliver(callback, *args)

    def ask(self, kind: str, target: str, deadline: float, handle: Callable[..., object], *args: Any) -> Any:
        """Send a request and wait for the answer; `handle(reply, *args)` runs in the world when it arrives.

        `Unreachable` after `deadline`: whether it arrived is not known. An exception as the answer is raised.
        """
        waiter = self.send(kind, target, handle, *args)
        if not waiter.wait(deadline):
            raise Unreachable(f"{self.server}: no answer from {target} ({kind}) within {deadline:g} s")
        if isinstance(waiter.value, Exception):
            raise waiter.value
        return waiter.value

    def send(self, kind: str, target: str, handle: Callable[..., object], *args: Any) -> Any:
        """Send a request; returns what the answer will come to."""
        world = self.world
        if not self._owner.alive:
            raise Unreachable(f"{self.server} is dead: it reaches nothing")
        waiter = world.time.waiter()
        with world.lock:
            there, back = self._way(kind, target)
            send = world.network.send
            send(there, handle, partial(send, back, waiter.set), *args)
        return waiter

    # --- the ends of the paths

    def ask_agent(self, host: "SimHost", deadline: float, act: Callable[..., object], *args: Any) -> Any:
        """Ask a host's agent. The message is bound to the connection of this instant."""
        with self.world.lock:
            session = host.session()
        return self.ask(AGENT, host.uuid, deadline, self._arrive, session, host, act, args)

    def _arrive(self, reply: Callable[[Any], object], session: Any, host: "SimHost", act: Any, args: Any) -> None:
        self.world.agents.receive(session, host, act, reply, *args)

    def tell_agent(self, host: "SimHost", act: Callable[..., object], *args: Any) -> None:
        """Tell a host's agent something that it does not answer: `act(host, *args)` runs on arrival. Never blocks."""
        if self._owner.alive:
            with self.world.lock:
                self.world.network.send(self._way(AGENT, host.uuid)[0], act, host, *args)

    def ask_bmc(self, host: "SimHost", deadline: float, handle: Callable[..., object], *args: Any) -> Any:
        """Ask one of a host's BMCs."""
        return self.ask(BMC, host.uuid, deadline, handle, *args)

    def ask_coordinator(self, deadline: float, function: Callable[..., Any], *args: Any) -> Any:
        """Ask the coordinator service."""
        return self.ask(COORDINATOR, COORDINATOR, deadline, _answer, function, *args)

    def ask_database(self, deadline: float, function: Callable[..., Any], *args: Any) -> Any:
        """Ask the database to change something: it may have, although no answer comes back."""
        return self.ask(DATABASE, DATABASE, deadline, _answer, function, *args)

    def read_database(self, deadline: float, function: Callable[..., Any], *args: Any) -> Any:
        """Ask the database to read something.

        Over a healthy path only every fourth read waits, for the time of four: others still write between the reads of
        one call, at a quarter of the cost.
        """
        return self._read(self._database, DATABASE, deadline, function, args)

    def read_coordinator(self, deadline: float, function: Callable[..., Any], *args: Any) -> Any:
        """Ask the coordinator service to read something, with the same waits."""
        return self._read(self._coordinator, COORDINATOR, deadline, function, args)

    def _read(
        self, paths: tuple[Path, Path], kind: str, deadline: float, function: Callable[..., Any], args: tuple[Any, ...]
    ) -> Any:
        there, back = paths
        if there.faultless and back.faultless and self._owner.alive:
            self._reads[kind] += 1
            if self._reads[kind] % 4:
                return function(*args)
            self.world.time.sleep(4 * (there.delay + back.delay))
            if there.up and back.up and self._owner.alive:
                return function(*args)
        return self.ask(kind, kind, deadline, _answer, function, *args)


def _answer(reply: Callable[[Any], object], function: Callable[..., Any], *args: Any) -> None:
    try:
        answer = function(*args)
    except Exception as problem:
        answer = problem
    reply(answer)
