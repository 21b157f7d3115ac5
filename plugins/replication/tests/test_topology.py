"""Who replicates from whom, and what is said when something is wrong with it."""

from dataclasses import replace
from types import SimpleNamespace

import pytest
from holdfast_replication.changes import Watch
from holdfast_replication.findings import Finding, Limits, judge
from holdfast_replication.nodes import nodes_of
from holdfast_replication.state import Silent, Snapshot
from holdfast_replication.status_tree import status_text
from holdfast_replication.topology import topology_of


def _kinds(snapshot: Snapshot) -> set[tuple[str, str]]:
    return {(one.kind, one.server.partition(":")[0]) for one in judge(snapshot, Limits())}


def test_a_pair_with_a_chain_is_well_and_drawn_as_a_tree(made: SimpleNamespace) -> None:
    """The pair comes first, each further server under its source."""
    snapshot = made.seen(*made.pair_and_chain())
    assert judge(snapshot, Limits()) == ()
    lines = status_text(snapshot, ()).splitlines()
    assert [line.split(":")[0].strip("└─ ") for line in lines[:4]] == ["db1", "db2", "db3", "db4"]
    assert [len(line) - len(line.lstrip(" └─")) for line in lines[:4]] == [0, 3, 6, 9]
    assert "<-> db2:3306" in lines[0]
    assert "<- db3:3306" in lines[3]


def test_a_source_under_another_name_is_known_by_its_number(made: SimpleNamespace) -> None:
    """Replicas often know their source by an address of another network."""
    snapshot = made.seen(made.server(1), made.server(2, made.channel(1, source_host="10.9.9.9")))
    assert topology_of(snapshot).replicas("db1:3306")[0].replica == "db2:3306"


def test_every_server_of_a_ring_and_of_a_star_is_drawn_once(made: SimpleNamespace) -> None:
    """A ring begins at its first configured server."""
    ring = made.seen(made.server(1, made.channel(3)), made.server(2, made.channel(1)), made.server(3, made.channel(2)))
    star = made.seen(made.server(1), made.server(2, made.channel(1)), made.server(3, made.channel(1)))
    for snapshot in (ring, star):
        assert sorted(place.address for place in topology_of(snapshot).tree()) == ["db1:3306", "db2:3306", "db3:3306"]
    assert topology_of(ring).ring("db2:3306") == ("db1:3306", "db2:3306", "db3:3306")


def test_a_server_that_does_not_show_its_replication_is_not_called_alone(made: SimpleNamespace) -> None:
    """The user may not look; the streams may well be there."""
    hidden = made.server(2, unread=("its replication: Access denied",))
    assert _kinds(made.seen(made.server(1), hidden)) == {("alone", "db1"), ("unread", "db2")}


@pytest.mark.parametrize(
    ("broken", "kind"),
    [
        ({"receiving": False, "receive_error": "Access denied"}, "not-receiving"),
        ({"receiving": False, "receive_errno": 1236, "receive_error": "purged"}, "purged"),
        ({"receiving": False, "connecting": True}, "not-receiving"),
        ({"applying": False, "lag": None, "apply_error": "Duplicate entry"}, "not-applying"),
        ({"lag": 31.0}, "lag"),
        ({"by_gtid": False}, "no-gtid"),
        ({"source_host": "elsewhere", "source_id": 77}, "unknown-source"),
    ],
)
def test_each_fault_of_a_stream_is_named(made: SimpleNamespace, broken: dict[str, object], kind: str) -> None:
    """With the server, and the words of the server where it has some."""
    servers = made.pair_and_chain()
    servers[2] = made.server(3, made.channel(2, **broken))
    found = [one for one in judge(made.seen(*servers), Limits()) if one.server == "db3:3306"]
    assert [one.kind for one in found] == [kind]
    words = str(broken.get("receive_error", broken.get("apply_error", "")))
    assert words in found[0].text


def test_a_delayed_replica_is_not_late(made: SimpleNamespace) -> None:
    """What it is told to wait is no lag."""
    snapshot = made.seen(made.server(1), made.server(2, made.channel(1, lag=3600.0, delay=3600.0)))
    assert judge(snapshot, Limits()) == ()


@pytest.mark.parametrize(
    ("stream", "words"),
    [
        ({"receiving": False, "connecting": True}, "<- db3:3306 NOT CONNECTED"),
        ({"receiving": False}, "<- db3:3306 RECEIVES NOTHING"),
        ({"applying": False}, "<- db3:3306 APPLIES NOTHING"),
        ({"receiving": False, "applying": False}, "<- db3:3306 STOPPED"),
        ({"receiving": False, "connecting": True, "applying": False}, "<- db3:3306 NOT CONNECTED, APPLIES NOTHING"),
    ],
)
def test_a_stream_says_what_of_it_stands_still(made: SimpleNamespace, stream: dict[str, bool], words: str) -> None:
    """Whoever reads STOPPED starts it; a source that cannot be reached has to be looked for."""
    servers = made.pair_and_chain()
    servers[3] = made.server(4, made.channel(3, **stream))
    assert status_text(made.seen(*servers), ()).splitlines()[3].endswith(words)


