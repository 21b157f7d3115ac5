"""The BMCs of the demo's hosts: simulated ones, or emulator programs in processes of their own.

An emulator speaks the real protocol on a real socket; behind its power switch stands a simulated host.
"""

import os
import signal
import subprocess
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from holdfast.errors import HoldfastError
from holdfast.model import Secret

from holdfast_cli import simulated_chassis

USER = "admin"
LOOPBACK = "127.0.0.1"
START_SECONDS = 30.0
STOP_SECONDS = 5.0
_LOOK = 0.05
_TRIES = 3


@dataclass(frozen=True, slots=True)
class BmcPlace:
    """What configureOutOfBandManagement is told of one BMC, its password aside."""

    driver: str
    address: str
    port: str
    username: str = USER


class EmulatorFailed(HoldfastError):
    """An emulator ended, or did not begin to answer."""


class Bmcs(AbstractContextManager["Bmcs"]):
    """One BMC for each host. As a context manager it promises that no process of it is left."""

    said: str = "simulated BMCs"

    def configuration(self) -> str:
        """What the server's configuration has to say for their driver to trust them; TOML."""
        return ""

    @abstractmethod
    def start(self, hosts: Sequence[str], world: Path, password: Secret) -> Mapping[str, BmcPlace]:
        """Give each host its BMC, and return once all answer: host name → where its BMC is.

        `world` is the memory of the simulated world. `EmulatorFailed` with the emulator's last words.
        """

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Nothing to end."""


class SimulatedBmcs(Bmcs):
    """Those of the simulated world itself, in the server's own process. Address and port are for show."""

    def start(self, hosts: Sequence[str], world: Path, password: Secret) -> Mapping[str, BmcPlace]:
        """Addresses from a range that is reserved for documentation."""
        return {name: BmcPlace("simulator", f"203.0.113.{11 + number}", "623") for number, name in enumerate(hosts)}


class Emulator(ABC):
    """One emulator process in a folder of its own; it may be stopped, changed and started again."""

    def __init__(self, folder: Path, host: str, world: Path, password: Secret) -> None:
        self.folder = folder
        self.host = host
        self.world = world
        self.password = password
        self.port = 0
        self._child: subprocess.Popen[bytes] | None = None
        folder.mkdir(mode=0o700, parents=True)

    @abstractmethod
    def free_port(self) -> int:
        """A port that nobody listens on now."""

    @abstractmethod
    def prepare(self) -> list[str]:
        """Write its files for `port`, and return its command line. No secret stands there."""

    @abstractmethod
    def answers(self) -> bool:
        """Whether it answers on `port`."""

    def launch(self) -> None:
        """Start the process without waiting for it. The port stays the same from then on."""
        self.port = self.port or self.free_port()
        with (self.folder / "output").open("ab") as output:
            # A session of its own: Ctrl-C on the terminal reaches us alone, and we end it in order.
            self._child = subprocess.Popen(  # noqa: S603 - a program that was looked up, and our own words
                self.prepare(), cwd=self.folder, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                start_new_session=True, env={**os.environ, "PYTHONUNBUFFERED": "1"},
            )  # fmt: skip

    def await_answer(self) -> None:
        """Return once it answers. If it ended, somebody else may have got its port meanwhile: it gets another."""
        for attempt in range(1, _TRIES + 1):
            until = time.monotonic() + START_SECONDS
            while time.monotonic() < until and self._child is not None and self._child.poll() is None:
                if self.answers():
                    return
                time.sleep(_LOOK)
            self.stop()
            if attempt < _TRIES:
                self.port = 0
                self.launch()
        raise EmulatorFailed(f"the BMC emulator of {self.host} does not answer on port {self.port}:\n{self.output()}")

    def start(self) -> None:
        """Start it, and return once it answers."""
        self.launch()
        self.await_answer()

    def stop(self) -> None:
        """End it, as pulling the BMC's own plug does: whoever asks gets no answer. Idempotent."""
        if self._child is None:
            return
        if self._child.poll() is None:
            self._child.terminate()
            self.thaw()
            try:
                self._child.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self._child.kill()
        self._child.wait()

    def freeze(self) -> None:
        """Let it answer nothing from now on, though its port stays taken: packets to it vanish."""
        assert self._child is not None
        self._child.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, self._child.pid, os.WSTOPPED)  # its threads stop one after the other

    def thaw(self) -> None:
        """Let it go on."""
        assert self._child is not None
        self._child.send_signal(signal.SIGCONT)

    def output(self) -> str:
        """The end of what it printed."""
        try:
            return (self.folder / "output").read_text(encoding="utf-8", errors="replace")[-2000:].strip()
        except OSError:
            return "(it printed nothing)"

    @property
    def switch(self) -> list[str]:
        """The words that run the power switch of its host; `get power` or `set power 0` follow."""
        # Isolated and without site packages it starts in a fraction of the time.
        return [sys.executable, "-I", "-S", simulated_chassis.__file__, str(self.world), self.host]


class EmulatedBmcs(Bmcs):
    """One emulator process for each host."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.emulators: dict[str, Emulator] = {}

    @abstractmethod
    def make(self, host: str, world: Path, password: Secret) -> Emulator:
        """The emulator of a host, not started."""

    @abstractmethod
    def place(self, emulator: Emulator) -> BmcPlace:
        """Where it is."""

    def start(self, hosts: Sequence[str], world: Path, password: Secret) -> Mapping[str, BmcPlace]:
        """All at once: some take a second to come up."""
        for name in hosts:
            self.emulators[name] = self.make(name, world, password)
            self.emulators[name].launch()
        for emulator in self.emulators.values():
            emulator.await_answer()
        return {name: self.place(emulator) for name, emulator in self.emulators.items()}

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End all processes."""
        for emulator in self.emulators.values():
            emulator.stop()
