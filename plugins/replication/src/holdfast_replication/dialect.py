"""From the rows that servers answer to `ServerState`, in MariaDB's words and in MySQL's. Pure.

Rows are dictionaries by the column names that the server gives. MySQL renamed "slave" and "master" to "replica" and
"source" in 8.0.22 to 8.4; both sets of names are understood for either.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from holdfast_replication.gtid import GtidSet, History, mariadb_positions, parse_mariadb, parse_mysql
from holdfast_replication.state import BinaryLog, Channel, Flavor, Registered, SemiSync

Row = Mapping[str, Any]

VARIABLES = (
    "auto_increment_increment", "auto_increment_offset", "enforce_gtid_consistency", "gtid_binlog_pos",
    "gtid_binlog_state", "gtid_executed", "gtid_mode", "gtid_slave_pos", "gtid_strict_mode", "log_bin",
    "log_replica_updates", "log_slave_updates", "read_only", "rpl_semi_sync_master_enabled",
    "rpl_semi_sync_replica_enabled", "rpl_semi_sync_slave_enabled", "rpl_semi_sync_source_enabled", "server_id",
    "server_uuid", "super_read_only", "version", "version_comment",
)  # fmt: skip
"""What is asked of `SHOW GLOBAL VARIABLES`; each server knows some of them."""

STATUS = (
    "Rpl_semi_sync_master_clients", "Rpl_semi_sync_master_status", "Rpl_semi_sync_replica_status",
    "Rpl_semi_sync_slave_status", "Rpl_semi_sync_source_clients", "Rpl_semi_sync_source_status",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Statements:
    """The statements of one dialect. Several of a kind are tried in order: newer words first."""

    channels: tuple[str, ...]
    replicas: tuple[str, ...]
    history: str


MARIADB = Statements(
    channels=("SHOW ALL SLAVES STATUS",),
    replicas=("SHOW SLAVE HOSTS",),
    history="SELECT @@GLOBAL.gtid_binlog_state AS gtid_binlog_state, @@GLOBAL.gtid_slave_pos AS gtid_slave_pos, "
    "@@GLOBAL.gtid_binlog_pos AS gtid_binlog_pos",
)
MYSQL = Statements(
    channels=("SHOW REPLICA STATUS", "SHOW SLAVE STATUS"),
    replicas=("SHOW REPLICAS", "SHOW SLAVE HOSTS"),
    history="SELECT @@GLOBAL.gtid_executed AS gtid_executed",
)


def flavor_of(variables: Row) -> Flavor:
    """Which of the two a server is, by its version."""
    words = f"{variables.get('version', '')} {variables.get('version_comment', '')}"
    return "MariaDB" if "mariadb" in words.lower() else "MySQL"


def statements(flavor: Flavor) -> Statements:
    """How to ask a server of that kind."""
    return MARIADB if flavor == "MariaDB" else MYSQL


def history(flavor: Flavor, values: Row) -> History:
    """What was executed. Text that cannot be read counts as nothing known and raises `ValueError`."""
    if flavor == "MySQL":
        text = "".join(str(values.get("gtid_executed") or "").split())
        return History(parse_mysql(text), {}, text)
    written, applied = str(values.get("gtid_binlog_state") or ""), str(values.get("gtid_slave_pos") or "")
    position = str(values.get("gtid_binlog_pos") or "")
    executed: GtidSet = parse_mariadb(written).union(parse_mariadb(applied))
    newest = mariadb_positions(position, applied)
    return History(executed, newest, position or applied)


def channel(row: Row) -> Channel:
    """One row of `SHOW ALL SLAVES STATUS` or `SHOW REPLICA STATUS`."""
    receiving = str(_first(row, "Slave_IO_Running", "Replica_IO_Running") or "No")
    lag = _first(row, "Seconds_Behind_Master", "Seconds_Behind_Source")
    return Channel(
        name=str(_first(row, "Connection_name", "Channel_Name") or ""),
        source_host=str(_first(row, "Master_Host", "Source_Host") or ""),
        source_port=number(_first(row, "Master_Port", "Source_Port")),
        source_id=number(_first(row, "Master_Server_Id", "Source_Server_Id")),
        receiving=receiving == "Yes",
        connecting=receiving in ("Connecting", "Preparing"),
        applying=str(_first(row, "Slave_SQL_Running", "Replica_SQL_Running") or "No") == "Yes",
        lag=None if lag is None else float(lag),
        delay=float(number(row.get("SQL_Delay"))),
        receive_error=_text(row.get("Last_IO_Error")),
        receive_errno=number(row.get("Last_IO_Errno")),
        apply_error=_text(row.get("Last_SQL_Error")),
        apply_errno=number(row.get("Last_SQL_Errno")),
        by_gtid=str(row.get("Using_Gtid") or "No") != "No" or number(row.get("Auto_Position")) == 1,
        encrypted=str(_first(row, "Master_SSL_Allowed", "Source_SSL_Allowed") or "No") == "Yes",
        executed_file=_text(_first(row, "Relay_Master_Log_File", "Relay_Source_Log_File")),
        executed_position=number(_first(row, "Exec_Master_Log_Pos", "Exec_Source_Log_Pos")),
    )


def registered(row: Row) -> Registered:
    """One row of `SHOW SLAVE HOSTS` or `SHOW REPLICAS`."""
    return Registered(number(_first(row, "Server_id", "Server_Id")), _text(row.get("Host")), number(row.get("Port")))


def binary_log(row: Row) -> BinaryLog:
    """One row of `SHOW BINARY LOGS`."""
    return BinaryLog(_text(row.get("Log_name")), number(row.get("File_size")))


def semi_sync(variables: Row, status: Row) -> SemiSync:
    """Whether commits wait for a replica, as configured and as it is."""
    on = _reader(variables)
    active = _reader(status)
    clients = _first(status, "Rpl_semi_sync_source_clients", "Rpl_semi_sync_master_clients")
    return SemiSync(
        source_enabled=on("rpl_semi_sync_source_enabled", "rpl_semi_sync_master_enabled"),
        source_active=active("Rpl_semi_sync_source_status", "Rpl_semi_sync_master_status"),
        clients=number(clients),
        replica_enabled=on("rpl_semi_sync_replica_enabled", "rpl_semi_sync_slave_enabled"),
        replica_active=active("Rpl_semi_sync_replica_status", "Rpl_semi_sync_slave_status"),
    )


def is_on(value: object) -> bool:
    """Whether a variable is switched on."""
    return str(value).upper() in ("1", "ON", "YES", "TRUE")


def pairs(rows: Iterable[Row]) -> dict[str, Any]:
    """Rows of `SHOW VARIABLES` or `SHOW STATUS` as a dictionary, with their names as asked for."""
    names = {name.lower(): name for name in (*VARIABLES, *STATUS)}
    found = {}
    for row in rows:
        name = str(row.get("Variable_name", ""))
        found[names.get(name.lower(), name)] = row.get("Value")
    return found


def _reader(values: Row) -> Callable[..., bool]:
    return lambda *names: any(is_on(values.get(name)) for name in names)


def _first(row: Row, *names: str) -> Any:
    return next((row[name] for name in names if row.get(name) is not None), None)


def number(value: object) -> int:
    """A whole number, 0 where the server gave none."""
    try:
        return int(str(value))
    except ValueError:
        return 0


def _text(value: object) -> str:
    return "" if value is None else str(value).strip()
