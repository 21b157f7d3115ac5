"""The driver passes Holdfast's own conformance kit, against a program that plays a power strip."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from holdfast.model.secret import Secret
from holdfast.model.states import PowerState
from holdfast.model.views import BmcView
from holdfast_conformance import OobmBench, OobmCapabilities, OobmConformance
from holdfast_oobm_command.driver import CommandOobm

PASSWORD = "correct horse battery"
PROGRAM = Path(__file__).with_name("power-strip")


class PowerStrip(OobmBench):
    """The program of the tests keeps its sockets as files beside itself; the knobs write those files."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.program = Path(shutil.copy(PROGRAM, folder / "power-strip"))
        (folder / "password").write_text(PASSWORD)
        (folder / "socket-1").write_text("on")
        (folder / "socket-2").write_text("off")

    @property
    def bmc(self) -> BmcView:
        return BmcView("host-1", "command", "127.0.0.1", "1", "admin", Secret(PASSWORD))

    @property
    def other_bmc(self) -> BmcView:
        return replace(self.bmc, host_uuid="host-2", port="2")

    def wrong_password(self) -> BmcView:
        return replace(self.bmc, password=Secret("wrong horse battery"))

    def force_power(self, state: PowerState) -> None:
        (self.folder / "socket-1").write_text(state.value.lower())

    def make_unreachable(self) -> None:
        (self.folder / "silent").touch()

    def make_reachable(self) -> None:
        (self.folder / "silent").unlink(missing_ok=True)

    def refuse_actions(self) -> None:
        (self.folder / "refuse").touch()

    def ignore_actions(self) -> None:
        (self.folder / "ignore").touch()

    def show_odd_state(self) -> None:
        (self.folder / "socket-1").write_text("powering off")


class TestCommandOobm(OobmConformance):
    """Every standard test, as an outsider runs them."""

    capabilities = OobmCapabilities()
    # Each question starts a process, so the reference model makes fewer runs.
    model_examples = 8

    @pytest.fixture
    def bench(self, tmp_path: Path) -> PowerStrip:
        """A fresh power strip."""
        return PowerStrip(tmp_path)

    @pytest.fixture
    def driver(self, bench: PowerStrip) -> CommandOobm:
        """The driver, configured as the loader would."""
        return CommandOobm({"program": bench.program})
