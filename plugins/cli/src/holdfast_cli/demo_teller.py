"""What the demo says, and what it keeps for --json."""

import sys
import time
from collections.abc import Callable
from typing import TextIO

from holdfast_cli.progress import ProgressLine

STEPS = 8


class Teller:
    """Lines for people, with the seconds since the demo began. To standard error if standard output is for JSON."""

    def __init__(self, line: ProgressLine, as_json: bool = False, clock: Callable[[], float] = time.monotonic) -> None:
        self._out: TextIO = sys.stderr if as_json else sys.stdout
        self._line = line
        self._clock = clock
        self._began = clock()
        self.seconds: dict[int, float] = {}

    def elapsed(self) -> float:
        """Seconds since the demo began."""
        return self._clock() - self._began

    def stage(self, text: str) -> None:
        """A heading."""
        self._write(f"\n[{self.elapsed():5.1f} s] {text}")

    def step(self, number: int, title: str) -> None:
        """The heading of one of the eight steps."""
        self.stage(f"Step {number} of {STEPS}: {title}")

    def took(self, number: int, seconds: float) -> None:
        """Remember how long a step took."""
        self.seconds[number] = round(seconds, 3)

    def say(self, text: str) -> None:
        """A line below a heading; several if the text has several."""
        for line in text.splitlines():
            self._write(f"          {line}".rstrip())

    def block(self, text: str) -> None:
        """Text as it is."""
        self._write(text.rstrip("\n"))

    def _write(self, text: str) -> None:
        self._line.clear()
        print(text, file=self._out, flush=True)
