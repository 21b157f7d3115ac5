"""The kit's MariaDB servers are real: they replicate, lose nothing they acknowledged, and come back."""

from collections.abc import Iterator
from pathlib import Path

import pymysql
import pytest
from holdfast_conformance.mariadb import MariaDbLab
from holdfast_conformance.mariadb_network import CableNetwork
from holdfast_conformance.mariadb_replication import chain, pair, replica_status, ring, wait_caught_up, wait_connected

TABLE = "CREATE TABLE cloud.note (id BIGINT AUTO_INCREMENT PRIMARY KEY, text VARCHAR(20))"


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[MariaDbLab]:
    """No servers yet."""
    with MariaDbLab(tmp_path) as lab:
        yield lab


def test_a_pair_replicates_both_ways(lab: MariaDbLab) -> None:
    """With ids that never meet."""
    first, second = lab.servers(2)
    pair(first, second)
    first.run("CREATE DATABASE cloud", TABLE, "INSERT INTO cloud.note (text) VALUES ('one')")
    wait_caught_up(second, first)
    second.run("INSERT INTO cloud.note (text) VALUES ('two')")
    wait_caught_up(first, second)
    assert first.run("SELECT id, text FROM cloud.note") == [(1, "one"), (2, "two")]


def test_a_killed_server_keeps_what_it_acknowledged_and_replicates_again(lab: MariaDbLab) -> None:
    """And its partner sees the loss of the connection."""
    first, second = lab.servers(2)
    pair(first, second)
    first.run("CREATE DATABASE cloud", TABLE, "INSERT INTO cloud.note (text) VALUES ('one')")
    wait_caught_up(second, first)
    first.kill()
    with pytest.raises(pymysql.err.OperationalError):
        first.connect()
    assert not first.running
    second.run("CREATE DATABASE other")
    first.start()
    assert first.run("SELECT text FROM cloud.note") == [("one",)]
    for each in (first, second):
        wait_connected(each)
    wait_caught_up(first, second)
    assert first.value("COUNT(*) FROM information_schema.schemata WHERE schema_name = 'other'") == 1


def test_a_frozen_server_takes_connections_and_says_nothing(lab: MariaDbLab) -> None:
    """Until it is thawed."""
    server = lab.server()
    server.freeze()
    with pytest.raises(pymysql.err.OperationalError, match="timed out"):
        server.connect(read_timeout=0.2)
    server.thaw()
    assert server.value("1") == 1


def test_a_chain_and_a_ring_pass_things_on(lab: MariaDbLab) -> None:
    """To the last, and around."""
    servers = lab.servers(3)
    chain(servers)
    servers[0].run("CREATE DATABASE cloud")
    wait_caught_up(servers[2], servers[0])
    assert replica_status(servers[0]) == {}
    for each in servers:
        each.stop()
        each.wipe()
        each.start()
    ring(servers)
    servers[1].run("CREATE DATABASE cloud")
    wait_caught_up(servers[0], servers[1])


def test_users_may_log_in_over_tcp(lab: MariaDbLab) -> None:
    """Their passwords may hold anything."""
    server = lab.server()
    server.make_user("cloud", 'it\'s \\a "pass" 한')
    password = 'it\'s \\a "pass" 한'.encode()
    with pymysql.connect(host=server.host, port=server.port, user="cloud", password=password) as connection:
        assert connection.server_status is not None


def test_a_cut_cable_is_silence_for_client_and_replica(tmp_path: Path) -> None:
    """No refusal, no reset; plugged in again, both go on."""
    with CableNetwork() as network, MariaDbLab(tmp_path) as lab:
        first, second = lab.server(**network.place()), lab.server(**network.place())
        pair(first, second)
        first.make_user("cloud", "secret")
        login = {"host": first.host, "port": first.port, "user": "cloud", "password": "secret"}
        with pymysql.connect(**login) as connection:
            network.cut(first.host)
            with pytest.raises(pymysql.err.OperationalError, match="timed out"):
                pymysql.connect(**login, connect_timeout=0.3)
            first.run("CREATE DATABASE unseen")
            assert second.value("COUNT(*) FROM information_schema.schemata WHERE schema_name = 'unseen'") == 0
            network.mend(first.host)
            connection.ping()
        wait_caught_up(second, first)
