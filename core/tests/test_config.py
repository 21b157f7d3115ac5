"""The configuration file: found, read, checked key by key, and explained."""

from pathlib import Path
from typing import Any

import pytest
from holdfast import config as config_module
from holdfast.config import Config, default_data_dir, find_file, from_document, load_config
from holdfast.config_layout import CHOICES, PROCESS
from holdfast.discovery import discover
from holdfast.errors import ConfigurationError
from hypothesis import given
from hypothesis import strategies as st

EXAMPLE = Path(__file__).parents[2] / "contrib" / "examples" / "holdfast.toml"


def write(folder: Path, text: str) -> Path:
    """A configuration file."""
    path = folder / "here.toml"
    path.write_text(text, encoding="utf-8")
    return path


def load(folder: Path, text: str) -> Config:
    """The configuration that a text says."""
    return load_config(write(folder, text))


@pytest.fixture
def no_system_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """As on a machine on which nothing is configured."""
    monkeypatch.setattr(config_module, "SYSTEM_FILE", tmp_path / "etc" / "holdfast.toml")


@pytest.mark.usefixtures("no_system_file")
def test_without_any_file_the_embedded_default_applies() -> None:
    """One process, SQLite, manager and API, and every notice in the log."""
    config = load_config(environ={})
    assert config.source == "(built-in defaults)"
    assert {point: config.selected(point) for point in ("service", *CHOICES)} == {
        "service": ("agents", "manager", "api"), "database": ("sqlite",), "store": ("sql",), "coordinator": ("local",),
        "placement": ("scope", "dedicated", "capacity", "anti-affinity", "spread"), "notifier": ("log",),
        "provider": None, "oobm": None, "heartbeat": None, "hypervisor": None,
    }  # fmt: skip
    assert config.server.name
    assert config.server.data_dir == default_data_dir()
    assert config.server.key_file == default_data_dir() / "secret.key"


@pytest.mark.usefixtures("no_system_file")
def test_the_file_is_the_one_given_else_named_else_the_systems(tmp_path: Path) -> None:
    """In this order; an empty variable names nothing."""
    environ = {"HOLDFAST_CONFIG": "/named.toml"}
    assert find_file("/given.toml", environ) == (Path("/given.toml"), "given by --config")
    assert find_file(None, environ) == (Path("/named.toml"), "named by HOLDFAST_CONFIG")
    assert find_file(None, {"HOLDFAST_CONFIG": ""})[0] is None
    config_module.SYSTEM_FILE.parent.mkdir()
    config_module.SYSTEM_FILE.write_text('[server]\nname = "from-etc"\n')
    assert load_config(environ={}).server.name == "from-etc"


def test_the_example_says_the_defaults() -> None:
    """The documented file loads, and holds every default; so it can be trusted as a reference."""
    example, default = load_config(EXAMPLE), from_document({})
    assert example.selection == default.selection
    assert default.selected("oobm") is None
    for key in PROCESS:
        assert f"server.{key}" in example.written
        if key not in ("name", "data_dir", "key_file"):
            assert getattr(example.server, key) == getattr(default.server, key)
    assert example.server.name == default.server.name
    assert example.server.data_dir == Path("/var/lib/holdfast")


def test_the_data_directory_is_the_users_own_unless_root(monkeypatch: pytest.MonkeyPatch) -> None:
    """Root has the system's; others follow XDG where it is set."""
    monkeypatch.setattr("os.geteuid", lambda: 0)
    assert default_data_dir() == Path("/var/lib/holdfast")
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    monkeypatch.setenv("HOME", "/home/u")
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    assert default_data_dir() == Path("/home/u/.local/share/holdfast")
    monkeypatch.setenv("XDG_DATA_HOME", "/x")
    assert default_data_dir() == Path("/x/holdfast")


def test_relative_paths_lie_under_the_data_directory(tmp_path: Path) -> None:
    """Absolute ones stay."""
    server = load(tmp_path, f'[server]\ndata_dir = "{tmp_path}/d"\nkey_file = "keys/k"\n').server
    assert (server.data_dir, server.key_file) == (tmp_path / "d", tmp_path / "d/keys/k")


def test_plugins_tables_are_kept_as_written(tmp_path: Path, site: Any) -> None:
    """Services by their own name, drivers by point and name; what is not there is empty."""
    site.install("", {"oobm": {"acme": "X"}})
    config = load(tmp_path, "[api]\nport = 8080\n[oobm.acme]\nretries = 3\n")
    assert config.table("service", "api") == {"port": 8080}
    assert config.table("oobm", "acme") == {"retries": 3}
    assert config.table("oobm", "other") == {}
    assert config.place("oobm", "acme") == f"{tmp_path}/here.toml: oobm.acme"
    assert config.place("service", "api") == f"{tmp_path}/here.toml: api"
    assert "retries" not in repr(config)


