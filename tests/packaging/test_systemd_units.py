"""The units that packagers install."""

import configparser
import shutil
import subprocess
from pathlib import Path

import pytest

UNITS = Path(__file__).parents[2] / "contrib" / "systemd"


def read(name: str) -> configparser.ConfigParser:
    found = configparser.ConfigParser(interpolation=None)
    found.optionxform = str  # type: ignore[method-assign,assignment]
    found.read_string((UNITS / name).read_text())
    return found


@pytest.mark.parametrize("name", ["holdfast-server.service", "holdfast-agent.service"])
def test_both_are_watched_and_always_come_back(name: str) -> None:
    """They say when they are ready, give signs of life, and are started again however they ended, without end."""
    unit = read(name)
    service = unit["Service"]
    assert (service["Type"], service["Restart"]) == ("notify", "always")
    assert int(service["WatchdogSec"]) > 0
    assert unit["Unit"]["StartLimitIntervalSec"] == "0"


def test_the_agents_unit_ends_nothing_but_the_agent() -> None:
    """VMs live on when it is stopped or restarted."""
    service = read("holdfast-agent.service")["Service"]
    assert service["KillMode"] == "process"
    assert not {"ProtectSystem", "PrivateDevices", "PrivateTmp", "ProtectHome"} & set(service), "it needs the host"


@pytest.mark.parametrize("name", ["holdfast-server.service", "holdfast-agent.service"])
def test_systemd_knows_every_word(name: str) -> None:
    """Checked by systemd itself where it is installed; a word that it does not know, it would pass over."""
    program = shutil.which("systemd-analyze")
    if program is None:
        pytest.skip("systemd-analyze is not installed (Debian package systemd)")
    found = subprocess.run(
        [program, "verify", str(UNITS / name)], capture_output=True, text=True, timeout=60, check=False
    )
    problems = [line for line in found.stderr.splitlines() if name in line and "is not executable" not in line]
    assert problems == []
