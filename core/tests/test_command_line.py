"""`holdfast`: status, one line per fault, and only the called plugin imported."""

import json
import subprocess
import sys
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

import pytest
from holdfast.__main__ import main
from holdfast.commands.config import stored_faults
from holdfast.model import ClusterDetail, Configuration

COMMANDS = """
from holdfast.errors import InvalidRequest
from holdfast.hooks.markers import hookimpl

class Hello:
    summary = "greets somebody"

    @hookimpl
    def configure(self, parser):
        parser.add_argument("who")

    @hookimpl
    def run(self, arguments):
        if arguments.who == "nobody":
            raise InvalidRequest("nobody is there:\\n password=hunter2 did not help")
        print(f"hello {arguments.who}, configured by {arguments.config}")
        return 5
"""


@pytest.fixture
def config(tmp_path: Path) -> str:
    """A file that selects nothing which might not be installed."""
    path = tmp_path / "here.toml"
    path.write_text(
        f'[server]\nname = "ms-1"\ndata_dir = "{tmp_path}/data"\nservices = ["made-up"]\n'
        '[database]\ndriver = "made-up"\n[store]\ndriver = "made-up"\n[placement]\norder = ["made-up"]\n'
    )
    return str(path)


@pytest.fixture(autouse=True)
def keep_logging(monkeypatch: pytest.MonkeyPatch) -> None:
    """The command line sets the process's logging, which here is pytest's."""
    monkeypatch.setattr("holdfast.__main__.start_logging", lambda _level: None)