def test_an_errant_transaction_is_one_that_will_never_reach_the_source(made: SimpleNamespace) -> None:
    """Written to a replica by mistake it is; written to the other half of a pair it is only on its way."""
    errant = made.pair_and_chain()
    errant[3] = replace(errant[3], history=made.history("0-1-10,0-4-11"))
    assert _kinds(made.seen(*errant)) == {("errant", "db4")}
    errant[2] = replace(errant[2], history=made.history("0-1-10,0-4-10"))
    (found,) = (one for one in judge(made.seen(*errant), Limits()) if one.server == "db4:3306")
    assert "has transactions that its source db3:3306 has not: 0-4-11;" in found.text
    fresh = made.pair_and_chain()
    fresh[1] = replace(fresh[1], history=made.history("0-1-10,0-2-11"))
    assert _kinds(made.seen(*fresh)) == set()


@pytest.mark.parametrize(
    ("back", "kinds"),
    [
        ({"applying": False, "apply_error": "out-of-order", "apply_errno": 1950}, {"errant", "not-applying"}),
        ({"receiving": False, "receive_error": "purged", "receive_errno": 1236}, {"errant", "purged"}),
        ({"applying": False}, {"not-applying"}),
        ({"receiving": False, "connecting": True}, {"not-receiving"}),
    ],
)
def test_the_halves_of_a_pair_diverge_when_one_can_take_no_more_of_the_other(
    made: SimpleNamespace, back: dict[str, object], kinds: set[str]
) -> None:
    """Not when the way back is only closed for a while: what the source lacks arrives afterwards."""
    first = made.server(1, made.channel(2, **back))
    second = replace(made.server(2, made.channel(1)), history=made.history("0-1-10,0-2-11"))
    found = judge(made.seen(first, second), Limits())
    assert {one.kind for one in found} == kinds
    told = [one.text for one in found if one.kind == "errant"]
    assert all("db2:3306 has transactions that its source db1:3306 has not: up to 0-2-11;" in text for text in told)


def test_a_replica_read_before_its_source_is_not_called_errant(made: SimpleNamespace) -> None:
    """The histories that count are those read once more after all."""
    before, after = made.history("0-1-10"), made.history("0-1-12")
    servers = (made.server(1), replace(made.server(2, made.channel(1)), history=made.history("0-1-12")))
    racing = Snapshot(servers, {"db1:3306": after, "db2:3306": after})
    assert judge(racing, Limits()) == ()
    lost = Snapshot(servers, {"db1:3306": before, "db2:3306": after})
    assert [one.kind for one in judge(lost, Limits())] == ["errant"]


def test_faults_of_servers_are_named(made: SimpleNamespace) -> None:
    """Silent, alone, of the same number, out of room, not passing on, semi-sync fallen back."""
    servers = made.pair_and_chain()
    sync = replace(servers[0].semi_sync, source_enabled=True)
    servers[0] = replace(servers[0], semi_sync=sync, increment=1, free_bytes=1000)
    servers[1] = replace(servers[1], log_updates=False, unread=("its binary logs: denied",))
    servers[3] = replace(servers[3], channels=(), server_id=3)
    found = _kinds(made.seen(*servers, Silent("db5:3306", "timed out")))
    assert found == {
        ("semi-sync-off", "db1"), ("auto-increment", "db1"), ("disk-space", "db1"), ("no-passing-on", "db2"),
        ("unread", "db2"), ("alone", "db4"), ("same-id", "db4"), ("unreachable", "db5"),
    }  # fmt: skip


def test_nodes_say_how_each_server_is(made: SimpleNamespace) -> None:
    """Up, Warning, Broken or Unreachable; a stream with how many transactions it is behind."""
    servers = made.pair_and_chain()
    servers[2] = replace(servers[2], history=made.history("0-1-7"))
    servers[3] = made.server(4, made.channel(3, applying=False))
    snapshot = made.seen(*servers, Silent("db5:3306", "timed out"))
    nodes = nodes_of(snapshot, judge(snapshot, Limits(lag=1)))
    assert [one["state"] for one in nodes] == ["Up", "Up", "Up", "Broken", "Unreachable"]
    assert nodes[2]["sources"][0]["behind"] == 3
    assert nodes[4]["reason"] == "timed out"


def test_a_fault_is_told_once_and_once_when_it_is_over() -> None:
    """Two polls have to agree on it; flapping between single polls is not told."""
    watch, fault = Watch(), Finding("lag", "db2:3306", "31 s behind")
    told = [watch.take(found) for found in ([fault], [], [fault], [fault], [fault], [], [fault], [], [])]
    assert [len(one) for one in told] == [0, 0, 0, 1, 0, 0, 0, 0, 1]
    assert told[-1][0].over
    assert watch.standing == ()


def test_a_silent_server_does_not_look_mended() -> None:
    """What was wrong with it stands until it answers and shows otherwise."""
    watch = Watch()
    fault, silent = Finding("errant", "db2:3306", "diverged"), Finding("unreachable", "db2:3306", "timed out")
    for found in ([fault], [fault], [silent], [silent], [silent]):
        watch.take(found)
    assert {one.kind for one in watch.standing} == {"errant", "unreachable"}
    watch.take([])
    assert [one.over for one in watch.take([])] == [True, True]
