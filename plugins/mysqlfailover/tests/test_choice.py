"""Which host is written to follows from what the hosts said, and from nothing else."""

import re
from dataclasses import replace
from typing import Any

import pytest
from holdfast_mysqlfailover.choice import Answers, Memory, choose
from holdfast_mysqlfailover.hearing import Ears, listened
from holdfast_mysqlfailover.history import History, mariadb_history
from holdfast_mysqlfailover.judging import reason_of_loss, reasons_to_stay
from holdfast_mysqlfailover.node import Channel, Node, Refused, Writer
from holdfast_mysqlfailover.plan import Host

A, B, C = Host(0, "a", 3306), Host(1, "b", 3306), Host(2, "c", 3306)
SILENT, REFUSED = "no answer in time", Refused("connection refused")


def _channel(source: int, **changes: object) -> Channel:
    base = Channel(
        name="", source=source, receiving=True, applying=True, error="", contact=("binlog.1", "100"), missing=""
    )
    return replace(base, **changes)  # type: ignore[arg-type]


def _node(
    server: int, writer: Writer | None = None, source: int = 0, history: str = "0-1-10", **changes: object
) -> Node:
    base = Node(
        server=server,
        origin=f"-{server}",
        version="10.11-MariaDB",
        read_only=False,
        history=mariadb_history(history),
        channels=(_channel(source),) if source else (),
        writer=writer,
    )
    return replace(base, **changes)  # type: ignore[arg-type]


def _memory(**changes: object) -> Memory:
    return replace(Memory({A: 1, B: 2, C: 3}, known=mariadb_history("0-1-10"), known_of=1), **changes)  # type: ignore[arg-type]


def _ears(*answers: tuple[float, Node]) -> Ears:
    """After these answers, each that many seconds before all nodes that are judged: those were asked at 0."""
    ears: Ears = {}
    for age, node in answers:
        ears = listened(ears, [replace(node, asked=-age, answered=-age)])
    return ears


ROW = Writer(4, 1)


def test_the_writer_is_who_the_newest_row_says() -> None:
    """Whatever the order of the hosts, and whatever older rows say."""
    answers: Answers = {A: _node(1, Writer(4, 1), 2), B: _node(2, Writer(5, 2), 1)}
    choice = choose(answers, _memory())
    assert (choice.action, choice.host) == ("serve", B)


def test_no_epoch_is_served_that_a_newer_one_may_overtake() -> None:
    """The fifth was sent to B, which never answered. It may come true there at any moment: A gets the sixth."""
    answers: Answers = {A: _node(1, Writer(4, 1), 2), B: SILENT}
    assert choose(answers, _memory(attempted=5)).action == "renew"
    assert choose({A: _node(1, Writer(6, 1), 2), B: SILENT}, _memory(attempted=5)).action == "serve"


def test_an_epoch_that_came_true_is_served() -> None:
    """Though nobody had answered when it was sent."""
    choice = choose({A: REFUSED, B: _node(2, Writer(5, 2), 1)}, _memory(attempted=5))
    assert (choice.action, choice.host) == ("serve", B)


def test_a_database_that_never_had_a_writer_begins_at_the_first_host() -> None:
    """If that answers; else at the next one that may."""
    choice = choose({A: _node(1), B: _node(2, None, 1)}, Memory({}))
    assert (choice.action, choice.host) == ("found", A)
    choice = choose({A: REFUSED, B: _node(2, None, 1)}, Memory({}))
    assert (choice.action, choice.host) == ("found", B)


def test_a_replica_takes_over_from_a_writer_that_refuses() -> None:
    """And its replicas must have noticed that."""
    choice = choose({A: REFUSED, B: _node(2, ROW, 1)}, _memory())
    assert (choice.action, choice.host, choice.gone) == ("take", B, frozenset({1}))


def test_a_silent_writer_is_replaced_only_after_its_replica_was_asked_twice() -> None:
    """What the replica received meanwhile shows that the writer lives."""
    quiet = _node(2, ROW, 1)
    hears = replace(quiet, channels=(_channel(1, contact=("binlog.1", "220")),))
    assert "asked again" in choose({A: SILENT, B: quiet}, _memory()).reasons[1]
    choice = choose({A: SILENT, B: quiet}, _memory(ears=_ears((2.0, quiet), (0.1, quiet))))
    assert (choice.action, choice.host, choice.gone) == ("take", B, frozenset())
    for ears in (_ears((2.0, quiet)), _ears((2.0, quiet), (1.0, hears))):
        choice = choose({A: SILENT, B: hears}, _memory(ears=ears))
        assert choice.action == "wait"
        assert choice.listening
        assert "only this server is cut off" in choice.reasons[1]
    choice = choose({A: SILENT, B: hears}, _memory(ears=_ears((4.0, quiet), (2.0, hears))))
    assert choice.action == "take", "what it took in late is long past"


