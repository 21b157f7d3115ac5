"""A process is put together in order, runs until told, and is taken apart in reverse."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from holdfast.config import Config, from_document
from holdfast.errors import ConfigurationError, PluginError
from holdfast.plugins import Plugins
from holdfast.server import assembled, run, serve, standalone

PARTS = """
import asyncio
from holdfast.errors import ConfigurationError
from holdfast.hooks.markers import hookimpl
from holdfast.options import Option

said = []

def say(word):
    said.append(word)
    print(word, flush=True)

class Database:
    def __init__(self, settings): say("database made")
    @hookimpl
    def engine(self): return None
    @hookimpl
    def describe(self): return "a made-up database"
    @hookimpl
    def close(self): say("database closed")

class Store:
    SETTINGS = {"fail": Option(bool, False)}
    def __init__(self, settings): self.fail = settings["fail"]
    @hookimpl
    def get(self): return None
    @hookimpl
    def select(self): return []
    @hookimpl
    def count(self): return 0
    @hookimpl
    def commit(self): return ()
    @hookimpl
    def bind(self, database): say(f"bound to {database.describe()}")
    @hookimpl
    def migrate(self):
        if self.fail:
            raise ConfigurationError("the schema is newer than the program")
        say("migrated")
    @hookimpl
    def close(self): say("store closed")

class Calm:
    name = "calm"
    SETTINGS = {}
    def __init__(self, settings): self.settings = settings
    @hookimpl
    async def start(self, context):
        say(f"{self.name} starts as {context.name} with {dict(context.settings)}")
        context.live[self.name] = self
        context.bell.ring(self.name)
    @hookimpl
    async def wait(self): await asyncio.Event().wait()
    @hookimpl
    async def stop(self): say(f"{self.name} stops")

class Brief(Calm):
    name = "brief"
    @hookimpl
    async def wait(self): pass

class Failing(Calm):
    name = "failing"
    @hookimpl
    async def wait(self): raise OSError("the socket went away")

class Refusing(Calm):
    name = "refusing"
    @hookimpl
    async def start(self, context): raise ConfigurationError("port 80 is taken")

class Slow(Calm):
    name = "slow"
    @hookimpl
    async def start(self, context):
        say("slow is starting")
        await asyncio.Event().wait()

class BadStop(Calm):
    name = "badstop"
    @hookimpl
    async def stop(self): raise OSError("cannot stop")

class HangingStop(Calm):
    name = "hangingstop"
    @hookimpl
    async def stop(self): await asyncio.Event().wait()

class Looking(Calm):
    name = "looking"
    @hookimpl
    async def start(self, context): context.store.get(None, 1)
