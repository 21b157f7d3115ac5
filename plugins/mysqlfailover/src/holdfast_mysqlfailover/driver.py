"""The database driver `mysql`: connections to whichever host of `db.properties` may be written to."""

import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa
from holdfast.hooks.database import Database, DatabaseServer
from holdfast.hooks.markers import hookimpl
from holdfast.options import Option
from pymysql.err import MySQLError

from holdfast_mysqlfailover.connection import PilotedConnection
from holdfast_mysqlfailover.keys import DATABASES
from holdfast_mysqlfailover.opening import connect, let_the_kernel_watch
from holdfast_mysqlfailover.pilot import Pilot
from holdfast_mysqlfailover.piloted_dialect import SCHEME
from holdfast_mysqlfailover.plan import Plan
from holdfast_mysqlfailover.reading import explain, has_database, read_plan
from holdfast_mysqlfailover.scout import is_silence
from holdfast_mysqlfailover.seen_epoch import SeenEpoch
from holdfast_mysqlfailover.timing import Timing

_RECYCLE_SECONDS: Final = 3600


class MySqlDatabase(Database):
    """MySQL or MariaDB, one host or several that replicate."""

    SETTINGS: Final = {
        "properties": Option(
            Path,
            Path("/etc/holdfast/db.properties"),
            "the file that says where the database is; CloudStack's is /etc/cloudstack/management/db.properties",
        ),
        "database": Option(str, "cloud", "which of the file's databases", choices=("cloud", "usage")),
        "encryption_key_file": Option(
            Path,
            Path("/etc/cloudstack/management/key"),
            "the management secret, where db.cloud.encryption.type is file",
        ),
        "connect_seconds": Option(
            float, 2.0, "how long a host may answer nothing at all before it is lost", low=0.2, high=60.0
        ),
        "answer_seconds": Option(float, 30.0, "how long one statement may take", low=1.0, high=3600.0),
        "patience_seconds": Option(
            float, 8.0, "how long a call waits for a host that can be used", low=0.1, high=600.0
        ),
        "start_seconds": Option(
            float, 60.0, "the same at the start, before any host could be used", low=0.0, high=86400.0
        ),
        "accept_loss": Option(
            bool, False, "go on at a replica also where it never received what the lost host was seen to have"
        ),
        "data_dir": Option(Path, None, "where the newest writer epoch that was seen is kept"),
        "catch_up_seconds": Option(
            float, 10.0, "how long a replica may take to apply what it had received", low=0.1, high=3600.0
        ),
    }

    def __init__(self, settings: Mapping[str, Any]) -> None:
        given = {key: option.default for key, option in self.SETTINGS.items()} | dict(settings)
        self._settings = given
        self._plan = self._read(given["database"])
        self._timing = Timing(
            silence=self._plan.connect_seconds,
            patience=given["patience_seconds"],
            start=given["start_seconds"],
            catch_up=given["catch_up_seconds"],
            accept_loss=given["accept_loss"],
        )
        self._guard = threading.Lock()
        folder = given["data_dir"]
        seen = SeenEpoch(Path(folder) / f"database-epoch-{given['database']}" if folder else None)
        self._pilot = Pilot(self._plan, self._timing, seen)
        self._engine: sa.Engine | None = None

    @hookimpl
    def engine(self) -> sa.Engine:
        """The engine. Nothing is connected yet."""
        with self._guard:
            if self._engine is None:
                self._engine = self._made()
            return self._engine

    @hookimpl
    def describe(self) -> str:
        """The hosts in order, the one that serves, and the database."""
        hosts = ", ".join(map(str, self._plan.hosts))
        now = self._pilot.standing
        serving = f", {now.host} serves" if now.host is not None and self._plan.fails_over else ""
        return f"MySQL at {hosts}{serving}, database {self._plan.database}, user {self._plan.user}"

    @hookimpl
    def explain(self) -> tuple[tuple[str, str, str], ...]:
        """Every key of `db.properties` in effect."""
        return tuple(
            (value.key, value.text + (f"  ({value.note})" if value.note else ""), value.origin)
            for value in explain(self._plan)
        )

    @hookimpl
    def servers(self) -> tuple[DatabaseServer, ...]:
        """All hosts of both databases of the file, as far as they are written there."""
        found = []
        for database in DATABASES:
            if has_database(Path(self._settings["properties"]), database):
                plan = self._read(database)
                tls = plan.tls.words if plan.tls else {}
                found += [
                    DatabaseServer(
                        host.name, host.port, plan.user, plan.password, plan.database, database == "usage", tls
                    )
                    for host in plan.hosts
                ]
        return tuple(found)

    @hookimpl
    def close(self) -> None:
        """Close all idle connections, and stop looking at the hosts; connections in use close when given back."""
        with self._guard:
            if self._engine is not None:
                self._engine.dispose()
            self._pilot.close()

    def _read(self, database: str) -> Plan:
        given = self._settings
        return read_plan(
            Path(given["properties"]),
            database,
            Path(given["encryption_key_file"]),
            given["connect_seconds"],
            given["answer_seconds"],
        )

    def _made(self) -> sa.Engine:
        kept = min(self._plan.kept_connections, self._plan.most_connections)
        engine = sa.create_engine(
            # For messages only: connections are made by `_connect`.
            sa.URL.create(SCHEME, database=self._plan.database),
            creator=self._connect,
            hide_parameters=True,
            poolclass=sa.QueuePool,
            pool_size=kept,
            max_overflow=self._plan.most_connections - kept,
            pool_timeout=self._plan.pool_seconds,
            pool_recycle=_RECYCLE_SECONDS,
        )
        sa.event.listen(engine, "checkout", self._on_checkout)
        return engine

    def _connect(self) -> PilotedConnection:
        until = self._pilot.patience()
        while True:
            standing = self._pilot.serving(until)
            assert standing.host is not None, "somebody serves"
            seconds = min(self._plan.connect_seconds, max(until - time.monotonic(), 0.1))
            try:
                made = connect(PilotedConnection, self._plan, standing.host, seconds, self._plan.answer_seconds)
                if standing.read_only:
                    made.query("SET SESSION TRANSACTION READ ONLY")
            except MySQLError as problem:
                if not is_silence(problem) or time.monotonic() >= until:
                    raise
                self._pilot.failed(standing, problem)
                continue
            let_the_kernel_watch(made, self._plan.answer_seconds)
            made.settle(self._pilot, standing)
            self._pilot.lines.add(made)
            if self._pilot.standing.generation == standing.generation:
                return made
            made._force_close()  # type: ignore[attr-defined]

    def _on_checkout(self, connection: Any, record: Any, proxy: Any) -> None:
        if connection.standing.generation != self._pilot.standing.generation or connection.is_dead:
            connection._force_close()
            raise sa.exc.DisconnectionError("this connection leads to a host that no longer serves")
        connection.retry_safe = False
