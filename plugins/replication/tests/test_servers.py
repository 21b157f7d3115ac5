"""Real MariaDB servers: set up by the command, broken in each way, seen, purged."""

import io
import json
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from holdfast.__main__ import main
from holdfast.hooks.database import DatabaseServer
from holdfast.model import Secret
from holdfast_conformance.mariadb import MariaDb, MariaDbLab
from holdfast_replication.copying import _login
from holdfast_replication.findings import Limits, judge
from holdfast_replication.reading import read_all
from holdfast_replication.state import Snapshot

ADMIN, PASSWORD, REPLICATION = "warden", "Warden-Of-Tests-1", "Repl-Of-Tests-1"
_LOOKS = 300

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[MariaDbLab]:
    """Servers that end with the test."""
    with MariaDbLab(tmp_path / "db") as made:
        yield made


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """`holdfast db …`: status, output, errors. No secret is ever in either."""
    monkeypatch.setenv("HOLDFAST_DB_PASSWORD", PASSWORD)
    monkeypatch.setenv("HOLDFAST_REPLICATION_PASSWORD", REPLICATION)

    def command(action: str, servers: list[MariaDb], *words: str) -> tuple[int, str, str]:
        addresses = [f"127.0.0.1:{one.port}" for one in servers]
        status = main(["db", action, "--server", *addresses, "--user", ADMIN, *words])
        out, err = capsys.readouterr()
        assert PASSWORD not in out + err
        assert REPLICATION not in out + err
        return status, out, err

    return command


def _servers(lab: MariaDbLab, count: int) -> list[MariaDb]:
    made = lab.servers(count)
    for one in made:
        with one.connect() as connection, connection.cursor() as cursor:
            cursor.execute("SET sql_log_bin = 0")
            cursor.execute(f"CREATE USER {ADMIN}@'%' IDENTIFIED BY '{PASSWORD}'")
            cursor.execute(f"GRANT ALL ON *.* TO {ADMIN}@'%' WITH GRANT OPTION")
    made[0].run(
        "CREATE DATABASE cloud",
        "CREATE TABLE cloud.vm (id INT PRIMARY KEY AUTO_INCREMENT, name VARCHAR(40))",
        "INSERT INTO cloud.vm (name) VALUES ('one')",
        "CREATE USER app@'%' IDENTIFIED BY 'App-1'",
        "GRANT ALL ON cloud.* TO app@'%'",
    )
    return made


def _addressed(servers: list[MariaDb]) -> list[DatabaseServer]:
    return [DatabaseServer("127.0.0.1", one.port, ADMIN, Secret(PASSWORD), "") for one in servers]


def _seen_until(servers: list[MariaDb], kind: str) -> str:
    """The text of the first finding of that kind; servers tell nobody when they notice something."""
    snapshot = Snapshot(())
    for _ in range(_LOOKS):
        snapshot = read_all(_addressed(servers), 3.0)
        for one in judge(snapshot, Limits()):
            if one.kind == kind:
                return one.text
    raise AssertionError(f"{kind} was not seen: {judge(snapshot, Limits())}, {snapshot}")


def _names(server: MariaDb) -> list[str]:
    return [row[0] for row in server.run("SELECT name FROM cloud.vm ORDER BY name")]


def _caught_up(server: MariaDb, source: MariaDb) -> None:
    position = source.value("@@gtid_binlog_pos")
    assert server.value(f"MASTER_GTID_WAIT('{position}', 30)") == 0


def _in_newest_log(server: MariaDb, source: MariaDb) -> None:
    """The end of a log is an event of its own: a replica that has the last transaction of one may still stand in it."""
    newest = source.run("SHOW MASTER STATUS")[0][0]
    assert server.value(f"MASTER_POS_WAIT('{newest}', 4, 30)") >= 0


def _purge_all(server: MariaDb) -> None:
    """All logs but the newest. A thread that still reads one for a replica that has hung up keeps it until it notices,
    and the purge ends there without an error."""
    newest = server.run("SHOW MASTER STATUS")[0][0]
    for _ in range(_LOOKS):
        server.run(f"PURGE BINARY LOGS TO '{newest}'")
        if server.run("SHOW BINARY LOGS")[0][0] == newest:
            return
        time.sleep(0.05)  # nothing tells when that thread ends
    raise AssertionError(f"logs before {newest} are kept: {server.run('SHOW BINARY LOGS', 'SHOW PROCESSLIST')}")


