"""`holdfast api` shows answers as tables or JSON, waits for jobs, and fails with one line."""

import io
import json
from typing import Any

import pytest
from holdfast.__main__ import main


def test_a_list_is_a_table(environment: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """With the columns that matter for hosts, nested ones included."""
    host = {"name": "ablecube31", "state": "Up", "id": "h1", "hostha": {"hastate": "Available"}}
    environment.says("listHosts", {"count": 1, "host": [host]})

    assert main(["api", "listHosts", "state=Up"]) == 0
    heading, line = capsys.readouterr().out.splitlines()
    assert heading.split() == ["NAME", "STATE", "HASTATE", "ID"]
    assert line.split() == ["ablecube31", "Up", "Available", "h1"]
    assert environment.asked[0]["state"] == "Up"


def test_json_is_the_answer_as_it_is(environment: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """For programs."""
    environment.says("listZones", {"count": 1, "zone": [{"id": "z"}]})

    assert main(["api", "--json", "listZones"]) == 0
    assert json.loads(capsys.readouterr().out) == {"count": 1, "zone": [{"id": "z"}]}


def test_a_job_is_awaited(environment: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """Its result is shown, not its id."""
    environment.says("stopVirtualMachine", {"jobid": "j"})
    environment.says("queryAsyncJobResult", {"jobstatus": 1, "jobresult": {"virtualmachine": {"state": "Stopped"}}})

    assert main(["api", "stopVirtualMachine", "id=v"]) == 0
    assert capsys.readouterr().out.split() == ["state", "Stopped"]


def test_a_job_need_not_be_awaited(environment: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """--no-wait shows the id."""
    environment.says("stopVirtualMachine", {"jobid": "j"})

    assert main(["api", "stopVirtualMachine", "id=v", "--no-wait"]) == 0
    assert capsys.readouterr().out.split() == ["jobid", "j"]


def test_a_query_about_a_job_is_not_awaited(environment: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """Although its answer has a jobid."""
    environment.says("queryAsyncJobResult", {"jobid": "j", "jobstatus": 0})

    assert main(["api", "queryAsyncJobResult", "jobid=j"]) == 0
    assert len(environment.asked) == 1


def test_a_refusal_is_one_line_and_status_1(environment: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """With the API's words and code."""
    environment.says("createZone", {"errorcode": 431, "errortext": "parameter name\nis missing"}, status=431)

    assert main(["api", "createZone"]) == 1
    assert capsys.readouterr().err == "holdfast: parameter name is missing (error 431)\n"


def test_a_word_without_an_equals_sign_is_refused(environment: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """Before anything is sent."""
    assert main(["api", "listHosts", "Up"]) == 2
    assert "write NAME=VALUE" in capsys.readouterr().err
    assert environment.asked == []


def test_a_secret_value_comes_from_a_file(environment: Any, tmp_path: Any) -> None:
    """A BMC's password has no place on a command line."""
    (tmp_path / "bmc").write_text("s3cret\n")
    environment.says("configureOutOfBandManagement", {"outofbandmanagement": {}})

    main(["api", "configureOutOfBandManagement", f"password=@{tmp_path / 'bmc'}", "username=@@admin"])

    assert environment.asked[0]["password"] == "s3cret"
    assert environment.asked[0]["username"] == "@admin"


def test_a_secret_value_comes_from_standard_input(environment: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """One line of it."""
    monkeypatch.setattr("sys.stdin", io.StringIO("s3cret\nmore\n"))
    environment.says("configureOutOfBandManagement", {"outofbandmanagement": {}})

    main(["api", "configureOutOfBandManagement", "password=@-"])

    assert environment.asked[0]["password"] == "s3cret"


def test_control_characters_of_answers_do_not_reach_the_terminal(
    environment: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """A VM's name is its owner's to choose."""
    environment.says("listZones", {"count": 1, "zone": [{"name": "a\x1b[2Jb", "id": "z"}]})

    main(["api", "listZones"])

    assert "\x1b" not in capsys.readouterr().out


@pytest.mark.parametrize(
    "words",
    [["api", "--timeout", "-1", "x"], ["api", "--timeout", "nan", "x"], ["explain", " "], ["demo", "--port", "70000"]],
)
def test_values_that_mean_nothing_are_refused_in_one_line(
    environment: Any, capsys: pytest.CaptureFixture[str], words: list[str]
) -> None:
    """Before anything is begun."""
    assert main(words) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1
    assert environment.asked == []


def test_whoever_breaks_off_the_wait_is_told_that_the_job_goes_on(
    environment: Any, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C ends the program, not the order."""
    environment.says("stopVirtualMachine", {"jobid": "j-1"})
    environment.says("queryAsyncJobResult", {"jobstatus": 0})

    def interrupted(_seconds: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("holdfast_cli.client.time.sleep", interrupted)
    assert main(["api", "stopVirtualMachine", "id=v"]) == 130
    assert capsys.readouterr().err == "holdfast: job j-1 goes on; queryAsyncJobResult shows what comes of it\n"
