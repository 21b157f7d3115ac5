"""The first host is lost in every way: writing goes on elsewhere, and nothing that was acknowledged is lost."""

import threading
import time
from pathlib import Path

import pytest
from failover_site import FailoverSite, port_of, read, until, write
from holdfast.hooks.store import Insert, Query
from holdfast.model import Event
from holdfast.model import Host as HostRow
from holdfast_conformance.mariadb import MariaDb
from holdfast_conformance.mariadb_replication import replica_status, wait_caught_up, wait_connected
from holdfast_conformance.store_rows import event, host
from holdfast_mysqlfailover.pilot import Pilot
from holdfast_mysqlfailover.plan import Host

TABLE = "CREATE TABLE note (id BIGINT AUTO_INCREMENT PRIMARY KEY, text VARCHAR(40)) ENGINE=InnoDB"


@pytest.mark.parametrize("how", ["kill", "freeze", "stop"])
def test_writing_goes_on_when_the_first_host_is_lost(site: FailoverSite, how: str) -> None:
    """Killed, hung or stopped: the store's next batch is written on the other one, after all it had received."""
    first, second = site.servers
    store = site.store(site.driver({"connect_seconds": 0.6}))
    store.commit([Insert(host())])
    store.commit([Insert(event()) for _ in range(5)])
    wait_caught_up(second, first)
    getattr(first, how)()
    store.commit([Insert(event())])
    assert store.count(Event, Query()) == 6
    assert store.count(HostRow, Query()) == 1
    assert second.run("SELECT COUNT(*) FROM cloud.event") == [(6,)]
    if how == "freeze":
        first.thaw()


@pytest.mark.parametrize("taker", [1, 0], ids=["by the second", "by the first"])
def test_a_takeover_waits_for_what_was_received(site: FailoverSite, taker: int) -> None:
    """Whichever host takes over: it applies first what it has, however long a lock holds that up."""
    lost, other = site.servers[1 - taker], site.servers[taker]
    engine = site.driver({"connect_seconds": 0.6}, secondsBeforeRetryMaster=600).engine()
    write(engine, TABLE)
    wait_caught_up(site.servers[1], site.servers[0])
    if taker == 0:
        other.kill()
        until("the second serves", lambda: port_of(engine) == lost.port)
        other.start()
        wait_connected(other)
        wait_caught_up(other, lost)
    with other.connect() as holding, holding.cursor() as cursor:
        cursor.execute("LOCK TABLES cloud.note READ")
        write(engine, "INSERT INTO note (text) VALUES ('received')")
        until("it is received", lambda: _received(other) == lost.value("@@gtid_binlog_pos"))
        lost.kill()
        unlocking = threading.Timer(1.0, cursor.execute, ("UNLOCK TABLES",))
        unlocking.start()
        until("it serves", lambda: port_of(engine) == other.port)
        unlocking.join()
        assert read(engine, "SELECT text FROM note") == [("received",)]


def _received(replica: MariaDb) -> str:
    return str(replica_status(replica)["Gtid_IO_Pos"])


def _unread(server: MariaDb) -> int:
    """Bytes that came from a server and that whoever they were sent to has not read."""
    lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return max(int(words[4].split(":")[1], 16) for words in lines if words[2].endswith(f":{server.port:04X}"))


