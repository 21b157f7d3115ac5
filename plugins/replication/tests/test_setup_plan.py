"""What `setup-replication` would do, and when it refuses."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from holdfast.errors import InvalidRequest
from holdfast_replication.setup_facts import Facts
from holdfast_replication.setup_plan import Wish, plan, quoted, wanted_links

WISH = Wish("repl")


def _fresh(made: SimpleNamespace, number: int, *, data: bool = False, **other: Any) -> Facts:
    gtid = "0-1-10" if data else ""
    state = made.server(number, gtid=gtid, increment=1, offset=1, **other)
    return Facts(state, ("cloud",) if data else (), 1000 if data else 0)


def test_streams_go_both_ways_between_the_first_two_and_onward(made: SimpleNamespace) -> None:
    """Each in the order in which its source has the data."""
    assert wanted_links(["a", "b", "c", "d"], one_way=False) == [("b", "a"), ("a", "b"), ("c", "b"), ("d", "c")]
    assert wanted_links(["a", "b", "c"], one_way=True) == [("b", "a"), ("c", "b")]
    assert wanted_links(["a"], one_way=False) == []


def test_empty_servers_become_copies_of_the_first(made: SimpleNamespace) -> None:
    """And no step of the plan holds the password."""
    found = plan([_fresh(made, 1, data=True), _fresh(made, 2), _fresh(made, 3)], WISH)
    copies = [(step.source, step.server, step.awaits) for step in found.steps if step.kind == "copy"]
    assert copies == [("db1:3306", "db2:3306", "db1:3306"), ("db1:3306", "db3:3306", "db2:3306")]
    follows = [step.server for step in found.steps if step.statement.startswith("CHANGE MASTER")]
    assert follows == ["db2:3306", "db1:3306", "db3:3306"]
    assert all("{password}" in step.statement for step in found.steps if "PASSWORD" in step.statement)
    assert "auto_increment_offset = 2" in found.kept["db2:3306"]
    assert "auto_increment_offset = 2" not in found.kept["db3:3306"]


def test_nothing_is_planned_twice(made: SimpleNamespace) -> None:
    """What is in place stays; a stopped stream is started."""
    servers = made.pair_and_chain()
    facts = [Facts(one, ("cloud",)) for one in servers]
    assert plan(facts, WISH).steps == ()
    facts[2] = Facts(made.server(3, made.channel(2, receiving=False)), ("cloud",))
    assert [(step.server, step.statement) for step in plan(facts, WISH).steps] == [("db3:3306", "START SLAVE")]


def test_a_replica_that_is_not_let_in_gets_the_password_anew(made: SimpleNamespace) -> None:
    """Whoever changed it: running the command again is what mends things."""
    servers = made.pair_and_chain()
    servers[2] = made.server(3, made.channel(2, receiving=False, connecting=True, receive_errno=1045))
    found = plan([Facts(one, ("cloud",)) for one in servers], WISH)
    said = [step.statement for step in found.steps if step.server == "db3:3306"]
    assert said == ["STOP SLAVE", "CHANGE MASTER TO MASTER_USER = 'repl', MASTER_PASSWORD = {password}", "START SLAVE"]
    assert [step.statement.split()[0] for step in found.steps if step.server == "db1:3306"] == [
        "CREATE", "ALTER", "GRANT",
    ]  # fmt: skip
    assert (found.user, found.running, found.needs_password) == ("repl", True, True)


def test_data_that_would_be_lost_is_refused(made: SimpleNamespace) -> None:
    """With its databases, and what the first server has not."""
    other = Facts(made.server(2, gtid="0-2-7"), ("shop",))
    with pytest.raises(InvalidRequest, match=r"nothing was changed: db2:3306 holds data .shop..*\(up to 0-2-7\).*lost"):
        plan([_fresh(made, 1, data=True), other], WISH)
    imported = Facts(made.server(2, gtid=""), ("shop",))
    with pytest.raises(InvalidRequest, match="unknown origin"):
        plan([_fresh(made, 1, data=True), imported], WISH)


def test_a_server_that_shares_the_history_is_attached_without_a_copy(made: SimpleNamespace) -> None:
    """It was restored from a dump of the first, or replicated from it before."""
    behind = Facts(made.server(2, gtid="0-1-8"), ("cloud",))
    found = plan([_fresh(made, 1, data=True), behind], WISH)
    assert not [step for step in found.steps if step.kind == "copy"]


@pytest.mark.parametrize(
    ("other", "words"),
    [
        ({"binary_log": False}, "db2:3306 needs log_bin"),
        ({"log_updates": False}, "db2:3306 needs log_slave_updates"),
        ({"unread": ("its replicas: denied",)}, "db2:3306 does not show its replicas: denied"),
        ({"flavor": "MySQL"}, "MariaDB and MySQL"),
    ],
)
def test_what_no_statement_can_change_is_said(made: SimpleNamespace, other: dict[str, Any], words: str) -> None:
    """And nothing is planned."""
    with pytest.raises(InvalidRequest, match=words):
        plan([_fresh(made, 1, data=True), _fresh(made, 2, **other)], WISH)


def test_a_server_that_already_follows_another_is_refused(made: SimpleNamespace) -> None:
    """Its present source is named."""
    taken = _fresh(made, 2)
    taken = replace(taken, state=replace(taken.state, channels=(made.channel(9, source_id=9),)))
    with pytest.raises(InvalidRequest, match="db2:3306 replicates from db9:3306, which is not asked for"):
        plan([_fresh(made, 1, data=True), taken], WISH)


def test_an_empty_source_of_others_is_not_made_a_copy(made: SimpleNamespace) -> None:
    """They would lose their place in its log."""
    facts = [_fresh(made, 1, data=True), _fresh(made, 2), _fresh(made, 3)]
    facts[2] = replace(facts[2], state=replace(facts[2].state, channels=(made.channel(2),)))
    with pytest.raises(InvalidRequest, match="db3:3306 replicate from it"):
        plan(facts, WISH)


def test_equal_numbers_are_made_different(made: SimpleNamespace) -> None:
    """Servers that nobody configured all have server_id 1."""
    facts = [_fresh(made, number, server_id=1, data=number == 1) for number in (1, 2, 3)]
    ids = [step.statement for step in plan(facts, WISH).steps if "server_id" in step.statement]
    assert ids == ["SET GLOBAL server_id = 2", "SET GLOBAL server_id = 3"]


def test_mysql_is_spoken_to_in_its_own_words(made: SimpleNamespace) -> None:
    """Settings persist there, and replicas position themselves."""
    facts = [Facts(made.server(number, flavor="MySQL", version="8.0.36", gtid="", server_id=7)) for number in (1, 2)]
    statements = " ".join(step.statement for step in plan(facts, Wish("repl", semi_sync=True)).steps)
    assert "SET PERSIST server_id = 1" in statements
    assert "CHANGE REPLICATION SOURCE TO" in statements
    assert "SOURCE_AUTO_POSITION = 1" in statements
    assert "rpl_semi_sync_source_enabled" in statements


@pytest.mark.parametrize("text", ["a'b", "a\\b", "a\0b"])
def test_names_cannot_leave_their_quotes(text: str) -> None:
    """They stand in statements that take no parameters."""
    with pytest.raises(InvalidRequest):
        quoted(text)
