"""What has to be done so that servers replicate to each other, or why it must not be done. Pure.

The first server is where the data is. The second replicates from it, and it from the second unless `one_way`; every
further one replicates from the one before it. Nothing is planned for a stream that is in place already.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Literal

from holdfast.errors import InvalidRequest

from holdfast_replication.setup_facts import Facts
from holdfast_replication.state import ServerState, Snapshot
from holdfast_replication.topology import Edge, Topology, topology_of

ACCESS_DENIED = 1045
NET_TIMEOUT = 4
"""Seconds of silence after which a replica connects anew; sources send a heartbeat each second."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What the operator asks for. `replication_user` is made where it is missing."""

    replication_user: str
    one_way: bool = False
    semi_sync: bool = False


@dataclass(frozen=True, slots=True)
class Step:
    """One statement for one server, or ("copy") a copy of `source`'s data to it. "{password}" stands for the secret."""

    server: str
    statement: str
    why: str
    kind: Literal["statement", "copy"] = "statement"
    source: str = ""
    databases: tuple[str, ...] = ()
    awaits: str = ""
    """A server that must have come as far as the copy before the next step."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Steps in order, and the lines that each server's configuration file should hold to keep them over a restart."""

    steps: tuple[Step, ...]
    kept: dict[str, tuple[str, ...]] = field(default_factory=dict)
    user: str = ""
    """With whom replicas log in."""
    running: bool = False
    """Whether streams are in place that may log in with that user already: its password must stay."""

    @property
    def needs_password(self) -> bool:
        """Whether a step holds the password."""
        return any("{password}" in step.statement for step in self.steps)


def plan(facts: Sequence[Facts], wish: Wish) -> Plan:
    """The steps; none if all is in place. Raises `InvalidRequest` with every reason why it must not be done."""
    snapshot = Snapshot(tuple(one.state for one in facts), {one.address: one.state.history for one in facts})
    topology = topology_of(snapshot)
    links = wanted_links([one.address for one in facts], wish.one_way)
    refusals = [*_unfit(facts, topology, links), *_losses(facts, topology, links)]
    if refusals:
        raise InvalidRequest("nothing was changed: " + "; ".join(refusals))
    numbers = _numbers([one.state for one in facts])
    steps: list[Step] = []
    for place, one in enumerate(facts):
        steps += _settings(one, numbers[place], place, len(facts), wish)
    edges = [_edge(topology, replica, source) for replica, source in links]
    if any(edge is None or _is_denied(edge) for edge in edges):
        steps += _user(facts[0], wish)
    for replica, source in links:
        steps += _stream(facts, topology, replica, source, wish)
    kept = {one.address: _kept(numbers[place], place, wish) for place, one in enumerate(facts)}
    running = any(edge.channel.receiving for edge in topology.edges)
    return Plan(tuple(steps), kept, wish.replication_user, running)


def wanted_links(addresses: Sequence[str], one_way: bool) -> list[tuple[str, str]]:
    """(replica, source), in the order in which they are made."""
    links = [(replica, source) for source, replica in pairwise(addresses)]
    if not one_way and len(addresses) > 1:
        links.insert(1, (addresses[0], addresses[1]))
    return links


def _unfit(facts: Sequence[Facts], topology: Topology, links: list[tuple[str, str]]) -> Iterator[str]:
    """What no statement can change."""
    flavors = {one.state.flavor for one in facts}
    if len(flavors) > 1:
        yield f"{' and '.join(sorted(flavors))} do not replicate to each other here; use servers of one kind"
    for one in facts:
        state, missing = one.state, []
        if not state.binary_log:
            missing.append("log_bin")
        if not state.log_updates:
            missing.append("log_slave_updates" if state.flavor == "MariaDB" else "log_replica_updates=ON")
        if state.flavor == "MySQL" and not state.gtid_strict:
            missing += ["gtid_mode=ON", "enforce_gtid_consistency=ON"]
        if missing:
            yield f"{one.address} needs {', '.join(missing)} under [mysqld] of its configuration file, and a restart"
        for sentence in state.unread:
            yield f"{one.address} does not show {sentence}"
        for edge in topology.sources(one.address):
            if (one.address, edge.source) not in links:
                yield (
                    f"{one.address} replicates from {edge.source}, which is not asked for; end that first: STOP SLAVE; "
                    "RESET SLAVE ALL"
                )


