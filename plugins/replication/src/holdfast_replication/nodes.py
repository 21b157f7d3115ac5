"""The servers as `listDatabaseNodes` and `holdfast db status --json` show them. Pure."""

from collections.abc import Sequence
from typing import Any

from holdfast_replication.findings import Finding
from holdfast_replication.state import ServerState, Silent, Snapshot
from holdfast_replication.topology import Edge, topology_of


def nodes_of(snapshot: Snapshot, findings: Sequence[Finding]) -> list[dict[str, Any]]:
    """One node per server, in configured order."""
    topology = topology_of(snapshot)
    found = []
    for place, reading in enumerate(snapshot.readings):
        own = [one for one in findings if one.server == reading.address]
        node: dict[str, Any] = {
            "name": reading.address,
            "primary": place == 0,
            "state": _state(reading, own),
            "problems": [one.text for one in own],
        }
        if isinstance(reading, ServerState):
            node |= _facts(reading)
            node["sources"] = [_stream(edge, snapshot) for edge in topology.sources(reading.address)]
            node["replicas"] = [edge.replica for edge in topology.replicas(reading.address)]
        else:
            node["reason"] = reading.reason
        found.append(node)
    return found


def _state(reading: ServerState | Silent, findings: Sequence[Finding]) -> str:
    if isinstance(reading, Silent):
        return "Unreachable"
    worst = {one.severity for one in findings}
    if "critical" in worst:
        return "Broken"
    return "Warning" if worst else "Up"


def _facts(state: ServerState) -> dict[str, Any]:
    return {
        "version": f"{state.flavor} {state.version}",
        "serverid": state.server_id,
        "readonly": state.read_only,
        "gtid": state.history.text,
        "binarylogfiles": len(state.binary_logs),
        "binarylogsize": state.binary_log_bytes,
        "diskfree": state.free_bytes,
        "semisync": state.semi_sync.source_active or state.semi_sync.replica_active,
    }


def _stream(edge: Edge, snapshot: Snapshot) -> dict[str, Any]:
    channel = edge.channel
    replica, source = snapshot.state(edge.replica), snapshot.confirmed.get(edge.source)
    behind = replica.history.behind(source) if replica is not None and source is not None else None
    return {
        "name": edge.source,
        "receiving": channel.receiving,
        "applying": channel.applying,
        "lag": channel.lag,
        "behind": behind,
        "encrypted": channel.encrypted,
        "error": channel.receive_error or channel.apply_error or None,
    }