@pytest.mark.slow
def test_a_pair_with_a_chain_is_set_up_from_one_server_with_data(lab: MariaDbLab, run: Run) -> None:
    """All have the data and the users; writes to either of the pair come to all; doing it again does nothing."""
    servers = _servers(lab, 4)
    status, out, _ = run("setup-replication", servers, "--dry-run")
    assert status == 0
    assert "CHANGE MASTER" in out
    assert not servers[1].table("SHOW ALL SLAVES STATUS")
    status, out, err = run("setup-replication", servers)
    assert (status, err) == (0, "")
    assert "replication is well" in out
    servers[0].run("INSERT INTO cloud.vm (name) VALUES ('two')")
    _caught_up(servers[1], servers[0])
    servers[1].run("INSERT INTO cloud.vm (name) VALUES ('three')")
    for one in (servers[0], *servers[2:]):
        _caught_up(one, servers[1])
        assert _names(one) == ["one", "three", "two"]
        assert one.run("SELECT COUNT(*) FROM mysql.user WHERE User = 'app'") == [(1,)]
    status, out, _ = run("setup-replication", servers, "--dry-run")
    assert (status, "nothing to do" in out) == (0, True)
    status, out, _ = run("status", servers, "--json")
    nodes = json.loads(out)["databasenode"]
    assert (status, [one["state"] for one in nodes]) == (0, ["Up"] * 4)


@pytest.mark.slow
def test_each_break_of_a_running_pair_is_seen(lab: MariaDbLab, run: Run) -> None:
    """A stopped thread, a duplicate key, a wrong password, a lost server, purged logs."""
    first, second = servers = _servers(lab, 2)
    assert run("setup-replication", servers)[0] == 0
    second.run("STOP SLAVE SQL_THREAD")
    assert "applies nothing: it was stopped" in _seen_until(servers, "not-applying")
    status, out, _ = run("setup-replication", servers)
    assert (status, "START SLAVE" in out) == (0, True)

    with second.connect() as connection, connection.cursor() as cursor:
        cursor.execute("SET sql_log_bin = 0")
        cursor.execute("INSERT INTO cloud.vm (id, name) VALUES (101, 'mine')")
    first.run("INSERT INTO cloud.vm (id, name) VALUES (101, 'yours')")
    assert "Duplicate entry" in _seen_until(servers, "not-applying")
    second.run("DELETE FROM cloud.vm WHERE id = 101", "START SLAVE")

    second.run("STOP SLAVE", "CHANGE MASTER TO MASTER_PASSWORD = 'wrong'", "START SLAVE")
    assert "Access denied" in _seen_until(servers, "not-receiving")
    second.run("STOP SLAVE")
    first.run("FLUSH BINARY LOGS", "INSERT INTO cloud.vm (name) VALUES ('gone')", "FLUSH BINARY LOGS")
    _purge_all(first)
    second.run(f"CHANGE MASTER TO MASTER_PASSWORD = '{REPLICATION}'", "START SLAVE")
    assert "rebuild" in _seen_until(servers, "purged")
    second.kill()
    assert "cannot be read" in _seen_until(servers, "unreachable")
    status, out, _ = run("status", servers)
    assert (status, "does not answer" in out) == (1, True)


@pytest.mark.slow
def test_a_write_to_the_end_of_a_chain_is_errant(lab: MariaDbLab, run: Run) -> None:
    """It will never come back to its source, and the how-to's words make a copy of the server again."""
    first, second = servers = _servers(lab, 2)
    assert run("setup-replication", servers, "--one-way")[0] == 0
    second.run("INSERT INTO cloud.vm (name) VALUES ('stray')")
    assert "has diverged" in _seen_until(servers, "errant")
    page = (Path(__file__).parents[3] / "docs" / "how-to" / "database-replication.md").read_text(encoding="utf-8")
    found = re.search(r"2\. On that server: (.+?)\n3\.", page, re.DOTALL)
    assert found
    statements = [one for part in re.findall(r"`([^`]+)`", found[1]) for one in part.split(";") if one.strip()]
    for statement in statements:
        second.run("DROP DATABASE cloud" if "DROP DATABASE" in statement else statement)
    assert run("setup-replication", servers, "--one-way")[0] == 0
    _caught_up(second, first)
    assert _names(second) == ["one"]


