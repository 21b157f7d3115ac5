"""Rows that servers answered become channels: MariaDB's are also read for real, MySQL's are as its manual has them."""

from typing import Any

from holdfast_mysqlfailover.dialects import mariadb_channel, mysql_channel
from holdfast_mysqlfailover.history import mariadb_history, mysql_history

UUID = "3e11fa47-71ca-11e1-9e33-c80aa9429562"
MARIADB: dict[str, Any] = {
    "Connection_name": "",
    "Slave_IO_Running": "Yes",
    "Slave_SQL_Running": "Yes",
    "Last_SQL_Errno": 0,
    "Last_SQL_Error": "",
    "Master_Server_Id": 2,
    "Master_Log_File": "binlog.000001",
    "Read_Master_Log_Pos": 1077,
    "Relay_Master_Log_File": "binlog.000001",
    "Exec_Master_Log_Pos": 1077,
    "Using_Gtid": "Slave_Pos",
    "Gtid_IO_Pos": "0-2-4",
    "Slave_received_heartbeats": 3,
    "Slave_heartbeat_period": "1.000",
}
MYSQL: dict[str, Any] = {
    "Channel_Name": "",
    "Replica_IO_Running": "Yes",
    "Replica_SQL_Running": "Yes",
    "Last_SQL_Errno": 0,
    "Last_SQL_Error": "",
    "Source_Server_Id": 1,
    "Source_Log_File": "binlog.000003",
    "Read_Source_Log_Pos": 900,
    "Relay_Source_Log_File": "binlog.000003",
    "Exec_Source_Log_Pos": 700,
    "Retrieved_Gtid_Set": f"{UUID}:5-9",
    "heartbeat": 1.0,
    "heartbeats": 3,
}


def test_mariadb_with_gtid() -> None:
    """What was received is compared with all that the replica has, so that its own transactions that come around a
    ring count as applied."""
    channel = mariadb_channel(MARIADB, mariadb_history("0-1-3,0-2-4"))
    assert (channel.source, channel.receiving, channel.applying, channel.missing) == (2, True, True, "")
    behind = mariadb_channel({**MARIADB, "Gtid_IO_Pos": "0-2-9"}, mariadb_history("0-1-3,0-2-4"))
    assert behind.missing == "0-2:5-9"
    assert mariadb_channel({**MARIADB, "Gtid_IO_Pos": "0-1-3"}, mariadb_history("0-1-3,0-2-4")).missing == ""


def test_mariadb_without_gtid() -> None:
    """Positions in the binary log are compared then."""
    row = {**MARIADB, "Using_Gtid": "No", "Gtid_IO_Pos": ""}
    assert mariadb_channel(row, mariadb_history("")).missing == ""
    row["Exec_Master_Log_Pos"] = 500
    assert mariadb_channel(row, mariadb_history("")).missing == "binlog.000001:500 to binlog.000001:1077"


def test_mysql_with_and_without_gtid() -> None:
    """In the words of version 8."""
    assert mysql_channel(MYSQL, mysql_history(f"{UUID}:1-9")).missing == ""
    assert mysql_channel(MYSQL, mysql_history(f"{UUID}:1-7")).missing == f"{UUID}:8-9"
    assert mysql_channel({**MYSQL, "Retrieved_Gtid_Set": ""}, mysql_history("")).missing.endswith("binlog.000003:900")


def test_an_error_is_told_without_the_values_in_it() -> None:
    """They may be somebody's password."""
    row = {**MARIADB, "Slave_SQL_Running": "No", "Last_SQL_Errno": 1062}
    row["Last_SQL_Error"] = "Could not execute Write_rows event; Duplicate entry 'hunter2' for key"
    channel = mariadb_channel(row, mariadb_history(""))
    assert channel.error == "error 1062: Could not execute Write_rows event; Duplicate entry"
    assert not channel.applying


def test_contact_changes_with_each_heartbeat() -> None:
    """It is what shows that the source lives."""
    one = mariadb_channel(MARIADB, mariadb_history(""))
    assert mariadb_channel({**MARIADB, "Slave_received_heartbeats": 4}, mariadb_history("")).contact != one.contact
    other = mysql_channel(MYSQL, mysql_history(""))
    assert mysql_channel({**MYSQL, "heartbeats": 4}, mysql_history("")).contact != other.contact