def test_a_replica_is_given_the_time_in_which_it_must_have_heard_a_living_writer() -> None:
    """Longer than its heartbeat: a second look before that proves nothing."""
    for heartbeat, age, said in ((1.0, 1.2, "asked again"), (30.0, 30.0, "asked again"), (0.0, 99.0, "no heartbeat")):
        quiet = _node(2, ROW, 1, channels=(_channel(1, heartbeat=heartbeat),))
        choice = choose({A: SILENT, B: quiet}, _memory(ears=_ears((age, quiet))))
        assert said in choice.reasons[1]
    quiet = _node(2, ROW, 1, channels=(_channel(1, heartbeat=30.0),))
    assert choose({A: SILENT, B: quiet}, _memory(ears=_ears((40.0, quiet), (0.5, quiet)))).action == "take"


def test_an_answer_counts_from_when_it_was_asked_for() -> None:
    """One that took two seconds may be two seconds old, and tells nothing of what was heard in them."""
    quiet = _node(2, ROW, 1)
    ears = _ears((2.0, quiet))
    slow = replace(quiet, asked=-1.0, answered=1.0)
    assert "asked again" in choose({A: SILENT, B: slow}, _memory(ears=ears)).reasons[1]
    slow_before = listened({}, [replace(quiet, asked=-3.0, answered=-1.0)])
    assert "asked again" in choose({A: SILENT, B: quiet}, _memory(ears=slow_before)).reasons[1]


def test_a_replica_whose_receiving_was_stopped_tells_nothing_of_a_silent_writer() -> None:
    """It hears nobody, living or dead. One that tries and reaches nobody tells something."""
    for changes, action in (({"receiving": False, "trying": False}, "wait"), ({"receiving": False}, "take")):
        deaf = _node(2, ROW, 1, channels=(_channel(1, **changes),))
        choice = choose({A: SILENT, B: deaf}, _memory(ears=_ears((9.0, deaf))))
        assert choice.action == action
    assert choose({A: REFUSED, B: _node(2, ROW, 1, channels=(_channel(1, trying=False),))}, _memory()).action == "take"


def test_no_replica_takes_over_while_another_still_hears_the_silent_writer() -> None:
    """Whichever of them is fit to take over."""
    unfit = _node(2, ROW, 1, read_only=True)
    hears, quiet = replace(unfit, channels=(_channel(1, contact=("binlog.1", "220")),)), _node(3, ROW, 1)
    ears = _ears((9.0, unfit), (9.0, quiet), (0.5, hears))
    choice = choose({A: SILENT, B: hears, C: quiet}, _memory(ears=ears))
    assert choice.action == "wait"
    assert "b:3306: it still receives" in choice.reasons[2]
    assert choose({A: SILENT, B: hears, C: quiet}, _memory(ears=_ears((9.0, hears), (9.0, quiet)))).host == C


def test_a_silent_host_is_asked_for_among_the_replicas_also_before_there_is_any_writer() -> None:
    """Nobody knows its id then, but they do."""
    fresh = _node(2, None, 1)
    assert "asked again" in choose({A: SILENT, B: fresh}, Memory({})).reasons[1]
    assert choose({A: SILENT, B: fresh}, Memory({}, ears=_ears((9.0, fresh)))).action == "found"


def test_a_writer_that_was_never_seen_is_judged_like_one_that_was() -> None:
    """After a start while it does not answer: its id is in the row."""
    hears = _node(2, ROW, 1, channels=(_channel(1, contact=("binlog.1", "220")),))
    choice = choose({A: SILENT, B: hears}, Memory({}, ears=_ears((2.0, _node(2, ROW, 1)))))
    assert choice.action == "wait"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"read_only": True}, "read_only is on"),
        ({"channels": ()}, "does not replicate"),
        ({"channels": (_channel(1, applying=False),)}, "the SQL thread does not run"),
        (
            {"channels": (_channel(1, applying=False, error="error 1062: Duplicate entry"),)},
            "error 1062: Duplicate entry",
        ),
        ({"blind": "GRANT SLAVE MONITOR"}, "GRANT SLAVE MONITOR"),
        ({"history": "0-1-10,0-2-11"}, r"diverged: .*0-2:1-11"),
    ],
)
def test_an_unfit_replica_is_refused_with_the_reason(changes: dict[str, Any], said: str) -> None:
    """And the next one is tried."""
    unfit = _node(2, ROW, 1, **changes)
    choice = choose({A: REFUSED, B: unfit, C: _node(3, ROW, 2)}, _memory())
    assert (choice.action, choice.host) == ("take", C)
    alone = choose({A: REFUSED, B: unfit}, _memory())
    assert alone.action == "wait"
    assert any(re.search(said, reason) for reason in alone.reasons)


