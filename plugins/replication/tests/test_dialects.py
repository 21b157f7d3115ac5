"""Answers as MariaDB 10.11, MySQL 8.0 and MySQL 8.4 give them, taken in by column name."""

from typing import Any

import pytest
from holdfast_replication import dialect

UUID = "3e11fa47-71ca-11e1-9e33-c80aa9429562"

# Columns as printed in the MySQL 8.0 reference manual, 13.7.7.35 SHOW REPLICA STATUS.
MYSQL_80: dict[str, Any] = {
    "Replica_IO_State": "Waiting for source to send event", "Source_Host": "127.0.0.1", "Source_User": "repl",
    "Source_Port": 13000, "Connect_Retry": 1, "Source_Log_File": "source-bin.000001", "Read_Source_Log_Pos": 927,
    "Relay_Log_File": "replica-relay-bin.000002", "Relay_Log_Pos": 1145, "Relay_Source_Log_File": "source-bin.000001",
    "Replica_IO_Running": "Yes", "Replica_SQL_Running": "Yes", "Last_Errno": 0, "Last_Error": "",
    "Exec_Source_Log_Pos": 927, "Source_SSL_Allowed": "No", "Seconds_Behind_Source": 0, "Last_IO_Errno": 0,
    "Last_IO_Error": "", "Last_SQL_Errno": 0, "Last_SQL_Error": "", "Source_Server_Id": 1,
    "Source_UUID": "73f86016-978b-11ee-ade5-8d2a2a562feb", "SQL_Delay": 0, "SQL_Remaining_Delay": None,
    "Replica_SQL_Running_State": "Replica has read all relay log; waiting for more updates",
    "Retrieved_Gtid_Set": f"{UUID}:1-3", "Executed_Gtid_Set": f"{UUID}:1-3", "Auto_Position": 1, "Channel_Name": "",
}  # fmt: skip
# The older words, as MySQL before 8.0.22 and MariaDB print them.
OLD_WORDS = {
    key.replace("Replica_", "Slave_").replace("Source_", "Master_").replace("_Source", "_Master"): value
    for key, value in MYSQL_80.items()
}


@pytest.mark.parametrize("row", [MYSQL_80, OLD_WORDS], ids=["new words", "old words"])
def test_both_sets_of_names_mean_the_same(row: dict[str, Any]) -> None:
    """A stream that is well."""
    found = dialect.channel(row)
    assert (found.source_host, found.source_port, found.source_id) == ("127.0.0.1", 13000, 1)
    assert (found.receiving, found.applying, found.lag, found.by_gtid) == (True, True, 0.0, True)
    assert (found.executed_file, found.executed_position) == ("source-bin.000001", 927)


def test_a_broken_stream_shows_its_errors_and_no_lag() -> None:
    """NULL is no zero."""
    broken = MYSQL_80 | {
        "Replica_IO_Running": "Connecting", "Replica_SQL_Running": "No", "Seconds_Behind_Source": None,
        "Last_IO_Errno": 2003, "Last_IO_Error": "error connecting to source", "Last_SQL_Errno": 1062,
    }  # fmt: skip
    found = dialect.channel(broken)
    assert (found.receiving, found.connecting, found.applying, found.lag) == (False, True, False, None)
    assert (found.receive_errno, found.apply_errno) == (2003, 1062)


def test_mariadb_says_how_it_uses_gtids_by_a_word() -> None:
    """No, Slave_Pos or Current_Pos."""
    row = OLD_WORDS | {"Using_Gtid": "Slave_Pos", "Connection_name": "east"}
    row.pop("Auto_Position")
    assert dialect.channel(row).by_gtid
    assert dialect.channel(row).name == "east"
    assert not dialect.channel(row | {"Using_Gtid": "No"}).by_gtid


@pytest.mark.parametrize(
    ("version", "comment", "flavor"),
    [
        ("10.11.6-MariaDB-0+deb12u1-log", "Debian 12", "MariaDB"),
        ("8.0.36", "MySQL Community Server - GPL", "MySQL"),
        ("8.0.35-27", "Percona Server (GPL)", "MySQL"),
        ("5.5.5-10.4", "mariadb.org binary distribution", "MariaDB"),
    ],
)
def test_the_two_are_told_apart(version: str, comment: str, flavor: str) -> None:
    """By what they say of themselves."""
    assert dialect.flavor_of({"version": version, "version_comment": comment}) == flavor


def test_histories_of_both() -> None:
    """MySQL breaks its sets over lines; MariaDB's state and position together are what it has."""
    mysql = dialect.history("MySQL", {"gtid_executed": f"{UUID}:1-3,\n{UUID}:7"})
    assert mysql.executed.count() == 4
    copied = {"gtid_binlog_state": "0-2-12", "gtid_slave_pos": "0-1-10", "gtid_binlog_pos": "0-2-12"}
    mariadb = dialect.history("MariaDB", copied)
    assert str(mariadb.executed) == "up to 0-1-10, up to 0-2-12"
    assert mariadb.newest == {"0": 12}
    with pytest.raises(ValueError, match="GTID"):
        dialect.history("MariaDB", {"gtid_binlog_state": "garbage"})


def test_semi_sync_in_both_sets_of_names() -> None:
    """Switched on and in effect are two things."""
    new = dialect.semi_sync({"rpl_semi_sync_source_enabled": "ON"}, {"Rpl_semi_sync_source_status": "OFF"})
    old = dialect.semi_sync(
        {"rpl_semi_sync_master_enabled": "ON"},
        {"Rpl_semi_sync_master_status": "ON", "Rpl_semi_sync_master_clients": "2"},
    )
    assert (new.source_enabled, new.source_active) == (True, False)
    assert (old.source_active, old.clients) == (True, 2)