@pytest.mark.slow
def test_data_is_never_overwritten(lab: MariaDbLab, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server with a database of its own is refused, and nothing at all is changed; nor is by an unfit password."""
    servers = _servers(lab, 2)
    monkeypatch.setenv("HOLDFAST_REPLICATION_PASSWORD", "with'quote")
    status, out, err = run("setup-replication", servers)
    assert (status, out, "may hold no quote" in err) == (2, "", True)
    assert servers[0].value("@@GLOBAL.auto_increment_increment") == 1
    monkeypatch.setenv("HOLDFAST_REPLICATION_PASSWORD", REPLICATION)
    servers[1].run("CREATE DATABASE shop", "CREATE TABLE shop.orders (id INT)")
    status, _, err = run("setup-replication", servers)
    assert status == 2
    assert re.search(r"nothing was changed: .* holds data \(shop\)", err)
    assert servers[1].run("SHOW TABLES IN shop") == [("orders",)]
    assert not servers[0].run("SELECT User FROM mysql.user WHERE User = 'holdfast_repl'")


@pytest.mark.slow
def test_another_password_does_not_shut_running_replicas_out(
    lab: MariaDbLab, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Adding a stream with one is refused. Where somebody changed it all the same, running it again mends that."""
    first, second = servers = _servers(lab, 2)
    assert run("setup-replication", servers, "--one-way")[0] == 0
    monkeypatch.setenv("HOLDFAST_REPLICATION_PASSWORD", "Other-1")
    status, _, err = run("setup-replication", servers)
    assert (status, "nothing was changed: holdfast_repl has another password" in err) == (2, True)
    assert not first.table("SHOW ALL SLAVES STATUS")
    first.run("ALTER USER holdfast_repl@'%' IDENTIFIED BY 'Other-1'")
    second.run("STOP SLAVE", "START SLAVE")
    assert "Access denied" in _seen_until(servers, "not-receiving")
    status, _, err = run("setup-replication", servers)
    assert (status, err) == (0, "")


@pytest.mark.slow
def test_purging_leaves_what_a_stopped_replica_needs(lab: MariaDbLab, run: Run) -> None:
    """It goes on afterwards where it stood; only then the rest may go."""
    first, second = servers = _servers(lab, 2)
    assert run("setup-replication", servers, "--one-way")[0] == 0
    second.run("STOP SLAVE")
    for number in range(4):
        first.run(f"INSERT INTO cloud.vm (name) VALUES ('more {number}')", "FLUSH BINARY LOGS")
    status, _, err = run("purge", servers, "--keep-hours", "0")
    assert (status, err) == (0, "")
    second.run("START SLAVE")
    _caught_up(second, first)
    _in_newest_log(second, first)
    assert len(_names(second)) == 5
    before = len(first.run("SHOW BINARY LOGS"))
    assert "may purge" in run("purge", servers, "--keep-hours", "0", "--dry-run")[1]
    assert len(first.run("SHOW BINARY LOGS")) == before
    assert "purged" in run("purge", servers, "--keep-hours", "0")[1]
    for _ in range(_LOOKS):  # as in `_purge_all`: the thread from before the stop may still stand in one
        if len(first.run("SHOW BINARY LOGS")) == 1:
            break
        time.sleep(0.05)
        run("purge", servers, "--keep-hours", "0")
    assert len(first.run("SHOW BINARY LOGS")) == 1
    second.kill()
    status, _, err = run("purge", servers, "--keep-hours", "0")
    assert status == 1
    assert f"127.0.0.1:{second.port} was not looked at, so its logs all stay: " in err


@pytest.mark.parametrize("words", [("--keep-hours", "-1"), ("--lost-hours", "nan"), ("--keep-hours", "inf")])
def test_hours_that_are_none_are_refused(capsys: pytest.CaptureFixture[str], words: tuple[str, str]) -> None:
    """Before any server is asked."""
    assert main(["db", "purge", *words]) == 2
    assert f"{words[0]} is {float(words[1]):g}; 0 or more hours are allowed" in capsys.readouterr().err


def test_no_password_anywhere_is_a_clear_error(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where nobody can be asked."""
    monkeypatch.delenv("HOLDFAST_DB_PASSWORD", raising=False)
    monkeypatch.setattr("sys.stdin", io.StringIO())
    assert main(["db", "status", "--server", "127.0.0.1:1"]) == 2
    assert "set HOLDFAST_DB_PASSWORD" in capsys.readouterr().err


def test_a_login_for_the_tools_is_on_no_disk(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A command that is killed while it copies would leave it there."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with _login(DatabaseServer("db1", 3306, ADMIN, Secret(PASSWORD), "")) as login:
        assert f'password="{PASSWORD}"' in Path(f"/dev/fd/{login}").read_text()
        assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("text", ["db1:x", ":3306", "db1:99999"])
def test_a_malformed_address_is_named(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Before anything is asked."""
    assert main(["db", "status", "--server", text]) == 2
    assert text in capsys.readouterr().err
