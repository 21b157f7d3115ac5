"""What is shown while something takes its time: one line that is rewritten, on a terminal only."""

import sys
import time
from typing import TextIO


class ProgressLine:
    """A line on standard error that says what is awaited and for how long. Silent where nobody watches."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr
        self._live = self._stream.isatty()
        self._shown = ""
        self._began = time.monotonic()

    def begin(self) -> None:
        """Count the seconds from now."""
        self._began = time.monotonic()

    def show(self, text: str) -> None:
        """Replace the line."""
        if not self._live:
            return
        line = f"  … {text} ({time.monotonic() - self._began:.1f} s)"[:119]
        self._stream.write(f"\r{line.ljust(len(self._shown))}")
        self._stream.flush()
        self._shown = line

    def clear(self) -> None:
        """Take the line away, before something else is written."""
        if self._shown:
            self._stream.write("\r" + " " * len(self._shown) + "\r")
            self._stream.flush()
            self._shown = ""
