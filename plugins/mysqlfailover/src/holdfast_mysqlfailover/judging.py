"""May this server be written to? Pure judgements on what servers said, with the reason for every no."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from holdfast_mysqlfailover.history import History
from holdfast_mysqlfailover.node import Node

MOST_BEHIND: Final = 100
"""Transactions that the first host may still lack when writing is about to go back: while it gets them, all wait."""


@dataclass(frozen=True, slots=True)
class Loss:
    """What is known of a writer that does not answer.

    `servers` are the ids of all that do not answer. `known` is the last history seen on the writer, None if it was
    never seen. `silent`: it does not even refuse.
    """

    servers: frozenset[int] = frozenset()
    known: History | None = None
    silent: bool = False


def reasons_against(node: Node, loss: Loss) -> tuple[str, ...]:
    """Why `node` must not take the place of a lost writer; empty if it may, once it has applied what it received.

    For a writer that is silent rather than gone see `signs_of_life` besides.
    """
    return tuple(_against(node, loss))


def _against(node: Node, loss: Loss) -> Iterator[str]:
    if node.read_only:
        yield "read_only is on"
    if node.blind:
        yield node.blind
        return
    if not node.channels:
        yield "it does not replicate from any server, so it does not have the data"
    for channel in node.channels:
        if not channel.applying:
            yield f"its replication is stopped ({channel.error or 'the SQL thread does not run'})"
    errant = node.history.beyond(loss.known, node.origin) if loss.known is not None else History()
    if errant:
        yield f"it has diverged: the lost host never had its transactions {errant}; rebuild it from that host"


def reason_of_loss(node: Node, known: History | None) -> str:
    """Why writing on `node` would lose what the lost writer was seen to have; "" if it would not, as far as known."""
    lacks = known.beyond(node.history) if known is not None else History()
    return (
        f"it never received {len(lacks)} transactions that the lost host had ({lacks}): bring that host back, or set "
        "accept_loss in [database.mysql] and start again"
        if lacks
        else ""
    )


def still_connected(node: Node, lost: frozenset[int]) -> bool:
    """Whether the node's replication believes that it is connected to a host that refuses connections here."""
    return any(channel.receiving and channel.source in lost for channel in node.channels)


def reasons_to_stay(first: Node, serving: Node) -> tuple[str, ...]:
    """Why writing must not go back from `serving` to `first` yet; empty if `first` has what it needs."""
    return tuple(_against_return(first, serving))


def _against_return(first: Node, serving: Node) -> Iterator[str]:
    if first.read_only:
        yield "read_only is on"
    for who, node in (("it", first), ("the host that serves", serving)):
        if node.blind:
            yield f"{who}: {node.blind}"
            return
    if not first.channels:
        yield "it does not replicate from any server, so it cannot catch up"
    for channel in first.channels:
        if not channel.applying:
            yield f"its replication is stopped ({channel.error or 'the SQL thread does not run'})"
        elif not channel.receiving:
            yield "it receives nothing: its replication is not connected"
    behind = len(serving.history.beyond(first.history))
    if behind > MOST_BEHIND:
        yield f"it lacks {behind} transactions yet"
    extra = first.history.beyond(serving.history)
    if extra:
        yield f"it has diverged: its transactions {extra} are on no other host; rebuild it from the host that serves"
