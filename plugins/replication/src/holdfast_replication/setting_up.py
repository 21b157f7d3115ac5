"""Carries a plan out, and waits until the servers agree. Blocks."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import pymysql
from holdfast.errors import InvalidRequest, Refused, Unreachable
from holdfast.hooks.database import DatabaseServer
from holdfast.model import Secret

from holdfast_replication.copying import copy, need_tools
from holdfast_replication.findings import Limits, judge
from holdfast_replication.reading import connect, read_all, read_server, reason_of
from holdfast_replication.setup_facts import Facts, read_facts
from holdfast_replication.setup_plan import ACCESS_DENIED, Plan, Step, Wish, plan, wanted_links
from holdfast_replication.state import Silent

Tell = Callable[[str], None]

PATIENCE = 60.0
"""Seconds that a replica gets to come as far as another server."""


def gather(servers: Sequence[DatabaseServer], seconds: float) -> list[Facts]:
    """The facts of all servers. Raises `Unreachable` naming each that could not be read."""
    readings = [read_server(one, seconds) for one in servers]
    silent = [f"{one.address}: {one.reason}" for one in readings if isinstance(one, Silent)]
    if silent:
        raise Unreachable("nothing was changed, every server has to answer: " + "; ".join(silent))
    try:
        return [
            read_facts(server, state, seconds)
            for server, state in zip(servers, readings, strict=True)
            if not isinstance(state, Silent)
        ]
    except (pymysql.MySQLError, OSError) as problem:
        raise Unreachable(f"nothing was changed: {reason_of(problem)}") from problem


def planned(servers: Sequence[DatabaseServer], wish: Wish, seconds: float) -> Plan:
    """What there is to do. `InvalidRequest` if it must not be done, `ConfigurationError` if it cannot be done here."""
    found = plan(gather(servers, seconds), wish)
    if any(step.kind == "copy" for step in found.steps):
        need_tools()
    return found


def carry_out(servers: Sequence[DatabaseServer], found: Plan, password: Secret, seconds: float, tell: Tell) -> None:
    """Do every step in order. Raises `Refused` at the first that fails; planning anew then finds what is left.

    `InvalidRequest` or `Refused`, and nothing is done, if the password cannot be the one of replicas that run.
    """
    if found.needs_password:
        _check(servers[0], found, password, seconds)
    by_address = {one.address: one for one in servers}
    for step in found.steps:
        tell(f"{step.server}: {step.statement}")
        try:
            if step.kind == "copy":
                copy(by_address[step.source], by_address[step.server], step.databases, seconds)
                # A source refuses a replica that is ahead of it, and it may itself still be behind.
                if step.awaits != step.source:
                    _reach(by_address[step.awaits], by_address[step.server], seconds, PATIENCE)
            else:
                _execute(by_address[step.server], step, password, seconds)
        except (pymysql.MySQLError, OSError) as problem:
            raise Refused(f"{step.server} refused `{step.statement}`: {reason_of(problem)}") from problem


def verify(servers: Sequence[DatabaseServer], seconds: float, patience: float = PATIENCE) -> list[str]:
    """Wait until each replica has what its source has; what is wrong then, one sentence each, empty if nothing."""
    by_address = {one.address: one for one in servers}
    # The first server has its own changes already; MariaDB would wait there until they come back to it.
    for replica, source in wanted_links([one.address for one in servers], one_way=True):
        try:
            _catch_up(by_address[replica], by_address[source], seconds, patience)
        except (pymysql.MySQLError, OSError):
            break  # the findings say it better
    return [one.text for one in judge(read_all(servers, seconds), Limits()) if one.severity == "critical"]


def _check(first: DatabaseServer, found: Plan, password: Secret, seconds: float) -> None:
    """Running replicas would be shut out, at their next login, by another password than theirs."""
    _literal(password)
    if not found.running:
        return
    try:
        with connect(first, seconds) as connection, connection.cursor() as cursor:
            cursor.execute("SELECT 1 FROM mysql.user WHERE User = %s AND Host = '%%'", (found.user,))
            if not cursor.fetchall():
                return
        connect(replace(first, username=found.user, password=password), seconds).close()
    except (pymysql.MySQLError, OSError) as problem:
        if problem.args[:1] != (ACCESS_DENIED,):
            raise Unreachable(f"nothing was changed: {first.address}: {reason_of(problem)}") from problem
        raise Refused(
            f"nothing was changed: {found.user} has another password on {first.address}, and replicas that run may log "
            "in with it: give that password, or another name with --replication-user"
        ) from None


def _reach(source: DatabaseServer, replica: DatabaseServer, seconds: float, patience: float) -> None:
    """Return when `source` has what `replica` was copied from."""
    with connect(replica, seconds) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT @@GLOBAL.gtid_slave_pos AS position")
        position = cursor.fetchone()["position"]
    with connect(source, patience + seconds) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT MASTER_GTID_WAIT(%s, %s) AS late", (position, patience))
        if cursor.fetchone()["late"]:
            raise Refused(f"{source.address} did not come as far as {position} within {patience:g} s")


def _catch_up(replica: DatabaseServer, source: DatabaseServer, seconds: float, patience: float) -> None:
    with connect(source, seconds) as connection, connection.cursor() as cursor:
        maria = "mariadb" in str(connection.get_server_info()).lower()
        cursor.execute(f"SELECT @@GLOBAL.{'gtid_binlog_pos' if maria else 'gtid_executed'} AS position")
        position = cursor.fetchone()["position"]
    with connect(replica, patience + seconds) as connection, connection.cursor() as cursor:
        function = "MASTER_GTID_WAIT" if maria else "WAIT_FOR_EXECUTED_GTID_SET"
        cursor.execute(f"SELECT {function}(%s, %s)", (position, patience))


def _execute(server: DatabaseServer, step: Step, password: Secret, seconds: float) -> None:
    statement = step.statement
    if "{password}" in statement:
        statement = statement.replace("{password}", f"'{_literal(password)}'")
    with connect(server, seconds) as connection, connection.cursor() as cursor:
        cursor.execute(statement)


def _literal(password: Secret) -> str:
    """The password for a statement; the error does not show it."""
    text = password.reveal()
    if not text or any(sign in text for sign in "'\\\0\n"):
        raise InvalidRequest("the replication password may not be empty, and may hold no quote, backslash or line end")
    return text