def _losses(facts: Sequence[Facts], topology: Topology, links: list[tuple[str, str]]) -> Iterator[str]:
    """Servers whose data would be lost, or that would not have the data of their source."""
    first = facts[0]
    for one in facts[1:]:
        source = next(source for replica, source in links if replica == one.address)
        if _edge(topology, one.address, source) is not None:
            continue
        if not one.databases:
            if topology.replicas(one.address):
                names = ", ".join(edge.replica for edge in topology.replicas(one.address))
                yield f"{one.address} is empty and would be made a copy, but {names} replicate from it"
            elif one.state.flavor == "MySQL" and first.state.history.executed:
                yield f"{one.address} is empty: clone {first.address} to it first (CLONE INSTANCE, or mysqldump)"
            continue
        beyond = one.state.history.beyond(first.state.history)
        shared = one.state.history.executed and not beyond
        if not shared:
            what = f"with transactions that {first.address} has not ({beyond})" if beyond else "of unknown origin"
            yield (
                f"{one.address} holds data ({', '.join(one.databases)}) {what}, which would be lost; save it, "
                "drop those databases there, and run this again"
            )


def _numbers(states: Sequence[ServerState]) -> list[int]:
    """A server_id for each: its own where no earlier one has it."""
    taken: set[int] = set()
    found = []
    for state in states:
        number = state.server_id
        if number < 1 or number in taken:
            others = {one.server_id for one in states}
            number = next(n for n in range(1, len(states) * 3 + 2) if n not in taken and n not in others)
        taken.add(number)
        found.append(number)
    return found


def _settings(one: Facts, number: int, place: int, servers: int, wish: Wish) -> Iterator[Step]:
    state = one.state
    word = "GLOBAL" if state.flavor == "MariaDB" else "PERSIST"

    def set_to(name: str, value: str, why: str) -> Step:
        return Step(one.address, f"SET {word} {name} = {value}", why)

    if state.server_id != number:
        yield set_to("server_id", str(number), "every server needs a number of its own")
    if state.flavor == "MariaDB" and not state.gtid_strict:
        yield set_to("gtid_strict_mode", "ON", "a server that diverged stops replicating instead of mixing data")
    if place < 2 and servers > 1 and not wish.one_way:
        if state.increment != 2:
            yield set_to("auto_increment_increment", "2", "two servers that may both be written to")
        if state.offset != place + 1:
            yield set_to("auto_increment_offset", str(place + 1), "they never give the same number")
    if wish.semi_sync:
        source, replica = _semi_sync_words(state)
        if not state.semi_sync.source_enabled:
            yield set_to(source, "ON", "a commit waits until a replica has it")
        if not state.semi_sync.replica_enabled:
            yield set_to(replica, "ON", "it acknowledges what it received")


def _semi_sync_words(state: ServerState) -> tuple[str, str]:
    if state.flavor == "MariaDB":
        return "rpl_semi_sync_master_enabled", "rpl_semi_sync_slave_enabled"
    return "rpl_semi_sync_source_enabled", "rpl_semi_sync_replica_enabled"


def _user(first: Facts, wish: Wish) -> Iterator[Step]:
    who = f"{quoted(wish.replication_user)}@'%'"
    why = "replicas log in with it"
    yield Step(first.address, f"CREATE USER IF NOT EXISTS {who} IDENTIFIED BY {{password}}", why)
    yield Step(first.address, f"ALTER USER {who} IDENTIFIED BY {{password}}", why)
    yield Step(first.address, f"GRANT REPLICATION SLAVE ON *.* TO {who}", why)


def _edge(topology: Topology, replica: str, source: str) -> Edge | None:
    return next((edge for edge in topology.sources(replica) if edge.source == source), None)


def _is_denied(edge: Edge) -> bool:
    """Whether its source does not let the replica log in."""
    return edge.channel.receive_errno == ACCESS_DENIED and not edge.channel.receiving