def test_a_service_that_is_not_installed_here_may_have_its_table(tmp_path: Path) -> None:
    """One file may serve machines with different parts."""
    assert load(tmp_path, "[agent]\nx = 1\n").table("service", "agent") == {"x": 1}


BAD = {
    "bad TOML": ("[server\n", r"here\.toml is not valid TOML: .*line 1"),
    "unknown table": (
        "[databse]\n",
        r'here\.toml: \[databse\] is not a known table; did you mean "database"\?.*server, ',
    ),
    "unknown key": ("[server]\nnam = 'x'\n", r'here\.toml: server\.nam is not a known key; did you mean "name"\?'),
    "key outside a table": ("name = 'x'\n", r"here\.toml: name is text; allowed is a table, as in \[name\]"),
    "wrong type": ("[server]\nservices = 'api'\n", r"server\.services is text \('api'\); allowed is a list of texts"),
    "wrong type of name": ("[database]\ndriver = 5\n", r"database\.driver is a whole number \(5\); allowed is text"),
    "no service": ("[server]\nservices = []\n", r"server\.services is \[\]; at least one name is needed"),
    "service twice": ("[server]\nservices = ['api', 'api']\n", r"server\.services .* api stands there more than once"),
    "no placement": ("[placement]\norder = []\n", r"placement\.order is \[\]; at least one"),
    "placement twice": ("[placement]\norder = ['a', 'b', 'a']\n", r"placement\.order .*a stands there more than once"),
    "bad name": ("[server]\nname = 'a b'\n", r"server\.name is 'a b'; allowed are letters, digits"),
    "bad level": (
        "[server]\nlog_level = 'warn'\n",
        r'log_level is \'warn\'; allowed is one of .*; did you mean "warning"',
    ),
    "bad policy": (
        "[server]\non_plugin_error = 'ignore'\n",
        r"on_plugin_error is 'ignore'; allowed is one of refuse, mark",
    ),
    "unknown choice key": ("[database]\ndrivr = 'x'\n", r'database\.drivr is not a known key; did you mean "driver"\?'),
    "unknown driver's table": (
        "[database.sqlit]\nx = 1\n",
        r'database\.sqlit is a table for a plugin \'sqlit\', which is not installed; did you mean "sqlite"\?',
    ),
    "wrong choice key": ("[placement]\nenabled = ['x']\n", r"placement\.enabled is not a known key.*Known: order"),
    "settings in place of tables": ("[coordinator]\nlocal = 'x'\n", r"coordinator\.local is not a known key"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_refused_with_file_key_found_and_allowed(case: str, tmp_path: Path) -> None:
    """And the nearest known name where one is near."""
    text, complaint = BAD[case]
    with pytest.raises(ConfigurationError, match=complaint) as caught:
        load(tmp_path, text)
    assert str(tmp_path / "here.toml") in str(caught.value)


def test_a_file_that_cannot_be_read_says_who_named_it(tmp_path: Path) -> None:
    """Missing, a directory, and not text."""
    with pytest.raises(ConfigurationError, match=r"absent\.toml \(given by --config\) cannot be read: No such file"):
        load_config(tmp_path / "absent.toml")
    with pytest.raises(ConfigurationError, match=r"\(named by HOLDFAST_CONFIG\) cannot be read: Is a directory"):
        load_config(environ={"HOLDFAST_CONFIG": str(tmp_path)})
    (tmp_path / "x.toml").write_bytes(b"[server]\nname = '\xff'\n")
    with pytest.raises(ConfigurationError, match=r"x\.toml is not UTF-8 text"):
        load_config(tmp_path / "x.toml")


CATALOGUE = discover()
VALUES = st.recursive(
    st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
TABLES = st.sampled_from(["server", "api", *CHOICES]) | st.text(max_size=8)
KEYS = st.sampled_from([*PROCESS, "driver", "order", "enabled", "sqlite", "local"]) | st.text(max_size=8)


@given(st.dictionaries(TABLES, VALUES | st.dictionaries(KEYS, VALUES, max_size=4), max_size=4))
def test_any_document_is_accepted_whole_or_refused_by_name(document: dict[str, Any]) -> None:
    """Never another error, whatever stands in the file."""
    try:
        config = from_document(document, "any.toml", CATALOGUE)
    except ConfigurationError as error:
        assert str(error).startswith("any.toml: ")  # noqa: PT017 - both ends are allowed, each has its own fact
    else:
        assert set(document) <= {
            "server",
            *CHOICES,
            *CATALOGUE.names("service"),
            "agents",
            "manager",
            "api",
            "webui",
            "agent",
        }
        assert config.server.services
