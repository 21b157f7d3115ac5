"""The `replication` service: watches the database servers and tells what changes."""

import asyncio
import logging
import time
import uuid
from collections import deque
from collections.abc import Mapping
from typing import Any

from holdfast.errors import ConfigurationError, HoldfastError
from holdfast.hooks.database import DatabaseServer
from holdfast.hooks.markers import hookimpl
from holdfast.hooks.service import ServiceContext
from holdfast.hooks.store import Insert, Query
from holdfast.model import Alert, Event, ManagementServer, Moment
from holdfast.model.alerts import ALERT_TYPES
from holdfast.options import Option

from holdfast_replication.binary_logs import Memory
from holdfast_replication.changes import Change, Watch
from holdfast_replication.findings import Finding, Limits, judge
from holdfast_replication.nodes import nodes_of
from holdfast_replication.purging import purge
from holdfast_replication.reading import read_all
from holdfast_replication.state import Snapshot
from holdfast_replication.turns import PATIENCE_SECONDS, Turn, Turns

log = logging.getLogger("holdfast.replication")

EVENT = "DATABASE.REPLICATION"
ALERT = "ALERT.HA.DATABASE"

SETTINGS: dict[str, Option] = {
    "every": Option(float, 5.0, "seconds between two looks at the servers", low=0.2, high=3600),
    "timeout": Option(float, 2.0, "seconds that one statement, or connecting, may take", low=0.1, high=60),
    "lag": Option(float, 30.0, "a replica more than so many seconds behind is told of", low=1),
    "binary_log_gib": Option(float, 20.0, "a binary log that takes more than this is told of", low=0.001),
    "free_gib": Option(float, 5.0, "less free disk than this is told of, where the server shows it", low=0.001),
    "purge": Option(bool, False, "remove binary logs that no replica needs any more"),
    "keep_hours": Option(float, 24.0, "binary logs younger than this stay in any case", low=0),
    "lost_hours": Option(
        float, 72.0, "what a replica needs that was lost so long ago, or less, is kept; after that it is rebuilt", low=0
    ),
}
"""The table `[replication]`."""


class ReplicationService:
    """Looks at every server each few seconds; writes events and alerts from one management server at a time."""

    SETTINGS: Mapping[str, Any] = SETTINGS

    def __init__(self, settings: Mapping[str, Any]) -> None:
        self._settings = settings
        self._limits = limits_of(settings)
        self._watch = Watch()
        self._unwritten: deque[tuple[float, Change]] = deque(maxlen=1000)
        """With the moment of each, by the clock that only rises."""
        self._nodes: list[dict[str, Any]] = []
        self._task: asyncio.Task[None] | None = None

    @hookimpl
    async def start(self, context: ServiceContext) -> None:
        """Begin to watch. `ConfigurationError` if the database driver names no servers."""
        servers = context.plugins.driver("database").servers()
        if not servers:
            raise ConfigurationError(
                "[server] services has replication, but the chosen database has no servers to watch; take it out, or "
                'choose [database] driver = "mysql"'
            )
        self._turns = Turns(context.name, max(PATIENCE_SECONDS, 4 * self._settings["every"]))
        self._memory = Memory(context.config.server.data_dir / "binary-logs.json")
        context.live["replication.nodes"] = lambda: list(self._nodes)
        self._task = asyncio.create_task(self._run(context, servers), name="replication")

    @hookimpl
    async def wait(self) -> None:
        """Never returns by itself."""
        assert self._task is not None
        await self._task

    @hookimpl
    async def stop(self) -> None:
        """Stop watching."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self, context: ServiceContext, servers: tuple[DatabaseServer, ...]) -> None:
        while True:
            began = time.monotonic()
            try:
                await self._look(context, servers)
            except HoldfastError as problem:
                log.warning("replication: %s", problem)
            except Exception:
                log.exception("replication: this look at the servers failed; the next comes as usual")
            await asyncio.sleep(max(0.05, self._settings["every"] - (time.monotonic() - began)))

    async def _look(self, context: ServiceContext, servers: tuple[DatabaseServer, ...]) -> None:
        snapshot = await asyncio.to_thread(read_all, servers, self._settings["timeout"])
        findings = judge(snapshot, self._limits)
        self._nodes = nodes_of(snapshot, findings)
        for change in self._watch.take(findings):
            (log.info if change.over else log.warning)("%s", change.text)
            self._unwritten.append((time.monotonic(), change))
        acts = bool(self._unwritten or self._settings["purge"])
        turn = await asyncio.to_thread(self._whose_turn, context) if acts else Turn.UNKNOWN
        if turn is Turn.OURS:
            await asyncio.to_thread(self._write, context)
        elif turn is Turn.THEIRS:
            self._leave_to_others()
        await asyncio.to_thread(self._tend, servers, snapshot, turn is Turn.OURS)

    def _whose_turn(self, context: ServiceContext) -> Turn:
        try:
            up = context.store.select(ManagementServer, Query(equal={"removed": None, "state": "Up"}, order=("msid",)))
        except HoldfastError:
            self._turns.forget()
            return Turn.UNKNOWN  # what there is to tell waits until the database answers
        return self._turns.whose(up, time.monotonic())

    def _leave_to_others(self) -> None:
        """Forget what the server that tells has seen as well, for it lived long enough afterwards to look twice."""
        until = self._turns.heard - 2 * self._settings["every"]
        while self._unwritten and self._unwritten[0][0] <= until:
            self._unwritten.popleft()

    def _write(self, context: ServiceContext) -> None:
        while self._unwritten:
            _, change = self._unwritten[0]
            try:
                context.store.commit(rows_of(change, time.time()))
            except HoldfastError as problem:
                log.info("%d database events wait to be written: %s", len(self._unwritten), problem)
                return
            self._unwritten.popleft()

    def _tend(self, servers: tuple[DatabaseServer, ...], snapshot: Snapshot, acts: bool) -> None:
        self._memory.note(snapshot, time.time())
        if not (self._settings["purge"] and acts):
            return
        keep, lost = self._settings["keep_hours"] * 3600, self._settings["lost_hours"] * 3600
        for done in purge(servers, snapshot, self._memory, keep, lost, self._settings["timeout"]):
            log.info("%s", done)


def limits_of(settings: Mapping[str, Any]) -> Limits:
    """The limits that the table sets."""
    return Limits(settings["lag"], int(settings["binary_log_gib"] * (1 << 30)), int(settings["free_gib"] * (1 << 30)))


def rows_of(change: Change, now: float) -> list[Insert]:
    """An event for each change, and an alert when something began."""
    finding: Finding = change.finding
    level = "INFO" if change.over else ("ERROR" if finding.severity == "critical" else "WARN")
    rows = [
        Insert(
            Event(
                uuid=str(uuid.uuid4()), type=EVENT, level=level, description=change.text, resource_type="Database",
                resource_id="", created=Moment(now),
            )
        )
    ]  # fmt: skip
    if not change.over:
        rows.append(
            Insert(
                Alert(
                    uuid=str(uuid.uuid4()), type=ALERT_TYPES[ALERT], name=ALERT, subject=finding.text[:255],
                    content=finding.text, created=Moment(now), last_sent=Moment(now),
                )
            )
        )  # fmt: skip
    return rows
