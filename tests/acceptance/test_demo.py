"""`holdfast demo` shows the whole scenario and leaves nothing behind."""

import json
import os
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import pytest
from acceptance_site import debian_program
from holdfast_cli.client import Client
from holdfast_cli.credentials import client_from
from holdfast_cli.demo_cloud import VM_NAMES
from holdfast_cli.demo_steps import TITLES

pytestmark = pytest.mark.slow

_LONGEST = 240


def _words(*options: str) -> list[str]:
    return [sys.executable, "-m", "holdfast", "demo", *options]


def _environment(temporary: Path) -> dict[str, str]:
    return {**os.environ, "TMPDIR": str(temporary)}


def test_the_demo_shows_the_eight_steps_and_where_the_vms_went(tmp_path: Path) -> None:
    """Status 0; every step, both hosts of every VM, the stages, the target and the explanation; no file is left."""
    ended = subprocess.run(
        _words(), capture_output=True, text=True, timeout=_LONGEST, env=_environment(tmp_path), check=False
    )

    assert ended.returncode == 0, ended.stdout + ended.stderr
    told = ended.stdout
    for number, title in enumerate(TITLES, 1):
        assert f"Step {number} of 8: {title}" in told
    for name in VM_NAMES:
        assert f"{name}: Running on ablecube31" in told
        [move] = [line.split() for line in told.splitlines() if line.split()[:2] == [name, "ablecube31"]]
        assert move[2] in ("ablecube32", "ablecube33")
        assert move[3] == "1"
    for stage in ("power off ordered", "chassis off", "Suspect", "Fencing", "Fenced", "restarts permitted"):
        assert stage in told
    assert "target 8 s" in told
    assert "proof of death: chassis-off" in told
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("kind", "program"), [("ipmi", "ipmi_sim"), ("redfish", "sushy-emulator")])
def test_the_demo_goes_through_real_bmc_emulators(kind: str, program: str, tmp_path: Path) -> None:
    """The same eight steps, with a process of its own behind the power of each host; none of them is left."""
    if kind == "ipmi":
        debian_program("ipmi_sim", "openipmi")
    ended = subprocess.run(
        _words("--oobm", kind, "--json"), capture_output=True, text=True, timeout=_LONGEST,
        env=_environment(tmp_path), check=False,
    )  # fmt: skip

    assert ended.returncode == 0, ended.stderr
    assert f"BMC: a{'n' if kind == 'ipmi' else ''} {program} process for each host" in ended.stderr
    document = json.loads(ended.stdout)
    assert [step["title"] for step in document["steps"]] == list(TITLES)
    moves = {move["vm"]: (move["from"], move["runs"]) for move in document["virtualmachines"]}
    assert moves == dict.fromkeys(VM_NAMES, ("ablecube31", 1))
    power = document["host"]["outofbandmanagement"]
    assert (power["driver"], power["address"]) == (kind, "127.0.0.1")
    assert f"{kind} 127.0.0.1" in json.dumps(document["host"]["story"])
    assert list(tmp_path.iterdir()) == []
    assert _processes_under(tmp_path) == []


def _processes_under(folder: Path) -> list[str]:
    """Command lines of the processes that name a folder or work in it."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            words = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            if str(folder) in words or str(folder) in os.readlink(process / "cwd"):
                found.append(words)
        except OSError:
            continue  # it ended while we looked
    return found


def test_a_missing_emulator_is_named_with_its_package(tmp_path: Path) -> None:
    """Before anything is begun."""
    environment = _environment(tmp_path) | {"PATH": str(tmp_path / "nothing")}
    ended = subprocess.run(
        _words("--oobm", "ipmi"), capture_output=True, text=True, timeout=_LONGEST, env=environment, check=False
    )

    assert ended.returncode == 2
    assert "apt-get install openipmi" in ended.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_power_loss_that_nobody_ordered_is_told_as_json(tmp_path: Path) -> None:
    """Standard output is one document, with the moves and the stages."""
    ended = subprocess.run(
        _words("--json", "--power-loss"), capture_output=True, text=True, timeout=_LONGEST,
        env=_environment(tmp_path), check=False,
    )  # fmt: skip

    assert ended.returncode == 0, ended.stderr
    document = json.loads(ended.stdout)
    assert [step["title"] for step in document["steps"]] == list(TITLES)
    moves = {move["vm"]: (move["from"], move["runs"]) for move in document["virtualmachines"]}
    assert moves == dict.fromkeys(VM_NAMES, ("ablecube31", 1))
    assert document["recoveryseconds"] == pytest.approx(document["stages"][-1]["seconds"])
    assert document["host"]["hastate"] == "Fenced"


@pytest.fixture
def serving(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A demo with --serve whose API is up, and all that it had said by then."""
    child = subprocess.Popen(
        _words("--serve"), stdout=subprocess.PIPE, text=True, env=_environment(tmp_path), start_new_session=True
    )
    assert child.stdout is not None
    try:
        yield child, _until(child.stdout, "cs listHosts")
    finally:
        if child.poll() is None:
            child.kill()
        child.wait()
        child.stdout.close()


