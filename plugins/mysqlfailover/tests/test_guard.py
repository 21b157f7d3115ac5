"""Two writers are worse than none: what may be written, and what refuses itself, on real servers."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from failover_site import FailoverSite, port_of, read, until, write
from holdfast.errors import OutcomeUnknown, StoreUnavailable
from holdfast.hooks.store import Insert, Query, Update
from holdfast.model import Event, Host
from holdfast_conformance.mariadb import MariaDbLab
from holdfast_conformance.mariadb_replication import replica_status, wait_caught_up, wait_connected
from holdfast_conformance.store_rows import event, host
from holdfast_conformance.wire_faults import TcpFaultProxy, WireFaults
from holdfast_mysqlfailover.connection import FateUnknown, Undone
from holdfast_mysqlfailover.driver import MySqlDatabase

TABLE = "CREATE TABLE note (id BIGINT AUTO_INCREMENT PRIMARY KEY, text VARCHAR(40)) ENGINE=InnoDB"
QUICK = {"connect_seconds": 0.6, "patience_seconds": 2.0}


@pytest.fixture
def proxy(site: FailoverSite) -> Iterator[TcpFaultProxy]:
    """The driver's path to the first server; replication does not use it."""
    first = site.servers[0]
    with TcpFaultProxy((first.host, first.port)) as proxy:
        site.places[first] = (proxy.host, proxy.port)
        yield proxy
        site.close()


def _refused(engine: sa.Engine) -> str:
    """Why nobody serves."""

    def problem() -> str:
        try:
            read(engine, "SELECT 1")
        except sa.exc.OperationalError as problem:
            return str(problem.orig)
        return ""

    return str(until("nobody serves", problem))


def test_a_replica_whose_replication_stopped_is_refused(site: FailoverSite) -> None:
    """With the error that stopped it; mended, it is taken."""
    first, second = site.servers
    engine = site.driver(QUICK).engine()
    write(engine, TABLE)
    wait_caught_up(second, first)
    second.run("STOP SLAVE SQL_THREAD")
    write(engine, "INSERT INTO note (text) VALUES ('received, not applied')")
    until("it is received", lambda: replica_status(second)["Gtid_IO_Pos"] == first.value("@@gtid_binlog_pos"))
    first.kill()
    assert "its replication is stopped" in _refused(engine)
    second.run("START SLAVE SQL_THREAD")
    until("the replica serves", lambda: _port(engine) == second.port)
    assert read(engine, "SELECT text FROM note") == [("received, not applied",)]


def test_a_replica_that_has_transactions_of_its_own_is_refused(site: FailoverSite) -> None:
    """Somebody wrote to it by hand while its way back was broken."""
    first, second = site.servers
    engine = site.driver(QUICK).engine()
    write(engine, TABLE)
    wait_caught_up(second, first)
    first.run("STOP SLAVE")
    second.run("INSERT INTO cloud.note (text) VALUES ('by hand')")
    first.kill()
    assert "it has diverged" in _refused(engine)


def test_a_former_writer_alone_is_refused_after_a_restart_too(site: FailoverSite, tmp_path: Path) -> None:
    """It still calls itself the writer; the new process knows from the old one that another became it since."""
    first, second = site.servers
    kept = {**QUICK, "data_dir": tmp_path, "start_seconds": 1.0}
    driver = site.driver(kept)
    write(driver.engine(), TABLE)
    wait_caught_up(second, first)
    first.kill()
    until("the replica serves", lambda: _port(driver.engine()) == second.port)
    driver.close()
    second.kill()
    first.start()
    assert "its writer row is of epoch 1, but epoch 2 has been seen" in _refused(site.driver(kept).engine())


def test_a_replica_that_is_read_only_is_refused(site: FailoverSite) -> None:
    """Until its operator lets it be written."""
    first, second = site.servers
    engine = site.driver(QUICK).engine()
    write(engine, TABLE)
    wait_caught_up(second, first)
    second.run("SET GLOBAL read_only = 1")
    first.kill()
    assert "read_only is on" in _refused(engine)
    second.run("SET GLOBAL read_only = 0")
    until("the replica serves", lambda: _port(engine) == second.port)


def test_a_server_that_is_cut_off_alone_makes_no_second_writer(site: FailoverSite, proxy: TcpFaultProxy) -> None:
    """The replica still hears the first host: only this path is silent, so nothing is written until it is mended."""
    first, second = site.servers
    engine = site.driver(QUICK).engine()
    write(engine, TABLE)
    wait_caught_up(second, first)
    proxy.faults = WireFaults(silent=True)
    for _ in range(2):
        _wait_for(engine, "only this server is cut off")
    assert second.run("SELECT epoch FROM cloud.holdfast_writer") == [(1,)]
    proxy.faults = WireFaults()
    until("the first host serves", lambda: _port(engine) == first.port)
    proxy.faults = WireFaults(silent=True)
    _wait_for(engine, "only this server is cut off")
    first.freeze()
    until("the replica serves once it hears the first host no more", lambda: _port(engine) == second.port)
    first.thaw()


