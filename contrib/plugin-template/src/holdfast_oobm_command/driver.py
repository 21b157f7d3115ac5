"""The driver: what Holdfast asks, in the words of the program, and the program's answer in the words of Holdfast."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from holdfast.errors import (
    AuthenticationFailed,
    ConfigurationError,
    DriverError,
    Refused,
    Unreachable,
    Unsupported,
)
from holdfast.hooks.markers import hookimpl
from holdfast.model.states import PowerAction, PowerState
from holdfast.model.views import BmcView
from holdfast.options import Option

from holdfast_oobm_command.program import Answer, run

FAILURES: Mapping[int, type[DriverError]] = {
    3: Unreachable,
    4: AuthenticationFailed,
    5: Refused,
    6: Unsupported,
}
"""Exit status of the program → what it means. Any other but 0 is a `DriverError`: the effect is not known."""

STATES = {"on": PowerState.ON, "off": PowerState.OFF}


class CommandOobm:
    """OOBM driver `command`. One object serves all hosts; it keeps nothing between calls."""

    SETTINGS: ClassVar[Mapping[str, Option]] = {
        "program": Option(Path, doc="the program that reads and switches power; an absolute path"),
    }

    def __init__(self, settings: Mapping[str, Any]) -> None:
        """`settings` is the table `[oobm.command]`, checked against `SETTINGS`."""
        self._program = Path(settings["program"])

    @hookimpl
    def self_test(self) -> None:
        """Refuse to start with a program that cannot be run: found at start, and not when a host has to be fenced."""
        if not self._program.is_file() or not os.access(self._program, os.X_OK):
            raise ConfigurationError(
                f"oobm.command.program is {str(self._program)!r}, which is no program that can be run; "
                "give the path of one, and make it executable (chmod +x)"
            )

    @hookimpl
    def power_state(self, bmc: BmcView, deadline: float) -> PowerState:
        """ON or OFF for exactly these words on the first line, UNKNOWN for any other."""
        answer = self._ask("status", bmc, deadline)
        return STATES.get(answer.first_line.lower(), PowerState.UNKNOWN)

    @hookimpl
    def power_action(self, bmc: BmcView, action: PowerAction, deadline: float) -> str:
        """Run the program with the action's name in small letters."""
        if action is PowerAction.STATUS:
            raise Unsupported("STATUS is no action: read the power state")
        return self._ask(action.value.lower(), bmc, deadline).first_line

    def _ask(self, word: str, bmc: BmcView, deadline: float) -> Answer:
        answer = run(self._program, word, bmc, deadline)
        if answer.status == 0:
            return answer
        failure = FAILURES.get(answer.status, DriverError)
        raise failure(
            f"{self._program.name} {word} for {bmc.address} ended with status {answer.status}: "
            f"{answer.complaint or 'it said nothing'}"
        )
