"""Where commits wait for a replica, so does the one that moves the writer: it must not come true behind our back."""

import pytest
import sqlalchemy as sa
from failover_site import FailoverSite, port_of, read, until, write
from holdfast_conformance.mariadb_replication import SEMI_SYNC, wait_caught_up
from holdfast_mysqlfailover import writer_row
from holdfast_mysqlfailover.plan import Host
from pymysql.err import OperationalError

TABLE = "CREATE TABLE note (id BIGINT AUTO_INCREMENT PRIMARY KEY, text VARCHAR(40)) ENGINE=InnoDB"
FOR_EVER = {**SEMI_SYNC, "rpl-semi-sync-master-wait-no-slave": "ON", "rpl-semi-sync-master-timeout": "600000"}
QUICK = {"connect_seconds": 0.6, "patience_seconds": 2.0}


def test_a_host_that_was_away_does_not_write_beside_the_one_that_took_over(site: FailoverSite) -> None:
    """The second takes over at once, though the replica that its commits wait for is the lost host itself. That comes
    back as its own writer and gets nothing; what the second wrote meanwhile is acknowledged as soon as it has it."""
    first, second = site.servers
    engine = site.driver({"connect_seconds": 0.6}).engine()
    write(engine, TABLE)
    wait_caught_up(second, first)
    for each in site.servers:
        each.options |= FOR_EVER
        each.run(*(f"SET GLOBAL {name.replace('-', '_')} = {value}" for name, value in FOR_EVER.items()))
        each.run("STOP SLAVE IO_THREAD", "START SLAVE IO_THREAD")
    write(engine, "INSERT INTO note (text) VALUES ('both have it')")
    # What the second applies waits for the first as well, and nobody can end that. The next test is about such a case.
    wait_caught_up(second, first)
    first.kill()
    until("the second serves", lambda: port_of(engine) == second.port)
    first.options["skip-slave-start"] = "ON"
    first.start()
    assert first.run("SELECT epoch, server_id FROM cloud.holdfast_writer") == [(1, first.number)]
    with engine.connect() as connection:
        connection.exec_driver_sql("INSERT INTO note (text) VALUES ('elsewhere')")
        first.run("START SLAVE")
        connection.commit()
    wait_caught_up(first, second)  # it is acknowledged when it is received
    assert first.run("SELECT text FROM cloud.note") == [("both have it",), ("elsewhere",)]
    assert read(engine, "SELECT text FROM note") == [("both have it",), ("elsewhere",)]


def test_a_move_that_comes_true_too_late_takes_no_writes_away(
    site: FailoverSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second was cut off when it was made the writer, nobody could end what it still did, and the management server
    was started anew. The first is back by then, and goes on under an epoch that the late one does not reach."""
    first, second = site.servers
    settings = {**QUICK, "data_dir": site.folder}
    driver = site.driver(settings)
    write(driver.engine(), TABLE)
    wait_caught_up(second, first)
    with monkeypatch.context() as lost:
        lost.setattr(writer_row, "move", _never_answered)
        lost.setattr(writer_row, "ended", _never_answered)
        first.kill()
        with pytest.raises(sa.exc.OperationalError, match="no database host can be used"):
            write(driver.engine(), "INSERT INTO note (text) VALUES ('nowhere')")
        driver.close()
    second.run("STOP SLAVE")
    first.start()
    driver = site.driver(settings)
    write(driver.engine(), "INSERT INTO note (text) VALUES ('acknowledged')")
    tried = 2 + driver._pilot.standing.epoch - 3
    second.run(f"UPDATE cloud.holdfast_writer SET epoch = {tried}, server_id = {second.number}")
    assert first.run("SELECT epoch, server_id FROM cloud.holdfast_writer") == [(tried + 1, first.number)]
    assert not driver._pilot._return.warn_early(Host(0, first.host, first.port))
    assert read(driver.engine(), "SELECT text FROM note") == [("acknowledged",)]


def _never_answered(*_arguments: object) -> int:
    raise OperationalError(2013, "no answer in time")