def _port(engine: sa.Engine) -> int:
    """Of the server that answers, 0 if none does yet."""
    try:
        return port_of(engine)
    except sa.exc.OperationalError:
        return 0


def _wait_for(engine: sa.Engine, words: str) -> str:
    def said() -> str:
        reasons = _refused(engine)
        return reasons if words in reasons else ""

    return str(until(words, said))


def test_an_old_connection_refuses_itself_when_another_server_moved_the_writer(site: FailoverSite) -> None:
    """Two management servers: one moves the writer, and not one transaction of the other is written afterwards."""
    first, second = site.servers
    one, other = site.driver(secondsBeforeRetryMaster=0, queriesBeforeRetryMaster=0).engine(), site.driver().engine()
    write(one, TABLE)
    assert port_of(other) == first.port
    with other.connect() as open_before:
        open_before.exec_driver_sql("SELECT 1")
        first.run("UPDATE cloud.holdfast_writer SET epoch = 2, server_id = 2")
        with pytest.raises(sa.exc.OperationalError, match="epoch 1 is over") as caught:
            open_before.exec_driver_sql("INSERT INTO note (text) VALUES ('too late')")
        assert isinstance(caught.value.orig, Undone)
    for engine in (one, other):
        until("both follow", lambda engine=engine: port_of(engine) == second.port)
        write(engine, "INSERT INTO note (text) VALUES ('followed')")
    assert second.run("SELECT text FROM cloud.note") == [("followed",), ("followed",)]


def test_a_running_transaction_keeps_the_writer_where_it_is(site: FailoverSite) -> None:
    """Whoever moves it waits for those that are being written."""
    first, _second = site.servers
    engine = site.driver().engine()
    write(engine, TABLE)
    moved = threading.Event()

    def move() -> None:
        first.run("UPDATE cloud.holdfast_writer SET epoch = epoch + 1")
        moved.set()

    with engine.begin() as connection:
        connection.exec_driver_sql("INSERT INTO note (text) VALUES ('x')")
        mover = threading.Thread(target=move)
        mover.start()
        assert not moved.wait(0.5)
    mover.join(20)
    assert moved.is_set()


def test_a_first_host_that_has_diverged_is_not_gone_back_to(site: FailoverSite) -> None:
    """It wrote what nobody else has; rebuilt, it takes over again."""
    first, second = site.servers
    engine = site.driver(secondsBeforeRetryMaster=1).engine()
    write(engine, TABLE)
    wait_caught_up(second, first)
    second.run("STOP SLAVE")
    first.run("INSERT INTO cloud.note (text) VALUES ('never sent')")
    first.kill()
    second.run("START SLAVE")
    write(engine, "INSERT INTO note (text) VALUES ('elsewhere')")
    first.start()
    time.sleep(3)  # three times what was set: it must not happen
    assert port_of(engine) == second.port
    site.rebuild(first, second)
    until("the first host serves again", lambda: port_of(engine) == first.port)
    assert read(engine, "SELECT text FROM note") == [("elsewhere",)]


def test_read_only_failover_reads_elsewhere_and_writes_nothing(site: FailoverSite) -> None:
    """failOverReadOnly=true."""
    first, second = site.servers
    engine = site.driver(QUICK, failOverReadOnly="true").engine()
    write(engine, TABLE)
    wait_caught_up(second, first)
    first.kill()
    assert port_of(engine) == second.port
    with pytest.raises(sa.exc.OperationalError, match="READ ONLY"):
        write(engine, "INSERT INTO note (text) VALUES ('x')")
    first.start()
    wait_connected(second)
    until("the first host serves again", lambda: port_of(engine) == first.port)
    write(engine, "INSERT INTO note (text) VALUES ('x')")


