"""The process of a lane: makes one worker, carries out one order after the other, and ends when its pipe does.

`python -m holdfast.lane.child MODULE:CLASS`. It is kept small: it may hang for hours, and there is one for each pool.
"""

import importlib
import os
import signal
import sys
from typing import Any

from holdfast import errors
from holdfast.lane import orders
from holdfast.lane.frames import pack, unpack

_TELLABLE = {kind.__name__: kind for kind in (errors.Unreachable, errors.Refused, errors.NotFound)}

_LONGEST_TEXT = 4000


def main() -> None:
    """Serve until the other end of the pipe is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    incoming, answers = os.dup(0), os.dup(1)
    # Whatever a library prints must not get between the frames.
    os.dup2(2, 1)
    quiet = os.open(os.devnull, os.O_RDONLY)
    os.dup2(quiet, 0)
    module, _, name = sys.argv[1].partition(":")
    buffer = bytearray()
    worker: Any = None
    while True:
        order = unpack(buffer)
        if order is None:
            found = os.read(incoming, 1 << 16)
            if not found:
                os._exit(0)
            buffer += found
            continue
        orders.begin(order["until"])
        try:
            if order["do"] == "begin":
                worker = getattr(importlib.import_module(module), name)(*order["with"])
                value = None
            elif orders.overdue():
                raise errors.Unreachable("given up before it was begun")
            else:
                value = _method(worker, order["do"])(*order["with"])
            answer = pack({"id": order["id"], "value": value})
        except Exception as problem:
            answer = pack({"id": order["id"], "error": _kind(problem), "text": _words(problem)[:_LONGEST_TEXT]})
        _send(answers, answer)


def _method(worker: Any, name: str) -> Any:
    if name.startswith("_"):
        raise ValueError(f"{name} is nobody's business")
    return getattr(worker, name)


def _kind(problem: Exception) -> str:
    for name, kind in _TELLABLE.items():
        if isinstance(problem, kind):
            return name
    return "Unreachable" if isinstance(problem, OSError) else "Failed"


def _words(problem: Exception) -> str:
    return str(problem) if isinstance(problem, errors.HoldfastError) else f"{type(problem).__name__}: {problem}"


def _send(where: int, data: bytes) -> None:
    while data:
        data = data[os.write(where, data) :]


if __name__ == "__main__":
    main()
