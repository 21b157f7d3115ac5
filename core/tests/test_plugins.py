"""The hub: lazy, cached, thread-safe, and configured."""

import builtins
import sys
import textwrap
import threading
from pathlib import Path
from typing import Any

import pytest
from holdfast.adapter import unwrap
from holdfast.config import from_document
from holdfast.errors import ConfigurationError, PluginError
from holdfast.model import Secret
from holdfast.plugins import Plugins

OOBM = """
import threading
from pathlib import Path
from holdfast.hooks.markers import hookimpl
from holdfast.model import Secret
from holdfast.options import Option

made = []
gate = threading.Event()

class Oobm:
    def __init__(self, settings):
        gate.wait(0.05)
        made.append(settings)
        self.settings = settings

    @hookimpl
    def power_state(self): return "off"

    @hookimpl
    def power_action(self): return "done"

class Declared(Oobm):
    SETTINGS = {
        "port": Option(int, 623, low=1, high=65535),
        "cipher": Option(str, "17", choices=("3", "17")),
        "cache": Option(Path, Path("bmc.cache")),
        "password": Option(Secret, Secret("")),
    }
"""
ENTRIES = {"oobm": {"acme": "Oobm", "acmetool": "Oobm", "declared": "Declared"}}


def test_a_driver_is_made_once_however_many_ask(site: Any) -> None:
    """Sixteen threads at the same moment get the same object, constructed once."""
    module = site.install(OOBM, ENTRIES)
    plugins = Plugins()
    barrier = threading.Barrier(16)
    found: list[object] = []

    def ask() -> None:
        barrier.wait(30)
        found.append(plugins.driver("oobm", "acme"))

    threads = [threading.Thread(target=ask) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(found) == 16
    assert len(set(map(id, found))) == 1
    assert len(sys.modules[module].made) == 1


def test_nothing_is_imported_before_it_is_asked_for(site: Any) -> None:
    """Names, presence and selection come from metadata and configuration."""
    module = site.install(OOBM, ENTRIES)
    plugins = Plugins(from_document({"oobm": {"enabled": ["acme"]}}))
    assert set(ENTRIES["oobm"]) <= set(plugins.names("oobm"))
    assert plugins.has("oobm", "acme")
    assert not plugins.has("oobm", "absent")
    assert plugins.selected("oobm") == ("acme",)
    assert module not in sys.modules
    plugins.driver("oobm", "acme")
    assert module in sys.modules


def test_an_alias_has_its_own_table(site: Any) -> None:
    """Two names of one class are two drivers with two settings tables."""
    site.install(OOBM, ENTRIES)
    document = {"oobm": {"acme": {"port": 1}, "acmetool": {"port": 2}}}
    plugins = Plugins(from_document(document))
    assert unwrap(plugins.driver("oobm", "acme")).settings["port"] == 1
    assert unwrap(plugins.driver("oobm", "acmetool")).settings["port"] == 2


def test_declared_options_arrive_typed_and_complete(site: Any, tmp_path: Path) -> None:
    """Defaults are filled in, paths lie under the data directory, passwords are secrets."""
    site.install(OOBM, ENTRIES)
    document = {"server": {"data_dir": str(tmp_path)}, "oobm": {"declared": {"cipher": "3", "password": "x"}}}
    settings = unwrap(Plugins(from_document(document)).driver("oobm", "declared")).settings
    assert settings == {"port": 623, "cipher": "3", "cache": tmp_path / "bmc.cache", "password": Secret("x")}


def test_what_the_server_table_says_is_handed_on(site: Any, tmp_path: Path) -> None:
    """`data_dir` to whoever declares nothing, and to options of that name, unless their own table differs."""
    taking = """
    class Taking(Oobm):
        SETTINGS = {"data_dir": Option(Path), "key_file": Option(Path)}
    """
    site.install(OOBM + textwrap.dedent(taking), {"oobm": {"plain": "Oobm", "one": "Taking", "two": "Taking"}})
    document = {"server": {"data_dir": str(tmp_path)}, "oobm": {"plain": {"a": 1}, "two": {"key_file": "/k"}}}
    plugins = Plugins(from_document(document))
    assert plugins.settings("oobm", "plain") == {"data_dir": tmp_path, "a": 1}
    assert plugins.settings("oobm", "one") == {"data_dir": tmp_path, "key_file": tmp_path / "secret.key"}
    assert plugins.settings("oobm", "two") == {"data_dir": tmp_path, "key_file": Path("/k")}


def test_drivers_come_in_the_order_of_the_configuration(site: Any) -> None:
    """Placement asks filters in that order."""
    site.install(OOBM, ENTRIES)
    plugins = Plugins(from_document({"oobm": {"enabled": ["declared", "acme"]}}))
    assert plugins.drivers("oobm") == (plugins.driver("oobm", "declared"), plugins.driver("oobm", "acme"))


def test_a_point_without_a_choice_says_so() -> None:
    """Asking for the drivers of a point that hosts choose from, or for the one of several."""
    plugins = Plugins(from_document({}, "here.toml"))
    with pytest.raises(ConfigurationError, match=r"here\.toml: oobm\.enabled is not set"):
        plugins.drivers("oobm")
    with pytest.raises(PluginError, match="placement has no single choice"):
        plugins.driver("placement")


def test_an_unknown_point_names_the_points_there_are() -> None:
    """A misspelt point in code is found at once."""
    with pytest.raises(PluginError, match=r'no extension point "obm"; there are: provider, oobm'):
        Plugins().driver("obm", "x")


def test_a_failure_stays_a_failure(site: Any) -> None:
    """A broken module is not imported again at every poll."""
    site.install(
        "import builtins\nbuiltins.tries = getattr(builtins, 'tries', 0) + 1\nraise OSError", {"oobm": {"bad": "X"}}
    )
    plugins = Plugins()
    errors = []
    for _ in range(3):
        with pytest.raises(PluginError) as caught:
            plugins.driver("oobm", "bad")
        errors.append(str(caught.value))
    assert len(set(errors)) == 1
    assert vars(builtins).pop("tries") == 1


def test_a_command_is_constructed_without_settings(site: Any) -> None:
    """It belongs to the caller's machine, not to the configuration."""
    site.install(
        """
        from holdfast.hooks.markers import hookimpl

        class Hello:
            summary = "says hello"

            @hookimpl
            def configure(self, parser): pass

            @hookimpl
            def run(self): return 7
        """,
        {"command": {"hello": "Hello"}},
    )
    command = Plugins().driver("command", "hello")
    assert (command.summary, command.run(None)) == ("says hello", 7)
