"""What is this driver's own: how it starts, how it reads the program, and what it keeps from it."""

import os
import time
from pathlib import Path

import pytest
from holdfast.errors import ConfigurationError, DeadlineExceeded, DriverError, Unreachable, Unsupported
from holdfast.model.secret import Secret
from holdfast.model.states import PowerAction, PowerState
from holdfast.model.views import BmcView
from holdfast_oobm_command.driver import CommandOobm

BMC = BmcView("host-1", "command", "192.0.2.7", "1", "admin", Secret("correct horse battery"))


def _driver(folder: Path, script: str) -> CommandOobm:
    program = folder / "program"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    return CommandOobm({"program": program})


def test_a_program_that_is_there_passes_the_self_test(tmp_path: Path) -> None:
    """Nothing is run for it."""
    _driver(tmp_path, "exit 1").self_test()


def test_a_program_that_is_not_there_stops_the_start(tmp_path: Path) -> None:
    """The text names the setting, the value, and what to do."""
    with pytest.raises(ConfigurationError, match=r"oobm\.command\.program .*nothing.* make it executable"):
        CommandOobm({"program": tmp_path / "nothing"}).self_test()


def test_a_program_that_vanished_later_says_nothing_of_the_host(tmp_path: Path) -> None:
    """It is no refusal: the host may be in any state."""
    with pytest.raises(Unreachable, match="cannot be run"):
        CommandOobm({"program": tmp_path / "nothing"}).power_state(BMC, 5.0)


@pytest.mark.parametrize("text", ["", "offline", "off?", "standby"])
def test_only_a_plain_off_is_off(tmp_path: Path, text: str) -> None:
    """Everything else is unknown."""
    assert _driver(tmp_path, f"echo '{text}'").power_state(BMC, 5.0) is PowerState.UNKNOWN


def test_an_unexpected_status_tells_what_the_program_said(tmp_path: Path) -> None:
    """The last line of its complaint, without the password."""
    driver = _driver(tmp_path, 'read -r p; echo "traceback" >&2; echo "bad login $p" >&2; exit 1')
    with pytest.raises(DriverError, match=r"status 1: bad login \*\*\*\*") as caught:
        driver.power_action(BMC, PowerAction.OFF, 5.0)
    assert type(caught.value) is DriverError


def test_status_is_no_action(tmp_path: Path) -> None:
    """The program is not even started."""
    with pytest.raises(Unsupported):
        _driver(tmp_path, "exit 0").power_action(BMC, PowerAction.STATUS, 5.0)


def test_the_program_sees_the_host_and_nothing_of_the_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The server's environment may hold secrets."""
    monkeypatch.setenv("HOLDFAST_ADMIN_PASSWORD", "do not pass this on")
    driver = _driver(tmp_path, f"env >{tmp_path}/seen")
    driver.power_action(BMC, PowerAction.ON, 5.0)
    seen = (tmp_path / "seen").read_text()
    assert "HOLDFAST_ADDRESS=192.0.2.7\n" in seen
    assert "do not pass this on" not in seen
    assert "correct horse" not in seen


def test_a_program_that_hangs_is_ended_with_its_children(tmp_path: Path) -> None:
    """No process is left behind to switch the power later."""
    driver = _driver(tmp_path, f"sleep 600 & echo $! >{tmp_path}/child; wait")
    with pytest.raises(DeadlineExceeded):
        driver.power_action(BMC, PowerAction.OFF, 1.0)
    child = int((tmp_path / "child").read_text())
    for _ in range(500):
        if not _runs(child):
            return
        time.sleep(0.01)
    pytest.fail("the program's child still runs")


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (ProcessLookupError, FileNotFoundError):
        return False
