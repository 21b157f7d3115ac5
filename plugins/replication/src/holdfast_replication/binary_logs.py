"""Which binary logs may go: none that a replica still needs, or may need when it comes back.

The decision is pure. `Memory` keeps, in a file, what replicas were last seen to need, and since when each log is full:
a replica that is lost cannot be asked.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from holdfast_replication.state import ServerState, Silent, Snapshot
from holdfast_replication.topology import topology_of


@dataclass(frozen=True, slots=True)
class Need:
    """What a replica was last seen to need of a source: from which file on. Wall-clock seconds."""

    file: str
    seen: float


@dataclass(frozen=True, slots=True)
class Decision:
    """What may be purged of one server: everything before `before`, freeing `bytes`. `before` is "" for nothing."""

    server: str
    before: str
    bytes: int
    reason: str


@dataclass(slots=True)
class Memory:
    """What was seen, kept across restarts in one small file that only its owner may read."""

    path: Path | None = None
    needs: dict[str, dict[str, Need]] = field(default_factory=dict)
    """source address → replica address → need"""
    full_since: dict[str, dict[str, float]] = field(default_factory=dict)
    """server address → file → when it was first seen not to be the newest"""

    def __post_init__(self) -> None:
        if self.path is not None:
            self._load(self.path)

    def note(self, snapshot: Snapshot, now: float) -> None:
        """Take in what a snapshot shows. An unwritable file is no error: then nothing is known after a restart."""
        topology = topology_of(snapshot)
        for edge in topology.edges:
            if edge.known and edge.channel.executed_file:
                self.needs.setdefault(edge.source, {})[edge.replica] = Need(edge.channel.executed_file, now)
        for state in snapshot.answered:
            known = self.full_since.get(state.address, {})
            full = [one.name for one in state.binary_logs[:-1]]
            self.full_since[state.address] = {name: known.get(name, now) for name in full}
        if self.path is not None:
            self._save(self.path)

    def forget(self, replica: str) -> bool:
        """Let go of what a replica needs. True if anything was known of it."""
        known = [self.needs[source].pop(replica, None) for source in self.needs]
        if self.path is not None:
            self._save(self.path)
        return any(known)

    def _load(self, path: Path) -> None:
        try:
            found: Any = json.loads(path.read_text(encoding="utf-8"))
            self.needs = {
                source: {name: Need(str(one["file"]), float(one["seen"])) for name, one in replicas.items()}
                for source, replicas in found["needs"].items()
            }
            self.full_since = {
                server: {name: float(at) for name, at in files.items()} for server, files in found["full"].items()
            }
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            # Nothing known keeps more logs, never fewer.
            self.needs, self.full_since = {}, {}

    def _save(self, path: Path) -> None:
        needs = {
            source: {name: {"file": one.file, "seen": one.seen} for name, one in replicas.items()}
            for source, replicas in self.needs.items()
        }
        text = json.dumps({"needs": needs, "full": self.full_since})
        beside = path.with_suffix(".new")
        try:
            with open(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
                file.write(text)
            beside.replace(path)
        except OSError:
            return


def decide(
    state: ServerState, snapshot: Snapshot, memory: Memory, now: float, keep_seconds: float, lost_seconds: float
) -> Decision:
    """What may be purged of one server that answered."""
    here, files = state.address, [one.name for one in state.binary_logs]
    if len(files) < 2:
        return Decision(here, "", 0, "there is one file only")
    needed, blocked = _needed(state, snapshot, memory, now, lost_seconds)
    if blocked:
        return Decision(here, "", 0, blocked)
    limit = len(files) - 1
    for replica, file in needed.items():
        if file not in files:
            return Decision(here, "", 0, f"{replica} stands in {file}, which is not among its files")
        limit = min(limit, files.index(file))
    since: Mapping[str, float] = memory.full_since.get(here, {})
    # A log counts from when it was first seen full; one that was never seen so is young.
    old = 0
    while old < limit and now - since.get(files[old], now) >= keep_seconds:
        old += 1
    if not old:
        return Decision(here, "", 0, "every file is needed or still young")
    freed = sum(one.size for one in state.binary_logs[:old])
    return Decision(here, files[old], freed, f"{old} files that nobody needs")


def _needed(
    state: ServerState, snapshot: Snapshot, memory: Memory, now: float, lost_seconds: float
) -> tuple[dict[str, str], str]:
    """replica → first file it needs; and why nothing may go, or ""."""
    needed: dict[str, str] = {}
    topology = topology_of(snapshot)
    for edge in topology.replicas(state.address):
        if not edge.channel.executed_file:
            return {}, f"{edge.replica} does not say how far it is"
        needed[edge.replica] = edge.channel.executed_file
    remembered = memory.needs.get(state.address, {})
    for reading in snapshot.readings:
        if not isinstance(reading, Silent):
            continue
        last = remembered.get(reading.address)
        if last is not None and now - last.seen <= lost_seconds:
            needed[reading.address] = last.file
        elif last is None and not _known_elsewhere(reading.address, memory):
            return {}, f"{reading.address} does not answer and was never seen: nobody knows what it needs"
    known = {one.server_id for one in snapshot.answered}
    strangers = [one for one in state.replicas if one.server_id not in known]
    # A server that does not answer may still be connected here; what it needs was remembered above.
    accounted = sum(one.address in needed for one in snapshot.readings if isinstance(one, Silent))
    if len(strangers) > accounted:
        numbers = ", ".join(str(one.server_id) for one in strangers)
        return {}, f"replicas that the configuration does not name take part (server_id {numbers})"
    return needed, ""


def _known_elsewhere(address: str, memory: Memory) -> bool:
    """Whether a server was seen to be a replica of others: then it needs nothing of this one, as far as was seen."""
    return any(address in replicas for replicas in memory.needs.values())
