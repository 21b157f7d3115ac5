"""The service over real servers: what begins and ends is written down once, and kept while the database is away."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from holdfast.bell import ProcessBell
from holdfast.errors import StoreUnavailable
from holdfast.hooks.database import DatabaseServer
from holdfast.hooks.service import ServiceContext
from holdfast.hooks.store import Insert, Query, Update
from holdfast.model import Alert, Event, ManagementServer, Moment, Secret
from holdfast_conformance.mariadb import MariaDbLab
from holdfast_conformance.mariadb_replication import pair
from holdfast_conformance.model_store import ModelStore
from holdfast_conformance.service import ServiceConformance
from holdfast_replication.service import EVENT, SETTINGS, ReplicationService

USER, PASSWORD = "watcher", "Watcher-Of-Tests-1"
_GRANTS = "SLAVE MONITOR, BINLOG MONITOR, BINLOG ADMIN, REPLICATION MASTER ADMIN, REPLICATION SLAVE, PROCESS ON *.*"


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Any]]:
    """A two-way pair, and a user with no more rights than watching takes."""
    with MariaDbLab(tmp_path_factory.mktemp("db")) as lab:
        made = lab.servers(2)
        pair(*made)
        made[0].make_user(USER, PASSWORD, _GRANTS)
        assert made[1].value(f"MASTER_GTID_WAIT('{made[0].value('@@gtid_binlog_pos')}', 30)") == 0
        yield made


class _Database:
    """A database driver that names servers, as `mysql` does."""

    def __init__(self, servers: list[Any]) -> None:
        self._servers = servers

    def servers(self) -> tuple[DatabaseServer, ...]:
        return tuple(DatabaseServer("127.0.0.1", one.port, USER, Secret(PASSWORD), "cloud") for one in self._servers)


class _Store(ModelStore):
    """A store whose database can be away."""

    away = False

    def commit(self, changes: Any) -> tuple[int, ...]:
        if self.away:
            raise StoreUnavailable("the database is away")
        return super().commit(changes)


def _context(servers: list[Any], folder: Path, store: Any = None, name: str = "ms1") -> ServiceContext:
    database = _Database(servers)
    return ServiceContext(
        name=name,
        config=SimpleNamespace(server=SimpleNamespace(data_dir=folder)),
        settings={},
        plugins=SimpleNamespace(driver=lambda point: database),
        store=store or _Store(),
        coordinator=None,  # type: ignore[arg-type]
        bell=ProcessBell(),
    )


def _service(**settings: Any) -> ReplicationService:
    return ReplicationService({key: option.default for key, option in SETTINGS.items()} | {"every": 0.2} | settings)


class TestConformance(ServiceConformance):
    """It keeps the contract of services."""

    @pytest.fixture
    def driver(self) -> ReplicationService:
        return _service()

    @pytest.fixture
    def context(self, servers: list[Any], tmp_path: Path) -> ServiceContext:
        return _context(servers, tmp_path)

    @pytest.fixture
    def bad_context(self, tmp_path: Path) -> ServiceContext:
        return _context([], tmp_path)


async def _until(seen: Any) -> None:
    for _ in range(600):
        if seen():
            return
        await asyncio.sleep(0.05)  # the service tells nobody but the store
    raise AssertionError("it did not come about within 30 s")


def test_a_stopped_stream_is_an_event_and_an_alert_and_its_end_an_event(
    servers: list[Any], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Nothing is lost when the database cannot be written to at that moment, and nothing is told twice."""
    store = _Store()

    def events() -> list[str]:
        return [row.description for row in store.select(Event, Query(equal={"type": EVENT}, order=("id",)))]

    async def life() -> None:
        context, service = _context(servers, tmp_path, store), _service()
        await service.start(context)
        await _until(lambda: len(context.live["replication.nodes"]()) == 2)
        assert [one["state"] for one in context.live["replication.nodes"]()] == ["Up", "Up"]
        store.away = True
        servers[1].run("STOP SLAVE SQL_THREAD")
        await _until(lambda: "applies nothing" in caplog.text)
        assert context.live["replication.nodes"]()[1]["state"] == "Broken"
        servers[1].run("START SLAVE SQL_THREAD")
        await _until(lambda: "no longer true" in caplog.text)
        assert context.live["replication.nodes"]()[1]["state"] == "Up"
        assert events() == []
        store.away = False
        await _until(lambda: len(events()) == 2)
        await service.stop()

    caplog.set_level("INFO", logger="holdfast.replication")
    asyncio.run(life())
    assert ["applies nothing" in text for text in events()] == [True, True]
    assert events()[1].startswith("no longer true")
    assert len(store.select(Alert, Query())) == 1


def test_what_another_server_tells_is_not_told_again(
    servers: list[Any], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The second server leaves it to the first while that lives, and tells only what comes after it has gone."""
    store = _Store()
    (first, _second) = store.commit([Insert(_server("ms1", 1)), Insert(_server("ms2", 2))])

    async def beat() -> None:
        for number in range(1, 10_000):
            store.commit([Update(ManagementServer, first, {"last_update": Moment(float(number))})])
            await asyncio.sleep(0.1)  # as a living server does

    async def life() -> None:
        context, service = _context(servers, tmp_path, store, "ms2"), _service()
        beating = asyncio.create_task(beat())
        await service.start(context)
        servers[1].run("STOP SLAVE SQL_THREAD")
        await _until(lambda: "applies nothing" in caplog.text)
        await _until(lambda: not service._unwritten)
        beating.cancel()
        store.commit([Update(ManagementServer, first, {"removed": Moment(1.0)})])
        servers[1].run("START SLAVE SQL_THREAD")
        await _until(lambda: store.count(Event, Query()) > 0)
        await service.stop()

    caplog.set_level("INFO", logger="holdfast.replication")
    asyncio.run(life())
    (only,) = store.select(Event, Query())
    assert only.description.startswith("no longer true")


def _server(name: str, msid: int) -> ManagementServer:
    return ManagementServer(uuid=name, msid=msid, runid=1, name=name)


@pytest.mark.slow
def test_it_purges_when_told_to(servers: list[Any], tmp_path: Path) -> None:
    """What both have executed goes, on each of them."""
    for _ in range(3):
        servers[0].run("FLUSH BINARY LOGS")
    rotated = servers[0].run("SHOW MASTER STATUS")[0][0]

    async def life() -> None:
        context, service = _context(servers, tmp_path), _service(purge=True, keep_hours=0.0)
        await service.start(context)
        await _until(lambda: servers[0].run("SHOW BINARY LOGS")[0][0] == rotated)
        await service.stop()

    asyncio.run(life())
