"""The power switch of one simulated host, for BMC emulators that run programs or load Python files.

Stands alone: emulators start it thousands of times, or load it in another environment, so it needs the standard library
only. As a program: `simulated_chassis.py WORLD HOST get power` prints `power:1` or `power:0`, and `… set power 0`
orders; also `set power 1`, `set reset 1` and `set shutdown 1`. That is how ipmi_sim calls its chassis control program.
"""

import sqlite3
import sys
from contextlib import closing
from pathlib import Path

PATIENCE_SECONDS = 5.0
_FEWEST_WORDS = 4


class Chassis:
    """One host's chassis in the simulated world whose memory is the file `world`."""

    def __init__(self, world: str, host: str) -> None:
        self._world = world
        self._host = host

    def is_on(self) -> bool:
        """Whether it has power now. `LookupError` if there is no such host, `sqlite3.Error` if there is no world."""
        place = f"{Path(self._world).absolute().as_uri()}?mode=ro"
        with closing(sqlite3.connect(place, uri=True, timeout=PATIENCE_SECONDS)) as memory:
            query = "SELECT json_extract(state, '$.condition') FROM host WHERE name = ?"
            row = memory.execute(query, (self._host,)).fetchone()
        if row is None:
            raise LookupError(f"the simulated world {self._world} has no host {self._host}")
        return bool(row[0] != "off")

    def order(self, what: str) -> None:
        """Have the world carry out `on`, `off`, `reset` or `shutdown`; the chassis follows when its time has come."""
        place = f"{Path(self._world).absolute().as_uri()}?mode=rw"
        with closing(sqlite3.connect(place, uri=True, timeout=PATIENCE_SECONDS, isolation_level=None)) as memory:
            memory.execute("INSERT INTO intervention (host, what) VALUES (?, ?)", (self._host, what))


def main(words: list[str]) -> int:
    """0, or 1 with the reason on standard error; the emulator then refuses what it was asked for."""
    if len(words) < _FEWEST_WORDS:
        sys.stderr.write("usage: simulated_chassis.py WORLD HOST get|set WHAT [VALUE]\n")
        return 1
    world, host, verb, what, *value = words
    chassis = Chassis(world, host)
    orders = {("power", "1"): "on", ("power", "0"): "off", ("reset", "1"): "reset", ("shutdown", "1"): "shutdown"}
    order = orders.get((what, value[0] if value else ""))
    try:
        if (verb, what) == ("get", "power"):
            sys.stdout.write(f"power:{int(chassis.is_on())}\n")
        elif verb == "set" and order is not None:
            chassis.order(order)
        else:
            sys.stderr.write(f"a simulated chassis cannot {' '.join(words[2:])}\n")
            return 1
    except (sqlite3.Error, LookupError) as problem:
        sys.stderr.write(f"{problem}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
