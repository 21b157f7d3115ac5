"""The topology as a tree of text. Pure."""

from collections.abc import Sequence

from holdfast_replication.findings import Finding
from holdfast_replication.state import Channel, ServerState, Snapshot
from holdfast_replication.topology import Edge, Place, Topology, topology_of


def status_text(snapshot: Snapshot, findings: Sequence[Finding]) -> str:
    """The tree, and under it what is wrong."""
    topology = topology_of(snapshot)
    lines = []
    placed = topology.tree()
    for place in placed:
        lines.append(_branch(place) + _line(place, snapshot, topology))
    shown = {place.address for place in placed}
    lines += [f"{one} (part of a ring that has no beginning)" for one in topology.addresses if one not in shown]
    if findings:
        lines += ["", *(f"{one.severity}: {one.text}" for one in findings)]
    else:
        lines += ["", "replication is well"]
    return "\n".join(lines) + "\n"


def _branch(place: Place) -> str:
    if not place.last:
        return ""
    stems = "".join("   " if last else "│  " for last in place.last[:-1])
    return stems + ("└─ " if place.last[-1] else "├─ ")


def _line(place: Place, snapshot: Snapshot, topology: Topology) -> str:
    state = snapshot.state(place.address)
    if state is None:
        return f"{place.address}  does not answer"
    words = [place.address, f"{state.flavor} {state.version.split('-')[0]}", f"id {state.server_id}"]
    words.append("read-only" if state.read_only else "writable")
    words.append(f"at {state.history.text or 'nothing'}")
    words += [_stream(edge, snapshot, topology) for edge in topology.sources(place.address)]
    return "  ".join(words)


def _stream(edge: Edge, snapshot: Snapshot, topology: Topology) -> str:
    channel = edge.channel
    both = any(other.source == edge.replica for other in topology.sources(edge.source))
    arrow = "<->" if both else "<-"
    if not (channel.receiving and channel.applying):
        return f"{arrow} {edge.source} {_standing(channel)}"
    replica, source = snapshot.state(edge.replica), snapshot.confirmed.get(edge.source)
    assert isinstance(replica, ServerState)
    behind = replica.history.behind(source) if source is not None else 0
    lag = f"{channel.lag:.0f} s behind" if channel.lag is not None else "lag unknown"
    return f"{arrow} {edge.source} {lag}" + (f", {behind} transactions" if behind else "")


def _standing(channel: Channel) -> str:
    """What of a stream stands still. One that is trying to connect was not stopped, and goes on by itself."""
    if channel.applying:
        return "NOT CONNECTED" if channel.connecting else "RECEIVES NOTHING"
    if channel.receiving:
        return "APPLIES NOTHING"
    return "NOT CONNECTED, APPLIES NOTHING" if channel.connecting else "STOPPED"
