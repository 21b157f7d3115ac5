"""Faults struck from outside into a shared world in real time: rows of the table `intervention` of its file.

Whoever has the file may pull a plug without a way into the process: a demonstration, a test, a person with `sqlite3`:
INSERT INTO intervention (host, what) VALUES ('ablecube31', 'power-loss').
The power switches of BMC emulators end here too: `on`, `off`, `reset`, `shutdown`.
"""

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING

from holdfast.model import PowerAction

from holdfast_simulator.world.bmc import BmcMode

if TYPE_CHECKING:
    from holdfast_simulator.journal import FileJournal
    from holdfast_simulator.world.host import SimHost
    from holdfast_simulator.world.world import World

_log = logging.getLogger("holdfast.simulator")

LOOK_SECONDS = 0.1

KINDS: dict[str, Callable[["SimHost"], None]] = {
    "power-loss": lambda host: host.power_off("power loss"),
    "power-back": lambda host: host.power_on("power is back"),
    "on": lambda host: host.bmc().carry_out_later(PowerAction.ON),
    "off": lambda host: host.bmc().carry_out_later(PowerAction.OFF),
    "reset": lambda host: host.bmc().carry_out_later(PowerAction.RESET),
    "shutdown": lambda host: host.bmc().carry_out_later(PowerAction.SOFT),
    "hang": lambda host: host.hang(),
    "go-on": lambda host: host.unhang(),
    "agent-death": lambda host: host.kill_agent(),
    "agent-start": lambda host: host.start_agent(),
    "agent-freeze": lambda host: host.freeze_agent(),
    "agent-thaw": lambda host: host.thaw_agent(),
    "watchdog-gone": lambda host: host.set_watchdog(False),
    "watchdog-back": lambda host: host.set_watchdog(True),
    **{f"bmc-{mode.value}": lambda host, mode=mode: host.bmc().set_mode(mode) for mode in BmcMode},  # type: ignore[misc]
}
"""What may stand in `what`."""


class Interventions:
    """Looks for rows again and again, carries each out once and removes it."""

    def __init__(self, world: "World", journal: "FileJournal") -> None:
        self._world = world
        self._journal = journal
        self._look_later()

    def _look_later(self) -> None:
        self._world.time.call_at(self._world.time.now() + LOOK_SECONDS, self.look)

    def look(self) -> None:
        """Carry out what stands there now; what nobody can understand is logged and dropped."""
        try:
            for name, what in self._journal.take_interventions():
                self._carry_out(name, what)
        finally:
            self._look_later()

    def _carry_out(self, name: str, what: str) -> None:
        host, act = self._world.hosts.get(name), KINDS.get(what)
        if host is None or act is None:
            known = ", ".join(self._world.hosts if host is None else KINDS)
            _log.warning("no intervention: %s on %s; there are %s", what, name, known)
            return
        _log.info("intervention: %s on %s", what, name)
        act(host)