def _stream(facts: Sequence[Facts], topology: Topology, replica: str, source: str, wish: Wish) -> Iterator[Step]:
    edge = _edge(topology, replica, source)
    by_address = {one.address: one for one in facts}
    target, first = by_address[replica], facts[0]
    maria = target.state.flavor == "MariaDB"
    start = "START SLAVE" if maria else "START REPLICA"
    if edge is not None and _is_denied(edge):
        yield from _log_in_anew(target.state, source, wish)
        yield Step(replica, start, f"it takes its changes from {source}")
        return
    if edge is not None:
        if not (edge.channel.receiving and edge.channel.applying):
            yield Step(replica, start, f"its replication from {source} was stopped")
        return
    if target is not first and not target.databases:
        # Nobody's data is there; its own log would make it look diverged.
        text, why = f"copy all of {first.address}", "it starts as a copy"
        yield Step(replica, text, why, "copy", first.address, first.databases, awaits=source)
    elif maria:
        yield Step(replica, "SET GLOBAL gtid_slave_pos = @@GLOBAL.gtid_current_pos", f"it has what {source} has so far")
    yield from _follow(target.state, source, wish)
    yield Step(replica, start, f"it takes its changes from {source}")


def _log_in_anew(state: ServerState, source: str, wish: Wish) -> Iterator[Step]:
    user, why = quoted(wish.replication_user), f"{source} denied its login"
    if state.flavor == "MariaDB":
        yield Step(state.address, "STOP SLAVE", why)
        yield Step(state.address, f"CHANGE MASTER TO MASTER_USER = {user}, MASTER_PASSWORD = {{password}}", why)
        return
    yield Step(state.address, "STOP REPLICA", why)
    words = f"CHANGE REPLICATION SOURCE TO SOURCE_USER = {user}, SOURCE_PASSWORD = {{password}}"
    yield Step(state.address, words, why)


def _follow(state: ServerState, source: str, wish: Wish) -> Iterator[Step]:
    host, _, port = source.rpartition(":")
    name = quoted(host.strip("[]"))
    user = quoted(wish.replication_user)
    why = f"it takes its changes from {source}"
    if state.flavor == "MariaDB":
        yield Step(state.address, f"SET GLOBAL slave_net_timeout = {NET_TIMEOUT}", "a silent source is noticed")
        yield Step(
            state.address,
            f"CHANGE MASTER TO MASTER_HOST = {name}, MASTER_PORT = {port}, MASTER_USER = {user}, MASTER_PASSWORD = "
            "{password}, MASTER_USE_GTID = slave_pos, MASTER_HEARTBEAT_PERIOD = 1, MASTER_CONNECT_RETRY = 1",
            why,
        )
        return
    yield Step(state.address, f"SET PERSIST replica_net_timeout = {NET_TIMEOUT}", "a silent source is noticed")
    yield Step(
        state.address,
        f"CHANGE REPLICATION SOURCE TO SOURCE_HOST = {name}, SOURCE_PORT = {port}, SOURCE_USER = {user}, "
        "SOURCE_PASSWORD = {password}, SOURCE_AUTO_POSITION = 1, SOURCE_HEARTBEAT_PERIOD = 1, "
        "SOURCE_CONNECT_RETRY = 1, GET_SOURCE_PUBLIC_KEY = 1",
        why,
    )


def _kept(number: int, place: int, wish: Wish) -> tuple[str, ...]:
    """Lines of the configuration file: statements alone are forgotten by MariaDB at a restart."""
    lines = [f"server_id = {number}", "log_bin", "log_slave_updates = ON", "gtid_strict_mode = ON"]
    lines += [f"slave_net_timeout = {NET_TIMEOUT}"]
    if place < 2 and not wish.one_way:
        lines += ["auto_increment_increment = 2", f"auto_increment_offset = {place + 1}"]
    if wish.semi_sync:
        lines += ["rpl_semi_sync_master_enabled = ON", "rpl_semi_sync_slave_enabled = ON"]
    return tuple(lines)


def quoted(text: str) -> str:
    """A text literal for either server, whatever its sql_mode: no backslash and no quote may stand in it."""
    if "'" in text or "\\" in text or "\0" in text:
        raise InvalidRequest(f"{text!r} may hold no quotes and no backslashes")
    return f"'{text}'"