def test_help_lists_own_and_installed_commands_without_importing(site: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """Plugins' commands come with the distribution that brings them."""
    module = site.install("raise OSError", {"command": {"hello": "Hello"}}, name="acme-commands", version="3.1")
    with pytest.raises(SystemExit) as caught:
        main(["--help"])
    assert caught.value.code == 0
    text = capsys.readouterr().out
    for word in ("plugins", "config", "server", "agent"):
        assert f"\n    {word} " in text
    assert "from acme-commands 3.1" in text
    assert module not in sys.modules


def test_a_plugins_command_is_found_by_name_and_run(site: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """With its own arguments, the global ones, and its own exit status."""
    site.install(COMMANDS, {"command": {"hello": "Hello"}})
    other = site.install("raise OSError", {"command": {"other": "Other"}})
    assert main(["--config", "x.toml", "hello", "world"]) == 5
    assert capsys.readouterr().out == "hello world, configured by x.toml\n"
    assert other not in sys.modules


def test_a_fault_is_one_line_on_standard_error_and_status_2(site: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """No traceback, no second line, no secret; `--debug` shows it all."""
    site.install(COMMANDS, {"command": {"hello": "Hello"}})
    assert main(["hello", "nobody"]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err == "holdfast: nobody is there: password=**** did not help\n"
    assert main(["--debug", "hello", "nobody"]) == 2
    shown = capsys.readouterr()
    assert shown.err.startswith("Traceback")
    assert "InvalidRequest: nobody is there" in shown.err
    assert "hunter2" not in shown.err


def test_a_failure_that_nobody_foresaw_is_a_traceback_without_secrets(
    site: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """With status 1, so that it is told apart from a fault of input."""
    failing = COMMANDS.replace("raise InvalidRequest(", "raise OSError(")
    site.install(failing, {"command": {"hello": "Hello"}})
    assert main(["hello", "nobody"]) == 1
    shown = capsys.readouterr().err
    assert shown.startswith("Traceback")
    assert "hunter2" not in shown


def test_a_broken_command_is_a_fault_only_when_called(site: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """One line that says what is broken."""
    site.install("import no_such_module", {"command": {"hello": "Hello"}}, name="acme-commands")
    site.install(COMMANDS, {"command": {"good": "Hello"}})
    assert main(["hello"]) == 2
    assert 'plugin command "hello" (group holdfast.command, distribution acme-commands' in capsys.readouterr().err
    assert main(["good", "x"]) == 5


def test_an_unknown_word_lists_the_words_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    """With status 2, as every fault of input."""
    for words in (["sevrer"], [], ["plugins"], ["config", "chek"]):
        with pytest.raises(SystemExit) as caught:
            main(words)
        assert caught.value.code == 2
    assert "'plugins', 'config', 'server', 'agent'" in capsys.readouterr().err


def test_plugins_list_shows_metadata_and_selection(
    site: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As a table and as JSON; nothing is imported."""
    entries = {"oobm": {"acme": "X"}, "database": {"acme": "X"}}
    module = site.install("raise OSError", entries, name="acme-bmc", version="9")
    (tmp_path / "x.toml").write_text('[database]\ndriver = "acme"\n')
    assert main(["plugins", "list", "--json", "--config", f"{tmp_path}/x.toml"]) == 0
    rows = {(row["point"], row["name"]): row for row in json.loads(capsys.readouterr().out)}
    origin = {"distribution": "acme-bmc", "version": "9"}
    assert rows["oobm", "acme"] == {"point": "oobm", "name": "acme", **origin, "selected": None}
    assert rows["database", "acme"] == {"point": "database", "name": "acme", **origin, "selected": True}
    assert main(["--config", f"{tmp_path}/x.toml", "plugins", "list"]) == 0
    lines = [line.split(maxsplit=4) for line in capsys.readouterr().out.splitlines()]
    assert ["POINT", "NAME", "DISTRIBUTION", "VERSION", "SELECTED"] in lines
    assert ["oobm", "acme", "acme-bmc", "9", "per host"] in lines
    assert ["database", "acme", "acme-bmc", "9", "yes"] in lines
    assert module not in sys.modules


def test_plugins_list_works_with_a_broken_configuration(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """That is when it is needed; what is selected is then not known."""
    (tmp_path / "x.toml").write_text("[server\n")
    assert main(["plugins", "list", "--config", f"{tmp_path}/x.toml"]) == 0
    shown = capsys.readouterr()
    assert "not valid TOML" in shown.err
    assert shown.out.splitlines()[1].endswith("?")


def test_plugins_check_names_each_broken_one(
    site: Any, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, config: str
) -> None:
    """One line each with the cause, and status 1."""
    only_made_up(monkeypatch, site)
    site.install(COMMANDS, {"command": {"good": "Hello", "server": "Hello"}}, name="acme-good")
    site.install("import no_such_module", {"oobm": {"bad": "X"}}, name="acme-bad", version="2")
    site.install(COMMANDS, {"notifier": {"odd": "Hello", "twice": "Hello"}}, name="acme-odd")
    site.install(COMMANDS, {"notifier": {"twice": "Hello"}}, name="acme-twice")
    assert main(["plugins", "check", "--config", config]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "ok     command good (acme-good 1.0)"
    assert (
        lines[1]
        == "BROKEN command server (acme-good 1.0): the word server belongs to core; the plugin must choose another"
    )
    assert lines[2].startswith("BROKEN notifier odd (acme-odd 1.0): method configure is not one of Notifier")
    assert [line for line in lines if "notifier twice" in line and "claimed 2 times" in line] == lines[3:5]
    assert (
        lines[5]
        == "BROKEN oobm bad (acme-bad 2): cannot be imported: ModuleNotFoundError: No module named 'no_such_module'"
    )
    assert lines[6:] == ["6 checked, 5 broken"]
    assert main(["plugins", "check", "--json", "--config", config]) == 1
    assert [row["cause"] == "" for row in json.loads(capsys.readouterr().out)] == [True, *[False] * 5]


def test_plugins_check_is_content_when_all_is_well(
    site: Any, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, config: str
) -> None:
    """Status 0."""
    only_made_up(monkeypatch, site)
    site.install(COMMANDS, {"command": {"good": "Hello"}})
    assert main(["plugins", "check", "--config", config]) == 0
    assert capsys.readouterr().out.endswith("1 checked, 0 broken\n")


def test_plugins_check_verifies_settings_of_what_is_selected(
    site: Any, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Without constructing the driver."""
    only_made_up(monkeypatch, site)
    site.install(NOTIFIER, {"notifier": {"n": "Notifier"}})
    (tmp_path / "x.toml").write_text('[notifier]\nenabled = ["n"]\n')
    assert main(["plugins", "check", "--config", f"{tmp_path}/x.toml"]) == 1
    assert "x.toml: notifier.n.url is missing; give text" in capsys.readouterr().out


NOTIFIER = """
from holdfast.hooks.markers import hookimpl
from holdfast.model import Secret
from holdfast.options import Option

class Notifier:
    SETTINGS = {"url": Option(Secret), "retries": Option(int, 3)}

    def __init__(self, settings):
        raise OSError("constructed")

    @hookimpl
    def notify(self, notice): pass
"""


def only_made_up(monkeypatch: pytest.MonkeyPatch, site: Any) -> None:
    """Hide what else is installed here, so that the test counts its own plugins alone."""
    monkeypatch.setattr("holdfast.discovery.distributions", lambda: distributions(path=[str(site.path)]))


def test_config_check_shows_every_value_and_its_origin(
    site: Any, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Secrets hidden; nothing is made, and only the database driver is constructed: it may read a file of its own."""
    site.install(NOTIFIER + PARTS, ALL)
    path = tmp_path / "x.toml"
    path.write_text(
        f'[server]\ndata_dir = "{tmp_path}/data"\nservices = ["p"]\n[database]\ndriver = "p"\n[store]\ndriver = "p"\n'
        '[coordinator]\ndriver = "p"\n[placement]\norder = ["p"]\n'
        '[notifier]\nenabled = ["p"]\n[notifier.p]\nurl = "http://hunter2"\n'
    )
    assert main(["config", "check", "--json", "--config", str(path)]) == 0
    rows = {row["key"]: (row["value"], row["from"]) for row in json.loads(capsys.readouterr().out)["values"]}
    assert rows["server.data_dir"] == (f"'{tmp_path}/data'", str(path))
    assert rows["server.log_level"] == ("'info'", "default")
    assert rows["database.driver"] == ("'p'", str(path))
    assert rows["oobm.enabled"] == ("'any installed'", "default")
    assert rows["notifier.p.url"] == ("(hidden)", str(path))
    assert rows["notifier.p.retries"] == ("3", "default")
    assert main(["config", "check", "--config", str(path)]) == 0
    text = capsys.readouterr().out
    assert text.startswith(f"configuration: {path} (given by --config)\n")
    assert text.endswith("no faults found\n")
    assert "hunter2" not in text
    assert not (tmp_path / "data").exists()


PARTS = "".join(
    f"\nclass {name}:\n"
    + ("    def __init__(self, settings): pass\n" if name == "Database" else "")
    + "".join(f"    @hookimpl\n    {kind}def {method}(self): pass\n" for method in methods.split())
    for name, kind, methods in (
        ("Database", "", "engine describe close"),
        ("Store", "", "get select count commit migrate close bind"),
        ("Coordinator", "", "join renew leave members claim release"),
        ("Placement", "", "refuse score"),
        ("Service", "async ", "start wait stop"),
    )
)
ALL = {
    point: {"p": point.title()} for point in ("database", "store", "coordinator", "placement", "service", "notifier")
}


def test_config_check_fails_on_a_broken_selection(config: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Status 2 and the line that names the key."""
    assert main(["config", "check", "--config", config]) == 2
    assert "here.toml: " in capsys.readouterr().err


class _Rows:
    """A store with a few settings."""

    def __init__(self, **rows: Any) -> None:
        self.rows = rows

    def select(self, record: type, _query: object) -> Any:
        return self.rows.get(record.__name__, [])


def test_stored_settings_that_contradict_are_named_with_the_inequality() -> None:
    """Globally, in a cluster, and those that cannot be read."""
    stale, beat = "ha.storage.beat.stale", "ha.storage.beat.interval"
    store: Any = _Rows(
        Configuration=[Configuration(name=beat, value="soon")],
        ClusterDetail=[ClusterDetail(id=1, cluster_id=4, name=stale, value="1")],
    )
    assert stored_faults(_Rows()) == []  # type: ignore[arg-type]
    unreadable, *contradictions = stored_faults(store)
    assert beat in unreadable
    assert "soon" in unreadable
    assert all("does not hold" in text for text in contradictions)


def test_agent_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, site: Any, config: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """On a machine without the agent's distribution."""
    only_made_up(monkeypatch, site)
    assert main(["agent", "--config", config]) == 2
    assert "install holdfast-agent" in capsys.readouterr().err


EXTENSION = """
from holdfast.hooks.markers import hookimpl

class More:
    @hookimpl
    def configure(self, parser):
        parser.add_subparsers(dest="more").add_parser("greet")

    @hookimpl
    def run(self, arguments):
        print(f"greeting, configured by {arguments.config}")
        return 7
"""


def test_a_plugin_may_add_words_to_a_command_of_core(
    monkeypatch: pytest.MonkeyPatch, site: Any, config: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """With one of its words the plugin runs; without, core's own command does what it always did."""
    only_made_up(monkeypatch, site)
    site.install(EXTENSION, {"command": {"agent": "More"}})
    assert main(["--config", config, "agent", "greet"]) == 7
    assert f"configured by {config}" in capsys.readouterr().out
    assert main(["agent", "--config", config]) == 2
    assert "install holdfast-agent" in capsys.readouterr().err


def test_the_module_runs_as_a_program() -> None:
    """`python -m holdfast`, and a reader that goes away early."""
    command = [sys.executable, "-m", "holdfast"]
    done = subprocess.run([*command, "--version"], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("holdfast ")
    done = subprocess.run([*command, "server", "--config", "/absent"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "/absent (given by --config) cannot be read" in done.stderr


@pytest.mark.parametrize(
    ("end", "status", "said"),
    [
        (">/dev/full", 1, "holdfast: the output could not be written: No space left on device\n"),
        (">&-", 0, ""),
        (">&- 2>&-", 0, ""),
    ],
)
def test_output_that_nobody_takes_is_no_failure_of_ours(end: str, status: int, said: str) -> None:
    """A full disk is told in one line; closed streams swallow what is said."""
    line = f"{sys.executable} -m holdfast plugins list {end}"
    done = subprocess.run(["sh", "-c", line], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (status, said)