@pytest.mark.parametrize("direction", ["on_requests", "on_answers"])
def test_a_commit_without_an_answer_is_settled(site: FailoverSite, proxy: TcpFaultProxy, direction: str) -> None:
    """Lost on the way there or on the way back: written once in the end, and the caller knows nothing of it."""
    first, second = site.servers
    store = site.store(site.driver({"connect_seconds": 0.6, "answer_seconds": 1.0}))
    engine = store._bound()
    (row_id,) = store.commit([Insert(host())])
    wait_caught_up(second, first)
    cut = WireFaults(silent=True, on_requests=direction == "on_requests", on_answers=direction == "on_answers")

    def cut_before_commit(connection: sa.Connection) -> None:
        proxy.faults = cut
        threading.Timer(1.5, _mend, (proxy,)).start()

    sa.event.listen(engine, "commit", cut_before_commit, once=True)
    store.commit([Insert(event()), Update(Host, row_id, {"alloc_version": 1}, {"alloc_version": 0})])
    assert store.count(Event, Query()) == 1
    found = store.get(Host, row_id)
    assert found is not None
    assert found.alloc_version == 1
    wait_caught_up(second, first)
    assert replica_status(first)["Last_SQL_Errno"] == replica_status(second)["Last_SQL_Errno"] == 0


def _mend(proxy: TcpFaultProxy) -> None:
    proxy.faults = WireFaults()


def test_an_unmarked_commit_without_an_answer_says_so(site: FailoverSite, proxy: TcpFaultProxy) -> None:
    """It is never run again by the driver, and never called written."""
    engine = site.driver({"connect_seconds": 0.6, "answer_seconds": 1.0}).engine()
    write(engine, TABLE)
    with engine.connect() as connection:
        connection.exec_driver_sql("INSERT INTO note (text) VALUES ('x')")
        proxy.faults = WireFaults(reset_after=0, silent=True)
        threading.Timer(1.5, _mend, (proxy,)).start()
        with pytest.raises(sa.exc.OperationalError) as caught:
            connection.commit()
        assert isinstance(caught.value.orig, FateUnknown)


def test_when_no_host_can_be_asked_the_outcome_stays_unknown(site: FailoverSite, proxy: TcpFaultProxy) -> None:
    """And reads fail with every host's reason; when one is back, work goes on."""
    _first, second = site.servers
    store = site.store(site.driver({**QUICK, "answer_seconds": 1.0}))
    engine = store._bound()

    def lose_all(connection: sa.Connection) -> None:
        proxy.faults = WireFaults(silent=True)
        second.freeze()

    sa.event.listen(engine, "commit", lose_all, once=True)
    with pytest.raises(OutcomeUnknown):
        store.commit([Insert(event())])
    with pytest.raises(StoreUnavailable, match=rf"{proxy.port}.*no answer in time.*{second.port}.*no answer in time"):
        store.count(Event, Query())
    second.thaw()
    proxy.faults = WireFaults()
    until("it goes on", lambda: _count(store) is not None)


def _count(store: object) -> int | None:
    try:
        return int(store.count(Event, Query()))  # type: ignore[attr-defined]
    except StoreUnavailable:
        return None


def test_a_user_who_may_not_look_at_replication_is_told_before_it_matters(
    site: FailoverSite, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A replica that nothing is known of is not written to."""
    first, second = site.servers
    first.make_user("plain", "pw", "ALL PRIVILEGES ON cloud.*")
    wait_caught_up(second, first)
    engine = site.driver(QUICK, username="plain", password="pw").engine()
    write(engine, TABLE)
    wait_caught_up(second, first)
    until("the warning", lambda: "GRANT SLAVE MONITOR" in caplog.text)
    first.kill()
    assert "GRANT SLAVE MONITOR" in _refused(engine)


def test_what_a_broken_connection_left_behind_on_the_server_is_ended(site: FailoverSite, proxy: TcpFaultProxy) -> None:
    """Its locks would hold up everybody for as long as the server waits for its client."""
    engine = site.driver({"connect_seconds": 5.0, "answer_seconds": 1.0}, replicas="").engine()
    write(engine, TABLE)
    write(engine, "INSERT INTO note (text) VALUES ('x')")
    site.places.clear()
    with engine.connect() as connection:
        connection.exec_driver_sql("UPDATE note SET text = 'locked'")
        proxy.faults = WireFaults(silent=True)
        with pytest.raises(sa.exc.OperationalError):
            connection.exec_driver_sql("UPDATE note SET text = 'never answered'")
        proxy.faults = WireFaults()


def test_one_server_under_two_names_is_refused_at_start(lab: MariaDbLab, tmp_path: Path) -> None:
    """As localhost and 127.0.0.1."""
    server = lab.server()
    server.run("CREATE DATABASE cloud")
    server.make_user("cloud", "cl0ud-pa=ss")
    site = FailoverSite(tmp_path, [server])
    path = site.properties()
    path.write_text(path.read_text().replace("false", "true") + f"db.cloud.replicas=localhost:{server.port}\n")
    driver = MySqlDatabase({"properties": path, "start_seconds": 1.0})
    with pytest.raises(sa.exc.OperationalError, match="one server under two names"):
        read(driver.engine(), "SELECT 1")
    driver.close()
