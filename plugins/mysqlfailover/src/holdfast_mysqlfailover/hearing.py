"""Do replicas still hear a writer that is silent here? Pure: all times come with the answers.

Whatever a replica received from such a writer shows that it lives, and that only this server is cut off from it. A
living source sends a heartbeat when it has nothing else to send, so a replica that takes in nothing for longer than
that hears it no more.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from holdfast_mysqlfailover.node import Channel, Node

_LATE: Final = 1.2
_LATER: Final = 0.15
"""A heartbeat may be late by a fifth, and on its way for so many seconds."""

Key = tuple[int, str, int]
"""A channel among all: server id of its replica, its name, server id of its source."""


@dataclass(frozen=True, slots=True)
class Ear:
    """What a channel had taken in, unchanged in all answers since `since` (monotonic seconds, when the first of them
    had arrived). `changed`: it was something else before, while the writer was silent already."""

    contact: tuple[str, ...]
    since: float
    changed: bool = False


Ears = Mapping[Key, Ear]


def listened(ears: Ears, nodes: Iterable[Node]) -> dict[Key, Ear]:
    """`ears` after some more answers."""
    now = dict(ears)
    for node in nodes:
        for channel in node.channels:
            key = _key(node, channel)
            before = now.get(key)
            if before is None or before.contact != channel.contact:
                now[key] = Ear(channel.contact, node.answered, before is not None)
    return now


def signs_of_life(node: Node, silent: frozenset[int], ears: Ears) -> Iterator[str]:
    """Why the servers of these ids cannot be called lost, as far as `node` can tell; nothing if they can."""
    for channel in node.channels:
        if channel.source in silent:
            yield from _of_channel(node, channel, ears.get(_key(node, channel)))


def _of_channel(node: Node, channel: Channel, ear: Ear | None) -> Iterator[str]:
    if not channel.trying:
        yield (
            "its replication from the host that is silent here has been stopped, so it cannot tell whether that host "
            "lives: START SLAVE (START REPLICA on MySQL)"
        )
    elif channel.receiving and not channel.heartbeat:
        yield (
            "its replication has no heartbeat, so nobody knows whether it hears the host that is silent here: set "
            "MASTER_HEARTBEAT_PERIOD = 1 (SOURCE_HEARTBEAT_PERIOD on MySQL)"
        )
    elif ear is not None and ear.contact == channel.contact:
        needed = _LATE * channel.heartbeat + _LATER
        # From when the earlier answer had arrived to when the later one was asked for: either may have taken long.
        if node.asked - ear.since < needed:
            yield _STILL if ear.changed else f"{_AGAIN}, which takes {needed:.2f} s"
    else:
        yield _STILL if ear is not None else _AGAIN


_AGAIN: Final = "it is asked again whether it still hears the host that is silent here"
_STILL: Final = "it still receives from the host that is silent here: only this server is cut off from that host"


def _key(node: Node, channel: Channel) -> Key:
    return node.server, channel.name, channel.source
