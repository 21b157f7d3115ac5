"""The near end of a lane: sends one order at a time, and waits no longer than it was told to."""

import os
import select
import subprocess
import sys
import threading
import time
from typing import Any, Final

from holdfast.errors import DeadlineExceeded, NotFound, Refused, Unreachable
from holdfast.lane.frames import pack, unpack

_ERRORS: Final = {"Refused": Refused, "NotFound": NotFound, "Unreachable": Unreachable}


class Lane:
    """Calls methods of a worker that lives in a process of its own. Thread-safe; one order is underway at a time.

    `worker` is "module:Class"; `parts` are what the class is constructed with (JSON values; they travel through the
    pipe, so they may be secret). `title` says in errors what the lane leads to.

    An order that nobody waits for any more is not begun, and a worker can ask `holdfast.lane.overdue` before a step
    that would come too late. One that hangs beyond its deadline is left alone: a process that waits for a disk cannot
    be killed, and a second one would hang as well. Until it comes back the lane takes no other order, so at most one
    process ever hangs; what it comes back with is dropped. A process that died is replaced at the next call.
    """

    def __init__(self, worker: str, title: str, *parts: Any) -> None:
        self._worker = worker
        self._title = title
        self._parts = parts
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._buffer = bytearray()
        self._number = 0
        self._underway: tuple[int, str, float] | None = None
        self._closed = False

    def call(self, deadline: float, what: str, *arguments: Any) -> Any:
        """The value that the worker's method `what` returns, within `deadline` seconds.

        Raises `DeadlineExceeded` if it has not come by then, or if an earlier order still hangs; `Unreachable`,
        `Refused` and `NotFound` as the worker raised them; `Unreachable` for anything else that went wrong there.
        """
        until = time.monotonic() + deadline
        if not self._lock.acquire(timeout=max(0.0, deadline)):
            raise DeadlineExceeded(f"{self._title}: not even begun within {deadline:g} s; {self._hangs()}")
        try:
            if self._closed:
                raise Unreachable(f"{self._title}: nobody asks about it any more")
            self._wait_for_earlier(until, deadline)
            if self._process is None:
                self._start(until, deadline)
            return self._order(until, deadline, what, arguments)
        finally:
            if self._closed:
                self._abandon()
            self._lock.release()

    @property
    def stuck_for(self) -> float:
        """For how many seconds the order that is underway has been underway; 0 if none is. Never blocks."""
        underway = self._underway
        return time.monotonic() - underway[2] if underway else 0.0

    @property
    def pid(self) -> int | None:
        """The process, if there is one now."""
        return self._process.pid if self._process else None

    def close(self) -> None:
        """Let go of the process for good: it ends at once, or as soon as what it hangs in lets it. Never blocks."""
        self._closed = True
        process = self._process
        if process is not None:
            process.kill()
        # Otherwise the call that is underway lets go when it ends, at its deadline at the latest.
        if self._lock.acquire(blocking=False):
            try:
                self._abandon()
            finally:
                self._lock.release()

    def _abandon(self) -> None:
        process, self._process = self._process, None
        self._underway = None
        self._buffer.clear()
        if process is None:
            return
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()
        process.kill()
        if process.poll() is None:
            # Collected in the background: it may hang for as long as the storage likes.
            threading.Thread(target=process.wait, name="lane-end", daemon=True).start()

    def _hangs(self) -> str:
        underway = self._underway
        if underway is None:
            return "others were before it"
        return f"{underway[1]} has been underway for {time.monotonic() - underway[2]:.1f} s"

    def _wait_for_earlier(self, until: float, deadline: float) -> None:
        while self._underway is not None:
            number = self._underway[0]
            answer = self._receive(until)
            if answer is None and self._process is None:
                return
            if answer is None:
                raise DeadlineExceeded(f"{self._title} did not answer within {deadline:g} s: {self._hangs()}")
            if answer.get("id") == number:
                what, self._underway = self._underway[1], None
                if what == "begin":
                    self._value(what, answer)

    def _start(self, until: float, deadline: float) -> None:
        program = [sys.executable, "-m", "holdfast.lane.child", self._worker]
        # A session of its own: what a terminal or a service manager sends to the group is not for it.
        self._process = subprocess.Popen(  # noqa: S603 - our own module, by our own interpreter
            program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0, start_new_session=True
        )
        self._buffer.clear()
        self._order(until, deadline, "begin", self._parts)

    def _order(self, until: float, deadline: float, what: str, arguments: tuple[Any, ...]) -> Any:
        process = self._process
        if process is None or process.stdin is None:
            raise Unreachable(f"{self._title}: the process behind it has ended")
        self._number += 1
        frame = pack({"id": self._number, "do": what, "with": arguments, "until": until})
        self._underway = (self._number, what, time.monotonic())
        try:
            # The process reads whenever nothing is underway, so this waits for nobody.
            process.stdin.write(frame)
        except OSError as problem:
            raise self._ended() from problem
        while True:
            answer = self._receive(until)
            if answer is None and self._process is None:
                raise self._ended()
            if answer is None:
                raise DeadlineExceeded(f"{self._title} did not answer within {deadline:g} s: {self._hangs()}")
            if answer.get("id") == self._number:
                self._underway = None
                return self._value(what, answer)

    def _value(self, what: str, answer: dict[str, Any]) -> Any:
        if "error" not in answer:
            return answer.get("value")
        if what == "begin":
            # The next call begins afresh: what was missing may be there by then.
            self._abandon()
        text = f"{self._title}: {answer.get('text', '')}"
        raise _ERRORS.get(str(answer["error"]), Unreachable)(text)

    def _receive(self, until: float) -> dict[str, Any] | None:
        """The next answer; None if there is none in time, or if the process ended (it is then dropped)."""
        process = self._process
        if process is None or process.stdout is None:
            return None
        while True:
            try:
                answer = unpack(self._buffer)
            except ValueError:
                self._abandon()
                return None
            if answer is not None:
                return dict(answer)
            rest = max(0.0, until - time.monotonic())
            poll = select.poll()
            poll.register(process.stdout, select.POLLIN)
            if not poll.poll(rest * 1000):
                return None
            found = os.read(process.stdout.fileno(), 1 << 16)
            if not found:
                self._abandon()
                return None
            self._buffer += found

    def _ended(self) -> Unreachable:
        self._abandon()
        return Unreachable(f"{self._title}: the process that reads and writes there has died; trying again starts one")
