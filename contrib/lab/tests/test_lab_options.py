"""What a lab may be made of."""

from pathlib import Path

import pytest
from holdfast_lab import packages
from holdfast_lab.__main__ import main
from holdfast_lab.faults import FAULTS, Outcome
from holdfast_lab.options import Options
from holdfast_lab.problems import LabError


@pytest.mark.parametrize("wrong", [{"hosts": 1}, {"hosts": 17}, {"storage": "ceph"}, {"oobm": "ilo"}, {"db": "oracle"}])
def test_unknown_parts_are_refused(wrong: dict[str, object]) -> None:
    """By name, with what there is."""
    with pytest.raises(LabError, match=next(iter(wrong))):
        Options(**wrong)  # type: ignore[arg-type]


def test_options_are_remembered(tmp_path: Path) -> None:
    """As they were chosen."""
    chosen = Options(4, "iscsi", "redfish", "mariadb")
    chosen.save(tmp_path)
    assert Options.load(tmp_path) == chosen


def test_a_frozen_agent_spares_its_vms_where_their_disks_can_be_watched() -> None:
    """On NFS, on hosts without a watchdog; a LUN does not tell, and a watchdog resets the host."""
    fault = FAULTS["agent-frozen"]
    assert fault.outcome_in(Options(watchdog=False)) is Outcome.UNTOUCHED
    assert {fault.outcome_in(Options()), fault.outcome_in(Options(storage="iscsi", watchdog=False))} == {
        Outcome.RETURNED
    }
    assert FAULTS["power-cut"].outcome_in(Options(watchdog=False)) is Outcome.MOVED


def test_a_folder_without_a_lab_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With the command that makes one."""
    assert main(["--folder", str(tmp_path), "status"]) == 1
    said = capsys.readouterr().err
    assert str(tmp_path) in said
    assert "lab up" in said


def test_a_folder_with_other_things_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`up` empties only what a lab made."""
    (tmp_path / "thesis.txt").write_text("years of work")
    monkeypatch.setattr(packages, "provide", lambda _options: ())
    monkeypatch.setattr("os.geteuid", lambda: 0)

    assert main(["--folder", str(tmp_path), "up"]) == 1

    assert (tmp_path / "thesis.txt").exists()


def test_missing_packages_are_named_to_those_who_may_not_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the command for root."""
    monkeypatch.setattr(packages, "_is_installed", lambda name: name != "tgt")
    monkeypatch.setattr("shutil.which", lambda _name: "/usr/bin/apt-get")
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    with pytest.raises(LabError, match="as root: apt-get install --no-install-recommends tgt"):
        packages.provide(Options(storage="iscsi"))