def test_a_takeover_from_a_silent_host_waits_no_longer_than_its_replica_is_late(
    site: FailoverSite, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The replica takes in what was sent before the silence only when the host is lost already. It is listened to until
    it must have heard a heartbeat, and taken at once: nobody gives up in between."""
    first, second = site.servers
    engine = site.driver({"connect_seconds": 0.6}).engine()
    write(engine, TABLE)
    wait_caught_up(second, first)
    before = _received(second)
    lose = Pilot._lose

    def lose_when_it_was_received(pilot: Pilot, host: Host, reason: str) -> None:
        second.thaw()
        until("it is received", lambda: _received(second) != before)
        lose(pilot, host, reason)

    monkeypatch.setattr(Pilot, "_lose", lose_when_it_was_received)
    second.freeze()
    rows = ", ".join(["('received late')"] * 400)
    write(engine, f"INSERT INTO note (text) VALUES {rows}")
    until("it is sent", lambda: _unread(first) > 400 * len("received late"))
    first.freeze()
    assert port_of(engine) == second.port
    assert read(engine, "SELECT text, COUNT(*) FROM note GROUP BY text") == [("received late", 400)]
    assert "no database host can be used" not in caplog.text
    first.thaw()


def test_callers_that_wait_for_an_answer_are_woken(site: FailoverSite) -> None:
    """Twenty threads in the middle of statements on a host that hangs: all go on elsewhere at once, none waits for its
    own time-out."""
    first, second = site.servers
    engine = site.driver({"connect_seconds": 0.6, "answer_seconds": 60.0}).engine()
    write(engine, TABLE)
    wait_caught_up(second, first)
    inside, problems = threading.Barrier(21), []

    def work() -> None:
        with engine.connect() as connection:
            connection.exec_driver_sql("SELECT 1")
            inside.wait()
            inside.wait()
            try:
                connection.exec_driver_sql("SELECT 2")
            except Exception as problem:
                problems.append(problem)

    threads = [threading.Thread(target=work) for _ in range(20)]
    for thread in threads:
        thread.start()
    inside.wait()
    first.freeze()
    began = time.monotonic()
    inside.wait()
    for thread in threads:
        thread.join(30)
        assert not thread.is_alive()
    first.thaw()
    assert len(problems) == 20
    assert time.monotonic() - began < 20, "they waited for their own time-outs"


def test_connections_opened_while_the_first_host_is_down_do_not_try_it(site: FailoverSite) -> None:
    """Nobody listens at the first host but the one thread that waits for it to come back."""
    first, second = site.servers
    engine = site.driver({"connect_seconds": 0.6}).engine()
    assert port_of(engine) == first.port
    wait_caught_up(second, first)
    first.freeze()
    began = time.monotonic()
    assert port_of(engine) == second.port
    held = [engine.connect() for _ in range(12)]
    assert [connection.exec_driver_sql("SELECT @@port").scalar() for connection in held] == [second.port] * 12
    assert time.monotonic() - began < 12 * 0.6, "each paid for itself"
    for connection in held:
        connection.close()
    first.thaw()


def test_writing_goes_back_after_the_time_that_was_set(site: FailoverSite) -> None:
    """With everything that was written meanwhile, and never before the first host has it."""
    first, second = site.servers
    engine = site.driver(secondsBeforeRetryMaster=1, queriesBeforeRetryMaster=0).engine()
    write(engine, TABLE)
    wait_caught_up(second, first)
    first.kill()
    write(engine, "INSERT INTO note (text) VALUES ('while it was down')")
    assert port_of(engine) == second.port
    first.start()
    until("the first host serves again", lambda: port_of(engine) == first.port)
    assert read(engine, "SELECT text FROM note") == [("while it was down",)]
    write(engine, "INSERT INTO note (text) VALUES ('back')")
    wait_caught_up(second, first)
    assert second.run("SELECT text FROM cloud.note ORDER BY id") == [("while it was down",), ("back",)]


def test_writing_goes_back_after_the_number_of_statements_that_was_set(site: FailoverSite) -> None:
    """Whichever comes first; 0 means never by that rule."""
    first, second = site.servers
    engine = site.driver(secondsBeforeRetryMaster=0, queriesBeforeRetryMaster=40).engine()
    write(engine, TABLE)
    wait_caught_up(second, first)
    first.kill()
    write(engine, "INSERT INTO note (text) VALUES ('x')")
    first.start()
    wait_connected(first)
    for _ in range(10):
        assert port_of(engine) == second.port
    until("the first host serves again", lambda: port_of(engine) == first.port)


def test_a_transaction_is_not_cut_by_going_back(site: FailoverSite) -> None:
    """It ends where it began, and what it wrote arrives at the first host before that is written to."""
    first, second = site.servers
    engine = site.driver(secondsBeforeRetryMaster=1).engine()
    write(engine, TABLE)
    wait_caught_up(second, first)
    first.kill()
    write(engine, "INSERT INTO note (text) VALUES ('before')")
    with engine.begin() as connection:
        connection.exec_driver_sql("INSERT INTO note (text) VALUES ('in the middle')")
        first.start()
        wait_connected(first)
        time.sleep(2.5)  # longer than the setting
        assert connection.exec_driver_sql("SELECT @@port").scalar() == second.port
    until("the first host serves again", lambda: port_of(engine) == first.port)
    assert read(engine, "SELECT text FROM note ORDER BY id") == [("before",), ("in the middle",)]


def test_a_single_server_that_restarts_is_used_again(site: FailoverSite) -> None:
    """Without replicas a call waits for it for a while."""
    only = site.servers[0]
    site.servers.pop()
    store = site.store(site.driver(replicas=""))
    only.kill()
    starter = threading.Timer(0.5, only.start)
    starter.start()
    store.commit([Insert(event())])
    starter.join()
    assert store.count(Event, Query()) == 1
