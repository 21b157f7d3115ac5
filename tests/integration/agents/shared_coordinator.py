"""A coordinator for several servers on one machine: leases and claims in one SQLite file, by the machine's clock."""

import secrets
import sqlite3
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, ClassVar

from holdfast.errors import LeaseLost
from holdfast.hooks.coordinator import Session
from holdfast.hooks.markers import hookimpl
from holdfast.options import Option

_TABLES = """
create table if not exists lease (token text primary key, member text, seconds real, ends real);
create table if not exists claim (resource text primary key, token text, epoch integer);
create table if not exists epoch (n integer primary key autoincrement);
"""


class SharedCoordinator:
    SETTINGS: ClassVar[Mapping[str, Option]] = {"path": Option(Path, doc="the file that all servers share")}

    def __init__(self, settings: Mapping[str, Any]) -> None:
        self._path = settings["path"]
        with closing(sqlite3.connect(self._path, timeout=10)) as database:
            database.executescript(_TABLES)

    @contextmanager
    def _alone(self) -> Iterator[sqlite3.Connection]:
        with closing(sqlite3.connect(self._path, timeout=10, isolation_level=None)) as database:
            database.execute("begin immediate")
            now = time.clock_gettime(time.CLOCK_BOOTTIME)
            database.execute("delete from lease where ends <= ?", (now,))
            database.execute("delete from claim where token not in (select token from lease)")
            yield database
            database.execute("commit")

    @staticmethod
    def _epoch(database: sqlite3.Connection) -> int:
        return int(database.execute("insert into epoch default values").lastrowid or 0)

    @hookimpl
    def join(self, member: str, lease_seconds: float) -> Session:
        while True:
            with self._alone() as database:
                if not database.execute("select 1 from lease where member = ?", (member,)).fetchall():
                    token = secrets.token_hex(8)
                    ends = time.clock_gettime(time.CLOCK_BOOTTIME) + lease_seconds
                    database.execute("insert into lease values (?, ?, ?, ?)", (token, member, lease_seconds, ends))
                    return Session(member, self._epoch(database), token)
            time.sleep(0.1)

    @hookimpl
    def renew(self, session: Session) -> float:
        asked = time.clock_gettime(time.CLOCK_BOOTTIME)
        with self._alone() as database:
            found = database.execute("select seconds from lease where token = ?", (session.token,)).fetchall()
            if found:
                database.execute("update lease set ends = ? where token = ?", (asked + found[0][0], session.token))
        if not found:
            raise LeaseLost("the lease has ended")
        return float(found[0][0])

    @hookimpl
    def leave(self, session: Session) -> None:
        with self._alone() as database:
            database.execute("delete from lease where token = ?", (session.token,))
            database.execute("delete from claim where token = ?", (session.token,))

    @hookimpl
    def members(self) -> tuple[str, ...]:
        with self._alone() as database:
            return tuple(row[0] for row in database.execute("select distinct member from lease order by member"))

    @hookimpl
    def claim(self, session: Session, resources: tuple[str, ...]) -> dict[str, int]:
        with self._alone() as database:
            alive = database.execute("select 1 from lease where token = ?", (session.token,)).fetchall()
            held = {}
            for resource in resources if alive else ():
                if not database.execute("select 1 from claim where resource = ?", (resource,)).fetchall():
                    row = (resource, session.token, self._epoch(database))
                    database.execute("insert into claim values (?, ?, ?)", row)
                [(token, epoch)] = database.execute("select token, epoch from claim where resource = ?", (resource,))
                if token == session.token:
                    held[resource] = epoch
        if not alive:
            raise LeaseLost("the lease has ended")
        return held

    @hookimpl
    def release(self, session: Session, resources: tuple[str, ...]) -> None:
        with self._alone() as database:
            for resource in resources:
                database.execute("delete from claim where resource = ? and token = ?", (resource, session.token))
