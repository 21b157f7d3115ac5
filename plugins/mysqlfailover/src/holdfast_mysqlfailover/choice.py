"""Which host to write to, given what each of them said. Pure: no clock, no connection."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from holdfast_mysqlfailover.hearing import Ears, signs_of_life
from holdfast_mysqlfailover.history import History
from holdfast_mysqlfailover.judging import Loss, reasons_against
from holdfast_mysqlfailover.node import Node, Refused, Writer
from holdfast_mysqlfailover.plan import Host

Answers = Mapping[Host, Node | str]
"""What each host answered, or why it did not."""


@dataclass(frozen=True, slots=True)
class Memory:
    """What is remembered of earlier rounds. `servers`: server ids by host, as far as they were ever seen.

    `known` is the last history seen on the last writer, the server `known_of`.
    `epoch` is the newest that was ever seen; `attempted` was sent to a host that did not answer, so that it may still
    come true there. `ears`: what replicas took in since the writer fell silent, the answers to judge among it.
    `overdue`: a handover has been under way for too long, and is to be undone.
    """

    servers: Mapping[Host, int]
    known: History | None = None
    known_of: int = 0
    epoch: int = 0
    attempted: int = 0
    ears: Ears = field(default_factory=dict)
    overdue: bool = False


@dataclass(frozen=True, slots=True)
class Choice:
    """What to do. `serve`: write to `host` under its epoch. `take`: make `host` the writer, then write to it.

    `renew`: `host` is the writer, but under an epoch that another host may have been given a newer one than; give it
    the newest. `found`: as `take`, for a database that never had a writer. `wait`: for the `reasons`, one per host.
    """

    action: Literal["serve", "take", "renew", "found", "wait"]
    host: Host | None = None
    reasons: tuple[str, ...] = ()
    handover: bool = False
    """Whether it waits for a handover to come through."""
    listening: bool = False
    """Whether a host could take over if it were certain that nobody hears the silent writer."""
    gone: frozenset[int] = frozenset()
    """Servers that refuse connections, so that their replicas must have noticed."""
    known: History | None = None
    """What the lost writer was seen to have."""


def choose(answers: Answers, memory: Memory) -> Choice:
    """The decision for a plan with several hosts."""
    nodes = {host: node for host, node in answers.items() if isinstance(node, Node)}
    reasons = {host: answer for host, answer in answers.items() if isinstance(answer, str)}
    twins = _twins(nodes)
    if twins:
        return Choice("wait", reasons=(twins,))
    rows = [node.writer for node in nodes.values() if node.writer is not None]
    if not rows:
        return _first_ever(nodes, reasons, memory)
    newest = max(rows, key=lambda row: row.epoch)
    rivals = sorted({row.server for row in rows if row.epoch == newest.epoch})
    if len(rivals) > 1:
        return Choice("wait", reasons=(_split(rivals, newest.epoch, nodes),))
    if newest.epoch < memory.epoch:
        stale = f"its writer row is of epoch {newest.epoch}, but epoch {memory.epoch} has been seen: it was away then"
        return _wait(reasons | dict.fromkeys(nodes, stale))
    writer = next((host for host, node in nodes.items() if node.server == newest.server), None)
    if writer is None:
        return _take_over(nodes, reasons, memory, newest)
    if nodes[writer].writer != newest:
        reasons[writer] = "it is to be the writer, but its replication has not brought it up to date yet"
        if memory.overdue:
            return _take_over(nodes, reasons, memory, newest)
        return replace(_wait(reasons), handover=True)
    if nodes[writer].read_only:
        reasons[writer] = "read_only is on"
        return _take_over(nodes, reasons, memory, newest)
    return Choice("renew" if newest.epoch < memory.attempted else "serve", writer)


def _first_ever(nodes: dict[Host, Node], reasons: dict[Host, str], memory: Memory) -> Choice:
    for host, node in nodes.items():
        if host.number == 0:
            if node.read_only:
                reasons[host] = "read_only is on"
                break
            return Choice("found", host)
    chosen = _take_over(nodes, reasons, memory, Writer(0, 0))
    return replace(chosen, action="found") if chosen.action == "take" else chosen


def known_of_lost(memory: Memory, lost: frozenset[int]) -> History | None:
    """The last writer's history, if it is lost. What it had says nothing against itself, only against others."""
    return memory.known if memory.known_of in lost else None


def _loss(nodes: Mapping[Host, Node], away: Mapping[Host, str], memory: Memory, newest: int) -> Loss:
    """What is known of the servers that do not answer; `newest` is the id of the writer, which is one of them."""
    seen = {memory.servers[host] for host in away if host in memory.servers}
    # A host that cannot be told from the writer counts as the writer.
    doubtful = [answer for host, answer in away.items() if memory.servers.get(host, newest) == newest]
    if not newest:
        # Nobody knows yet whom the replicas receive from.
        seen |= {channel.source for node in nodes.values() for channel in node.channels}
    lost = frozenset((seen | {newest}) - {node.server for node in nodes.values()})
    return Loss(lost, known_of_lost(memory, lost), any(not isinstance(answer, Refused) for answer in doubtful))


def _take_over(nodes: dict[Host, Node], reasons: dict[Host, str], memory: Memory, newest: Writer) -> Choice:
    epoch = newest.epoch
    away = {host: reason for host, reason in reasons.items() if host not in nodes}
    loss = _loss(nodes, away, memory, newest.server)
    heard = {host: list(signs_of_life(node, loss.servers, memory.ears)) for host, node in nodes.items()}
    listening = False
    for host in sorted(nodes, key=lambda host: host.number):
        if host in reasons:
            continue
        node = nodes[host]
        own = node.writer.epoch if node.writer else 0
        against = list(reasons_against(node, loss))
        if own < epoch:
            against.append(f"it knows the writer of epoch {own} only, and another host that of epoch {epoch}")
        if not against and loss.silent:
            against = heard[host] + [f"{each}: {said}" for each in nodes if each != host for said in heard[each]]
            listening |= bool(against)
        if not against:
            return Choice("take", host, gone=frozenset() if loss.silent else loss.servers, known=loss.known)
        reasons[host] = "; ".join(against)
    return replace(_wait(reasons), listening=listening)


def _wait(reasons: dict[Host, str]) -> Choice:
    said = sorted(reasons.items(), key=lambda pair: pair[0].number)
    return Choice("wait", reasons=tuple(f"{host}: {reason}" for host, reason in said))


def _twins(nodes: dict[Host, Node]) -> str:
    seen: dict[int, Host] = {}
    for host, node in nodes.items():
        if node.server in seen:
            return (
                f"{seen[node.server]} and {host} have the same server_id {node.server}: either they are one server "
                "under two names, or replication between them cannot work; correct db.properties or server_id"
            )
        seen[node.server] = host
    return ""


def _split(rivals: list[int], epoch: int, nodes: dict[Host, Node]) -> str:
    names = {node.server: str(host) for host, node in nodes.items()}
    hosts = " and ".join(names.get(server, f"server {server}") for server in rivals)
    return (
        f"{hosts} both became the writer of epoch {epoch} while they were cut off from each other: compare their data, "
        "rebuild one of them from the other, then start again"
    )
