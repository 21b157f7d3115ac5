"""Binary logs go only when no replica needs them, and none that is lost may come back for them."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

from holdfast_replication.binary_logs import Decision, Memory, decide
from holdfast_replication.state import Silent, Snapshot
from hypothesis import given
from hypothesis import strategies as st

HOUR = 3600.0


def _decide(snapshot: Snapshot, memory: Memory, now: float, keep: float = 0.0, lost: float = 72 * HOUR) -> Decision:
    return decide(snapshot.answered[0], snapshot, memory, now, keep, lost)


def _remembering(snapshot: Snapshot, at: float = 0.0) -> Memory:
    memory = Memory()
    memory.note(snapshot, at)
    return memory


def test_what_the_slowest_replica_needs_stays(made: SimpleNamespace) -> None:
    """Files before the one it executes go; that one and all after it stay."""
    fast, slow = made.channel(1, executed_file="log.000005"), made.channel(1, executed_file="log.000002")
    snapshot = made.seen(made.server(1), made.server(2, fast), made.server(3, slow))
    assert _decide(snapshot, _remembering(snapshot), HOUR).before == "log.000002"


def test_young_files_stay(made: SimpleNamespace) -> None:
    """A file is as old as the time since it was first seen full; one never seen so is young."""
    snapshot = made.seen(made.server(1), made.server(2, made.channel(1, executed_file="log.000005")))
    memory = _remembering(snapshot, 10 * HOUR)
    assert _decide(snapshot, memory, 20 * HOUR, keep=24 * HOUR).before == ""
    assert _decide(snapshot, memory, 35 * HOUR, keep=24 * HOUR).before == "log.000005"
    assert _decide(snapshot, Memory(), 1e9, keep=24 * HOUR).before == ""


def test_a_lost_replica_keeps_its_files_for_a_while(made: SimpleNamespace) -> None:
    """After that it has to be rebuilt, which its own finding says."""
    snapshot = made.seen(made.server(1), made.server(2, made.channel(1, executed_file="log.000003")))
    memory = _remembering(snapshot)
    lost = Snapshot((snapshot.readings[0], Silent("db2:3306", "timed out")))
    assert _decide(lost, memory, 71 * HOUR).before == "log.000003"
    assert _decide(lost, memory, 73 * HOUR).before == "log.000005"


def test_a_server_that_was_never_seen_blocks_all(made: SimpleNamespace) -> None:
    """Nobody knows what it needs; so does a replica that the configuration does not name."""
    lost = Snapshot((made.server(1), Silent("db2:3306", "timed out")))
    assert "never seen" in _decide(lost, Memory(), HOUR).reason
    stranger = made.seen(replace(made.server(1), replicas=made.registered(2, 99)), made.server(2, made.channel(1)))
    decision = _decide(stranger, _remembering(stranger), HOUR)
    assert decision.before == ""
    assert "99" in decision.reason


def test_a_replica_that_stands_in_an_unknown_file_blocks_all(made: SimpleNamespace) -> None:
    """It may be that of another server after a rebuild."""
    snapshot = made.seen(made.server(1), made.server(2, made.channel(1, executed_file="other.000009")))
    assert "other.000009" in _decide(snapshot, _remembering(snapshot), HOUR).reason


@given(st.lists(st.integers(1, 5), min_size=1, max_size=4), st.lists(st.booleans(), min_size=4, max_size=4))
def test_no_file_that_any_replica_needs_ever_goes(places: list[int], silent: list[bool]) -> None:
    """Whatever replicas there are, and whichever of them stopped answering within the time."""
    from holdfast_replication.state import BinaryLog, Channel, ServerState

    files = tuple(BinaryLog(f"log.00000{place}", 10) for place in range(1, 6))
    source = ServerState("db1:3306", "MariaDB", "10.11", 1, binary_log=True, binary_logs=files)
    replicas = [
        ServerState(
            f"db{number}:3306", "MariaDB", "10.11", number,
            channels=(Channel("", "db1", 3306, 1, executed_file=f"log.00000{place}"),),
        )
        for number, place in enumerate(places, 2)
    ]  # fmt: skip
    memory = _remembering(Snapshot((source, *replicas)))
    now = [Silent(one.address, "gone") if gone else one for one, gone in zip(replicas, silent, strict=False)]
    decision = _decide(Snapshot((source, *now)), memory, HOUR)
    first_needed = f"log.00000{min(places)}"
    assert (decision.before or "log.000001") <= first_needed


def test_memory_survives_a_restart_and_garbage(made: SimpleNamespace, tmp_path: Path) -> None:
    """What cannot be read is as if nothing was known: more stays, never less."""
    path = tmp_path / "binary-logs.json"
    snapshot = made.seen(made.server(1), made.server(2, made.channel(1)))
    Memory(path).note(snapshot, 5.0)
    again = Memory(path)
    assert again.needs["db1:3306"]["db2:3306"].file == "log.000003"
    assert path.stat().st_mode & 0o077 == 0
    assert again.forget("db2:3306")
    assert not Memory(path).forget("db2:3306")
    path.write_text('{"needs": [1]}', encoding="utf-8")
    assert Memory(path).needs == {}