def test_a_replica_that_knows_an_older_writer_only_is_passed_over() -> None:
    """It lacks what was written since."""
    choice = choose({A: REFUSED, B: _node(2, Writer(3, 9), 1), C: _node(3, ROW, 2)}, _memory())
    assert choice.host == C


def test_a_writer_that_became_read_only_is_replaced() -> None:
    """Somebody is taking it out of service."""
    choice = choose({A: _node(1, ROW, 2, read_only=True), B: _node(2, ROW, 1)}, _memory())
    assert (choice.action, choice.host) == ("take", B)


def test_a_handover_under_way_is_waited_for_and_undone_when_overdue() -> None:
    """The row on the one that hands over is ahead of that on the one that takes over."""
    answers: Answers = {A: _node(1, Writer(4, 2), 2), B: _node(2, Writer(5, 1), 1)}
    choice = choose(answers, _memory())
    assert choice.action == "wait"
    assert choice.handover
    choice = choose(answers, _memory(overdue=True))
    assert (choice.action, choice.host) == ("take", B)


def test_one_server_under_two_names_is_refused() -> None:
    """As localhost and 127.0.0.1 are."""
    choice = choose({A: _node(1, ROW), B: _node(1, ROW)}, Memory({}))
    assert choice.action == "wait"
    assert "same server_id 1" in choice.reasons[0]


def test_two_writers_of_one_epoch_are_not_chosen_between() -> None:
    """A person has to look; both are named."""
    choice = choose({A: _node(1, Writer(5, 1), 2), B: _node(2, Writer(5, 2), 1)}, _memory())
    assert choice.action == "wait"
    assert "a:3306 and b:3306 both became the writer of epoch 5" in choice.reasons[0]


def test_going_back_needs_a_first_host_without_transactions_of_its_own() -> None:
    """And replication that runs in both of its threads."""
    serving = _node(2, Writer(5, 2), 1, history="0-1-10,0-2-14")
    assert reasons_to_stay(_node(1, ROW, 2), serving) == ()
    ahead = _node(1, ROW, 2, history="0-1-12")
    assert "diverged: its transactions 0-1:11-12" in reasons_to_stay(ahead, serving)[0]
    for channel, said in ((_channel(2, receiving=False), "not connected"), (_channel(2, applying=False), "stopped")):
        assert said in reasons_to_stay(_node(1, ROW, channels=(channel,)), serving)[0]
    assert "cannot catch up" in reasons_to_stay(_node(1, ROW), serving)[0]
    assert reasons_to_stay(_node(1, ROW, 2, read_only=True), serving) == ("read_only is on",)


def test_nothing_lost_is_nothing_diverged() -> None:
    """A server that was never seen cannot be compared with."""
    choice = choose({A: REFUSED, B: _node(2, ROW, 1, history="0-1-10,0-2-99")}, Memory({A: 1}, known=None))
    assert choice.action == "take"
    assert not History()


def test_the_last_writers_own_transactions_are_no_divergence() -> None:
    """Those that it wrote after it was last looked at are its own work, also while the first host is away."""
    answers: Answers = {A: REFUSED, B: _node(2, Writer(5, 1), 1, history="0-1-10,0-2-14")}
    memory = _memory(known=mariadb_history("0-1-10,0-2-12"), known_of=2)
    choice = choose(answers, memory)
    assert (choice.action, choice.host) == ("take", B)


def test_going_back_waits_until_little_is_missing() -> None:
    """All callers wait while the first host gets the rest."""
    serving = _node(2, Writer(5, 2), 1, history="0-1-10,0-2-500")
    assert "it lacks 489 transactions yet" in reasons_to_stay(_node(1, ROW, 2, history="0-1-10,0-2-11"), serving)[0]
    assert reasons_to_stay(_node(1, ROW, 2, history="0-1-10,0-2-490"), serving) == ()


def test_a_writer_of_an_epoch_that_is_over_is_not_served() -> None:
    """A host that was away still calls itself the writer; whoever saw a later epoch waits for the host that has it."""
    alone: Answers = {A: REFUSED, B: _node(2, Writer(4, 2), 1)}
    assert choose(alone, _memory(epoch=4)).action == "serve"
    choice = choose(alone, _memory(epoch=5))
    assert choice.action == "wait"
    assert "epoch 4" in choice.reasons[1]
    assert "epoch 5" in choice.reasons[1]


def test_only_what_was_lost_for_certain_is_held_against_a_replica() -> None:
    """Transactions that the lost writer was seen to have, and that never arrived."""
    node = _node(2, ROW, 1, history="0-1-8")
    assert "never received 2 transactions" in reason_of_loss(node, mariadb_history("0-1-10"))
    assert reason_of_loss(node, mariadb_history("0-1-8")) == reason_of_loss(node, None) == ""
