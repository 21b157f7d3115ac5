"""Workers for the tests of lanes; they live in a lane's process."""

import os
import signal
import time
from pathlib import Path

from holdfast.errors import NotFound, Refused
from holdfast.lane import overdue


class Worker:
    def __init__(self, folder: str) -> None:
        self._folder = Path(folder)
        if (self._folder / "no").exists():
            raise Refused("not today")

    def echo(self, value: object) -> object:
        return value

    def pid(self) -> int:
        return os.getpid()

    def wait_for(self, name: str) -> str:
        while not (self._folder / name).exists():
            time.sleep(0.005)
        return name

    def act_unless_late(self, name: str) -> None:
        self.wait_for(name)
        if not overdue():
            (self._folder / "acted").touch()

    def die(self) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    def shout(self) -> str:
        print("not a frame", flush=True)
        return "said"

    def refuse(self) -> None:
        raise Refused("no")

    def miss(self) -> None:
        raise NotFound("nothing")

    def fail(self) -> None:
        raise OSError(5, "Input/output error")

    def big(self) -> str:
        return "x" * (8 << 20)
