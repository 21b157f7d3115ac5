"""Runs the program once, within a deadline, without showing the password to anybody else.

The password goes to the program's standard input. It is never an argument, which every user of the machine can read,
nor in the environment, which the program's own children would inherit.
"""

import contextlib
import os
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path

from holdfast.errors import DeadlineExceeded, Unreachable
from holdfast.model.views import BmcView

LONGEST_LINE = 200
KEPT = ("PATH", "LANG", "LC_ALL", "TZ")
"""What of the server's own environment the program gets. The rest may hold secrets."""


@dataclass(frozen=True, slots=True)
class Answer:
    """How the program ended, its first line of output, and its last line of complaint."""

    status: int
    first_line: str
    complaint: str


def run(program: Path, word: str, bmc: BmcView, deadline: float) -> Answer:
    """Run `program word`. `DeadlineExceeded` after `deadline` seconds: then it was killed, with all it started.

    `Unreachable` if the program cannot be started at all: nothing is known of the host then.
    """
    try:
        process = subprocess.Popen(
            [str(program), word],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=_environment(bmc),
            # A process group of its own, so that whatever the program starts can be ended together with it.
            start_new_session=True,
        )
    except OSError as error:
        raise Unreachable(f"{program} cannot be run: {error.strerror}") from None
    with process:
        try:
            out, err = process.communicate(f"{bmc.password.reveal()}\n".encode(), timeout=max(deadline, 0.0))
        except subprocess.TimeoutExpired:
            _kill(process)
            # `from None`: the library's error carries what was printed so far.
            raise DeadlineExceeded(f"{program.name} {word} for {bmc.address} took over {deadline:g} s") from None
    return Answer(process.returncode, _line(out, 0, bmc), _line(err, -1, bmc))


def _kill(process: "subprocess.Popen[bytes]") -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    for pipe in (process.stdin, process.stdout, process.stderr):
        if pipe is not None:
            with contextlib.suppress(OSError):
                pipe.close()


def _environment(bmc: BmcView) -> dict[str, str]:
    kept = {name: os.environ[name] for name in KEPT if name in os.environ}
    return {
        **kept,
        "HOLDFAST_HOST": bmc.host_uuid,
        "HOLDFAST_ADDRESS": bmc.address,
        "HOLDFAST_PORT": bmc.port,
        "HOLDFAST_USERNAME": bmc.username,
    }


def _line(output: bytes, which: int, bmc: BmcView) -> str:
    text = output.decode("utf-8", "replace")
    if bmc.password:
        # A program may repeat what it was given; a log or an event must not.
        text = text.replace(bmc.password.reveal(), "****")
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[which][:LONGEST_LINE] if lines else ""