"""
SERVICES = ("Calm", "Brief", "Failing", "Refusing", "Slow", "BadStop", "HangingStop", "Looking")
ENTRIES = {
    "database": {"made-up": "Database"},
    "store": {"made-up": "Store"},
    "service": {name.lower(): name for name in SERVICES},
}

Made = Callable[..., tuple[Config, list[str]]]


@pytest.fixture
def made(site: Any, tmp_path: Path) -> Made:
    """Makes a configuration of made-up parts, and gives what they say in the order in which they say it."""
    module = site.install(PARTS, ENTRIES)

    def make(*services: str, **store: Any) -> tuple[Config, list[str]]:
        document = {
            "server": {"name": "ms-1", "data_dir": str(tmp_path / "data"), "services": list(services)},
            "database": {"driver": "made-up"},
            "store": {"driver": "made-up", "made-up": store},
            "placement": {"order": ["spread"]},
            "notifier": {"enabled": []},
        }
        config = from_document(document, "here.toml")
        plugins = Plugins(config)
        plugins.driver_class("store", "made-up")
        said: list[str] = sys.modules[module].said
        said.clear()
        return config, said

    return make


def without_placement(config: Config) -> Plugins:
    """The hub, with the one point left out that other distributions fill."""
    selection = {point: names for point, names in config.selection.items() if point != "placement"}
    return Plugins(Config(config.source, config.server, selection, config.tables))


def start(config: Config) -> int:
    """Put together, run, take apart."""
    with assembled(config, without_placement(config)) as parts:
        return run(parts, config.server.services)


def test_parts_start_in_order_and_stop_in_reverse(made: Made) -> None:
    """When one service ends by itself, all are stopped and the parts closed."""
    config, said = made("calm", "brief")
    assert start(config) == 0
    assert said == [
        "database made", "bound to a made-up database", "migrated", "calm starts as ms-1 with {}",
        "brief starts as ms-1 with {}", "brief stops", "calm stops", "store closed", "database closed",
    ]  # fmt: skip
    assert config.server.data_dir.stat().st_mode & 0o777 == 0o700


def test_a_service_that_fails_ends_the_process_with_its_error(made: Made) -> None:
    """The others are stopped all the same."""
    config, said = made("calm", "failing")
    with pytest.raises(OSError, match="the socket went away"):
        start(config)
    assert said[-4:] == ["failing stops", "calm stops", "store closed", "database closed"]


def test_a_service_that_cannot_start_stops_those_before_it(made: Made) -> None:
    """And what comes after it is not started."""
    config, said = made("calm", "refusing", "brief")
    with pytest.raises(ConfigurationError, match="port 80 is taken"):
        start(config)
    assert said[3:] == [
        "calm starts as ms-1 with {}", "refusing stops", "calm stops", "store closed", "database closed",
    ]  # fmt: skip


def test_a_store_that_refuses_leaves_nothing_running(made: Made) -> None:
    """No service is started; what was opened is closed."""
    config, said = made("calm", fail=True)
    with pytest.raises(ConfigurationError, match="newer than the program"):
        start(config)
    assert said == ["database made", "bound to a made-up database", "store closed", "database closed"]


def test_a_stop_that_fails_does_not_keep_the_others_from_stopping(
    made: Made, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither one that raises nor one that hangs."""
    monkeypatch.setattr("holdfast.server.STOP_SECONDS", 0.05)
    config, said = made("calm", "badstop", "hangingstop", "brief")
    assert start(config) == 0
    assert said[-3:] == ["calm stops", "store closed", "database closed"]
    assert "service badstop failed to stop" in caplog.text
    assert "service hangingstop did not stop within 0.05 s" in caplog.text


def test_a_broken_selection_changes_nothing(made: Made, tmp_path: Path) -> None:
    """Everything is verified before the data directory is made or any part constructed."""
    config, said = made("calm", "absent")
    with pytest.raises(PluginError, match=r'here\.toml: server\.services: plugin service "absent"'):
        start(config)
    assert said == []
    assert not (tmp_path / "data").exists()


def test_a_data_directory_that_cannot_be_made_is_refused(made: Made, tmp_path: Path) -> None:
    """With the key to change."""
    config, _said = made("calm")
    (tmp_path / "data").write_text("a file")
    with pytest.raises(ConfigurationError, match=r"server\.data_dir .*data cannot be made: File exists"):
        start(config)


def test_a_process_without_store_says_so_when_asked_for_it(made: Made) -> None:
    """An agent that reaches for the store is a mistake, told in words."""
    config, _said = made("looking")
    with (
        standalone(config, without_placement(config)) as parts,
        pytest.raises(ConfigurationError, match="this process has no store"),
    ):
        run(parts, ("looking",))


def test_services_of_a_process_share_board_and_bell(made: Made) -> None:
    """What one leaves the next finds."""
    config, _said = made("calm", "brief")
    with assembled(config, without_placement(config)) as parts:
        one, two = parts.context("calm"), parts.context("brief")
        assert one.live is two.live
        assert one.bell is two.bell

        async def ring() -> bool:
            with two.bell.subscribe("jobs") as jobs:
                one.bell.ring("jobs")
                return bool(await jobs.wait(30))

        assert asyncio.run(ring())


