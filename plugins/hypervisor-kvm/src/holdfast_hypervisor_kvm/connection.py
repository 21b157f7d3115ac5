"""The way to libvirtd: opened again whenever it broke, and never waited for longer than a caller allows."""

import logging
import threading
from collections.abc import Callable
from types import ModuleType
from typing import Any, TypeVar

from holdfast.errors import ConfigurationError, Refused, Unreachable

from holdfast_hypervisor_kvm.binding import libvirt, too_old
from holdfast_hypervisor_kvm.deadline import Calls, Deadline

log = logging.getLogger("holdfast.hypervisor.kvm")

T = TypeVar("T")

_KEEPALIVE_SECONDS, _KEEPALIVE_MISSES = 2, 3
_CALLS_AT_ONCE = 32
_SHOWN = 500


class Connection:
    """One connection at a time. Thread-safe.

    `when_open` is called, with the fresh connection, before anybody uses it; what it raises ends the attempt.
    `when_lost` is called for each connection that broke; never blocks.
    """

    def __init__(self, uri: str, when_open: Callable[[Any], None], when_lost: Callable[[], None]) -> None:
        self._uri = uri
        self._when_open = when_open
        self._when_lost = when_lost
        self._calls = Calls(_CALLS_AT_ONCE)
        self._lock = threading.Lock()
        self._opening = threading.Lock()
        self._now: Any = None
        self._generation = 0
        self._module: ModuleType | None = None

    @property
    def module(self) -> ModuleType:
        """The binding. `ConfigurationError` if it is not installed."""
        if self._module is None:
            self._module = libvirt()
        return self._module

    def ask(
        self, what: str, limit: Deadline, question: Callable[[Any], T], late: Callable[[], None] = lambda: None
    ) -> T:
        """What `question`, given the connection, returns. `what` says in words what it is about.

        `Unreachable` if libvirtd does not answer, which leaves the outcome open. What libvirt itself refuses is raised
        as `libvirtError`, for the caller to judge. `late` is called once a question ended after its asker had gone.
        """
        return self._calls.run(what, limit, lambda: self._asked(what, limit, question), late)

    def look(self, what: str, limit: Deadline, question: Callable[[Any], T]) -> T:
        """The same for questions that libvirt has no reason to refuse: whatever goes wrong is `Unreachable`."""
        try:
            return self.ask(what, limit, question)
        except self.module.libvirtError as problem:
            raise Unreachable(f"{what}: {words(problem)}") from problem

    def _asked(self, what: str, limit: Deadline, question: Callable[[Any], T]) -> T:
        try:
            connection, generation = self._opened(limit)
        except ConfigurationError as problem:
            raise Refused(f"{what}: {problem}") from problem
        try:
            return question(connection)
        except self.module.libvirtError as problem:
            if _is_alive(connection):
                raise
            self._lose(generation)
            raise Unreachable(f"{what}: the connection to libvirtd broke: {words(problem)}") from problem

    def open(self, limit: Deadline) -> None:
        """Connect, if there is no connection. `ConfigurationError` if the binding is missing or libvirt too old."""
        module = self.module
        try:
            self._calls.run("connecting", limit, lambda: self._opened(limit))
        except module.libvirtError as problem:
            raise Unreachable(f"libvirtd at {self._uri} cannot be reached: {words(problem)}") from problem

    def _current(self) -> tuple[Any, int] | None:
        with self._lock:
            return (self._now, self._generation) if self._now is not None and _is_alive(self._now) else None

    def _opened(self, limit: Deadline) -> tuple[Any, int]:
        found = self._current()
        if found is not None:
            return found
        if not self._opening.acquire(timeout=max(limit.left(), 0.001)):
            raise Unreachable(f"libvirtd at {self._uri} does not answer")
        try:
            found = self._current()
            return found if found is not None else self._open()
        finally:
            self._opening.release()

    def _open(self) -> tuple[Any, int]:
        module = self.module
        with self._lock:
            self._generation += 1
            generation = self._generation
        try:
            made = module.open(self._uri)
            made.setKeepAlive(_KEEPALIVE_SECONDS, _KEEPALIVE_MISSES)
            complaint = too_old(made.getLibVersion())
            if complaint:
                raise ConfigurationError(complaint)
            made.registerCloseCallback(lambda _connection, _reason, opaque: self._lose(opaque), generation)
            self._when_open(made)
        except module.libvirtError as problem:
            raise Unreachable(f"libvirtd at {self._uri} cannot be reached: {words(problem)}") from problem
        with self._lock:
            self._now = made
        log.info("connected to libvirtd at %s", self._uri)
        return made, generation

    def _lose(self, generation: int) -> None:
        with self._lock:
            if generation != self._generation or self._now is None:
                return
            self._now = None
        log.warning("the connection to libvirtd at %s broke; it is opened again", self._uri)
        self._when_lost()


def _is_alive(connection: Any) -> bool:
    try:
        return bool(connection.isAlive())
    except Exception:  # libvirtError, of a connection that is closed altogether
        return False


def words(problem: Exception) -> str:
    """What libvirt says, on one line and not for ever."""
    message = problem.get_error_message() if hasattr(problem, "get_error_message") else str(problem)
    return " ".join(str(message or problem).split())[:_SHOWN]


def refusal(what: str, problem: Exception) -> Refused:
    """libvirt's own no, as an error for callers, with advice where it is known."""
    text = words(problem)
    advice = ""
    if '"write" lock' in text or ("lock" in text and "another" in text.lower()) or "resource busy" in text.lower():
        advice = "; the storage refuses a second writer: a VM somewhere has this disk open"
    elif "No space left" in text:
        advice = "; free some room on the pool"
    return Refused(f"{what}: {text}{advice}")
