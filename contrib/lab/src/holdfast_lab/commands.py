"""Runs programs, and says all that is known when one fails."""

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from holdfast_lab.problems import LabError

PATH = "/usr/sbin:/usr/bin:/sbin:/bin:/usr/local/sbin:/usr/local/bin"
_LAST = 2000


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """A small environment of our own: nothing of the caller's (proxies, locales, virtual environments) leaks in."""
    kept = {name: os.environ[name] for name in ("HOME", "TERM") if name in os.environ}
    return {"PATH": PATH, "LC_ALL": "C.UTF-8", "PYTHONUNBUFFERED": "1", **kept, **(extra or {})}


def run(*words: str | Path, timeout: float = 60.0, text: str | None = None) -> str:
    """What a program printed. `LabError` with its last words if it fails or takes more than `timeout` seconds."""
    line = [str(word) for word in words]
    try:
        done = subprocess.run(
            line, input=text, capture_output=True, text=True, timeout=timeout, env=environment(), check=False
        )
    except FileNotFoundError:
        raise LabError(f"{line[0]}: no such program; run `lab up` as root once, so that it installs it") from None
    except subprocess.TimeoutExpired:
        raise LabError(f"{' '.join(line)}: not done after {timeout:g} s") from None
    if done.returncode != 0:
        raise LabError(
            f"{' '.join(line)}: exit status {done.returncode}: {(done.stderr or done.stdout)[-_LAST:].strip()}"
        )
    return done.stdout


def succeeds(words: Sequence[str | Path], timeout: float = 10.0) -> bool:
    """Whether a program ends with status 0 in time."""
    try:
        run(*words, timeout=timeout)
    except LabError:
        return False
    return True