def _until(stream: IO[str], words: str) -> str:
    told = ""
    for line in stream:
        told += line
        if words in line:
            return told
    raise AssertionError(f"{words!r} was never said:\n{told}")


def test_served_it_can_be_used_by_a_signed_client_and_ends_on_ctrl_c(
    serving: tuple[subprocess.Popen[str], str], tmp_path: Path
) -> None:
    """The secret is in files of mode 0600, not in what is printed; Ctrl-C ends the server and removes its data."""
    child, told = serving
    [directory] = tmp_path.iterdir()
    keys = directory / "api.toml"
    client: Client = client_from(str(keys), {})

    assert len(client.items("listHosts")) == 3
    for name in ("api.toml", "cloudstack.ini"):
        assert stat.S_IMODE((directory / name).stat().st_mode) == 0o600
    [secret] = [line.split('"')[1] for line in keys.read_text().splitlines() if line.startswith("secret_key")]
    assert secret not in told
    explained = subprocess.run(
        [sys.executable, "-m", "holdfast", "explain", VM_NAMES[0], "--credentials", str(keys)],
        capture_output=True, text=True, timeout=_LONGEST, check=False,
    )  # fmt: skip
    assert explained.returncode == 0, explained.stderr
    assert f"VM {VM_NAMES[0]}: Running on" in explained.stdout
    child.send_signal(signal.SIGINT)

    assert child.wait(_LONGEST) == 0
    assert list(tmp_path.iterdir()) == []


def test_a_demo_that_is_interrupted_leaves_nothing_behind(tmp_path: Path) -> None:
    """Neither files nor a server."""
    child = subprocess.Popen(
        _words(), stdout=subprocess.PIPE, text=True, env=_environment(tmp_path), start_new_session=True
    )
    assert child.stdout is not None
    with child.stdout:
        told = _until(child.stdout, "Step 3 of 8")
        child.send_signal(signal.SIGTERM)
        child.stdout.read()
        assert child.wait(_LONGEST) == 130

    [pid] = [words[words.index("process ") + 8 :].split(",")[0] for words in told.splitlines() if ", process " in words]
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid), 0)
    assert list(tmp_path.iterdir()) == []


def test_a_port_that_is_taken_is_told(tmp_path: Path) -> None:
    """With what to do about it, before anything is begun."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        ended = subprocess.run(
            _words("--port", str(port)), capture_output=True, text=True, timeout=_LONGEST, env=_environment(tmp_path),
            check=False,
        )  # fmt: skip

    assert ended.returncode == 2
    assert f"port {port} of 127.0.0.1 cannot be had" in ended.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_demo_in_the_background_of_a_shell_ends_on_sigint(tmp_path: Path) -> None:
    """Such shells start their jobs with SIGINT ignored; whoever sends it all the same means it."""
    child = subprocess.Popen(
        ["/bin/sh", "-c", 'trap "" INT; exec "$@"', "sh", *_words()],
        stdout=subprocess.PIPE, text=True, env=_environment(tmp_path), start_new_session=True,
    )  # fmt: skip
    assert child.stdout is not None
    with child.stdout:
        _until(child.stdout, "Step 2 of 8")
        child.send_signal(signal.SIGINT)
        child.stdout.read()
        assert child.wait(_LONGEST) == 130
    assert list(tmp_path.iterdir()) == []
