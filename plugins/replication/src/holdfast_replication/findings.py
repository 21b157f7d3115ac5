"""What is wrong with the replication: one sentence for each thing that somebody should know. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from holdfast_replication.state import PURGED, ServerState, Silent, Snapshot
from holdfast_replication.topology import Edge, Topology, topology_of

Severity = Literal["warning", "critical"]


@dataclass(frozen=True, slots=True)
class Limits:
    """From when on something is worth telling. Seconds; bytes of binary log on one server; free bytes of its disk."""

    lag: float = 30.0
    binary_log_bytes: int = 20 << 30
    free_bytes: int = 5 << 30


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong. `kind`, `server` and `about` together say which; `text` may change while it lasts."""

    kind: str
    server: str
    text: str
    severity: Severity = "critical"
    about: str = ""

    @property
    def key(self) -> tuple[str, str, str]:
        """What it is about, whatever its words."""
        return self.kind, self.server, self.about


def judge(snapshot: Snapshot, limits: Limits) -> tuple[Finding, ...]:
    """Everything that is wrong, in the order of the servers."""
    topology = topology_of(snapshot)
    found: list[Finding] = []
    for reading in snapshot.readings:
        if isinstance(reading, Silent):
            text = f"database server {reading.address} cannot be read: {reading.reason}"
            found.append(Finding("unreachable", reading.address, text))
            continue
        found += _of_server(reading, topology, limits)
        for edge in topology.sources(reading.address):
            found += _of_stream(edge, limits)
            found += _errant(edge, snapshot, topology)
    found += _same_ids(snapshot)
    return tuple(found)


def _of_server(state: ServerState, topology: Topology, limits: Limits) -> Iterator[Finding]:
    here = state.address
    for sentence in state.unread:
        yield Finding("unread", here, f"database server {here} does not show {sentence}", "warning", sentence[:40])
    # What it does not show may well be there.
    if len(topology.addresses) > 1 and not state.unread and not topology.sources(here) and not topology.replicas(here):
        yield Finding("alone", here, f"database server {here} takes part in no replication")
    if topology.replicas(here) and not state.binary_log:
        yield Finding("no-binary-log", here, f"database server {here} has replicas, but writes no binary log")
    if topology.replicas(here) and topology.sources(here) and not state.log_updates:
        text = f"database server {here} does not pass on what it replicates (log_slave_updates is off)"
        yield Finding("no-passing-on", here, text)
    sync = state.semi_sync
    if sync.source_enabled and topology.replicas(here) and not sync.source_active:
        text = f"database server {here}: commits no longer wait for a replica (semi-sync clients: {sync.clients})"
        yield Finding("semi-sync-off", here, text, "warning")
    yield from _of_auto_increment(state, topology)
    yield from _of_room(state, limits)


def _of_auto_increment(state: ServerState, topology: Topology) -> Iterator[Finding]:
    ring = topology.ring(state.address)
    if len(ring) > 1 and state.increment < len(ring):
        text = (
            f"database server {state.address}: auto_increment_increment is {state.increment}, but {len(ring)} servers "
            "replicate to each other; two of them may give the same number"
        )
        yield Finding("auto-increment", state.address, text, "warning")


def _of_room(state: ServerState, limits: Limits) -> Iterator[Finding]:
    gib = 1 << 30
    if state.binary_log_bytes > limits.binary_log_bytes:
        text = (
            f"database server {state.address}: its binary log takes {state.binary_log_bytes / gib:.1f} GiB in "
            f"{len(state.binary_logs)} files, more than {limits.binary_log_bytes / gib:.1f} GiB: `holdfast db purge`"
        )
        yield Finding("binary-log-size", state.address, text, "warning")
    if state.free_bytes is not None and state.free_bytes < limits.free_bytes:
        text = (
            f"database server {state.address}: {state.free_bytes / gib:.1f} GiB are left on the disk of its data, less "
            f"than {limits.free_bytes / gib:.1f} GiB"
        )
        yield Finding("disk-space", state.address, text)


def _of_stream(edge: Edge, limits: Limits) -> Iterator[Finding]:
    channel, here = edge.channel, edge.replica
    stream = f"database server {here}: replication from {edge.source}"
    if channel.receive_errno in PURGED and not channel.receiving:
        text = f"{stream} cannot go on, its source no longer has what it needs: {channel.receive_error}; rebuild {here}"
        yield Finding("purged", here, text, about=edge.source)
    elif not channel.receiving:
        why = channel.receive_error or ("it is trying to connect" if channel.connecting else "it was stopped")
        yield Finding("not-receiving", here, f"{stream} receives nothing: {why}", about=edge.source)
    if not channel.applying:
        why = channel.apply_error or "it was stopped"
        yield Finding("not-applying", here, f"{stream} applies nothing: {why}", about=edge.source)
    elif channel.lag is not None and channel.lag - channel.delay > limits.lag:
        text = f"{stream} is {channel.lag:.0f} s behind, more than {limits.lag:g} s"
        yield Finding("lag", here, text, "warning", about=edge.source)
    if not channel.by_gtid:
        text = f"{stream} goes by file and position, not by GTID: it cannot be moved to another source safely"
        yield Finding("no-gtid", here, text, "warning", about=edge.source)
    if not edge.known:
        text = f"{stream} comes from a server that the configuration does not name"
        yield Finding("unknown-source", here, text, "warning", about=edge.source)


def _errant(edge: Edge, snapshot: Snapshot, topology: Topology) -> Iterator[Finding]:
    """Transactions that the replica has, its source has not, and that will never get there."""
    state, confirmed = snapshot.state(edge.replica), snapshot.confirmed.get(edge.source)
    if state is None or confirmed is None or not edge.known:
        return
    beyond = state.history.beyond(confirmed)
    # What comes back to the source by some way round is only on its way.
    if not beyond or topology.will_reach(edge.replica, edge.source):
        return
    other = [one for one in topology.sources(edge.replica) if one is not edge]
    if other:
        return  # it has further sources, whose transactions this one need not have
    text = (
        f"database server {edge.replica} has transactions that its source {edge.source} has not: {beyond}; "
        "it was written to directly, or its source lost them: it has diverged"
    )
    yield Finding("errant", edge.replica, text, about=edge.source)


def _same_ids(snapshot: Snapshot) -> Iterator[Finding]:
    holders: dict[int, list[str]] = {}
    for state in snapshot.answered:
        holders.setdefault(state.server_id, []).append(state.address)
    for number, addresses in holders.items():
        if len(addresses) > 1:
            who = " and ".join(addresses)
            text = f"database servers {who} have the same server_id {number}: replication among them fails"
            yield Finding("same-id", addresses[1], text, about=addresses[0])