def test_an_embedded_server_runs_in_any_thread_until_it_is_told(made: Made) -> None:
    """With a stop event of the embedding program's in place of signals."""
    config, said = made("calm")

    async def until_started() -> int:
        stop = asyncio.Event()
        with parts.bell.subscribe("calm") as started:
            serving = asyncio.create_task(serve(parts, ("calm",), stop))
            assert await started.wait(60)
        stop.set()
        return await serving

    with assembled(config, without_placement(config)) as parts, ThreadPoolExecutor(1) as pool:
        assert pool.submit(asyncio.run, until_started()).result(60) == 0
    assert said[-3:] == ["calm stops", "store closed", "database closed"]


RUNNER = """
import sys
from holdfast.__main__ import main
sys.exit(main(["--config", sys.argv[1], "server"]))
"""


@pytest.mark.parametrize(
    ("services", "until", "number", "last"),
    [
        (["calm"], "calm starts", signal.SIGTERM, ["calm stops", "store closed", "database closed"]),
        (["calm"], "calm starts", signal.SIGINT, ["calm stops", "store closed", "database closed"]),
        (["calm", "slow"], "slow is", signal.SIGTERM, ["slow stops", "calm stops", "store closed", "database closed"]),
    ],
)
def test_a_signal_ends_the_process_in_order(
    services: list[str], until: str, number: signal.Signals, last: list[str], site: Any, tmp_path: Path
) -> None:
    """With status 0, also in the middle of a start."""
    site.install(PARTS + PLACEMENT, {**ENTRIES, "placement": {"any": "Any"}})
    process = server(site, tmp_path, services)
    try:
        said = lines_until(process, until)
        process.send_signal(number)
        rest, errors = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 0, errors
    assert [*said, *rest.splitlines()][-len(last) :] == last
    assert f"stopping: {number.name}" in errors


def test_a_second_process_on_the_same_data_is_refused_before_it_touches_it(site: Any, tmp_path: Path) -> None:
    """Status 2 and one line that names the first one's pid; the database is not opened."""
    joining = PARTS + PLACEMENT + JOINING
    site.install(joining, {**ENTRIES, "placement": {"any": "Any"}, "service": {"joining": "Joining"}})
    first = server(site, tmp_path, ["joining"])
    try:
        lines_until(first, "joined")
        second = server(site, tmp_path, ["joining"])
        said, errors = second.communicate(timeout=60)
    finally:
        first.kill()
        first.communicate()
    assert second.returncode == 2
    assert "migrated" not in said
    (line,) = [line for line in errors.splitlines() if line.startswith("holdfast: ")]
    assert f"another Holdfast process (pid {first.pid}) holds" in line


PLACEMENT = """
class Any:
    def __init__(self, settings): pass
    @hookimpl
    def refuse(self): return {}
    @hookimpl
    def score(self): return {}
"""
JOINING = """
class Joining(Calm):
    @hookimpl
    async def start(self, context):
        self.session = context.coordinator.join(context.name, 60.0)
        say("joined")
"""


def server(site: Any, tmp_path: Path, services: list[str]) -> "subprocess.Popen[str]":
    """A real `holdfast server` of made-up parts."""
    config = tmp_path / "here.toml"
    config.write_text(
        f'[server]\ndata_dir = "{tmp_path}/data"\nservices = {services}\n[database]\ndriver = "made-up"\n'
        '[store]\ndriver = "made-up"\n[placement]\norder = ["any"]\n'
    )
    environ = {**os.environ, "PYTHONPATH": str(site.path)}
    pipe = subprocess.PIPE
    return subprocess.Popen(
        [sys.executable, "-c", RUNNER, str(config)], env=environ, stdout=pipe, stderr=pipe, text=True
    )


def lines_until(process: "subprocess.Popen[str]", start: str) -> list[str]:
    """Lines the process says, up to the one that starts so."""
    assert process.stdout is not None
    lines: list[str] = []
    for line in process.stdout:
        lines.append(line.rstrip("\n"))
        if line.startswith(start):
            return lines
    raise AssertionError(f"the process ended before it said {start!r}: {process.communicate()[1]}")
