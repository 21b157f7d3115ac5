"""Who takes changes from whom: pairs, chains and rings, from what the servers say. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass

from holdfast_replication.state import Channel, ServerState, Snapshot


@dataclass(frozen=True, slots=True)
class Edge:
    """One stream. `source` is a configured server's address, or what the replica calls a server that is none."""

    replica: str
    source: str
    known: bool
    channel: Channel


@dataclass(frozen=True, slots=True)
class Place:
    """One server in the tree. `last` says, from the root down, whether each branch is the last of its siblings."""

    address: str
    last: tuple[bool, ...] = ()


@dataclass(frozen=True, slots=True)
class Topology:
    """Addresses in configured order, and the streams between them."""

    addresses: tuple[str, ...]
    edges: tuple[Edge, ...]

    def sources(self, address: str) -> tuple[Edge, ...]:
        """The streams that a server takes."""
        return tuple(edge for edge in self.edges if edge.replica == address)

    def replicas(self, address: str) -> tuple[Edge, ...]:
        """The streams that others take from it."""
        return tuple(edge for edge in self.edges if edge.source == address and edge.known)

    def reaches(self, origin: str, target: str) -> bool:
        """Whether changes made on `origin` come to `target`, directly or through others."""
        return self._leads(origin, target, self.edges)

    def will_reach(self, origin: str, target: str) -> bool:
        """As `reaches`, but only by streams that can go on: one that is merely stopped or cut off can."""
        return self._leads(origin, target, tuple(edge for edge in self.edges if not edge.channel.is_stuck))

    @staticmethod
    def _leads(origin: str, target: str, edges: tuple[Edge, ...]) -> bool:
        seen, ahead = {origin}, [origin]
        while ahead:
            here = ahead.pop()
            for edge in (one for one in edges if one.source == here and one.known):
                if edge.replica == target:
                    return True
                if edge.replica not in seen:
                    seen.add(edge.replica)
                    ahead.append(edge.replica)
        return False

    def ring(self, address: str) -> tuple[str, ...]:
        """The servers that exchange changes both ways with this one, itself included, in configured order."""
        return tuple(
            one
            for one in self.addresses
            if one == address or (self.reaches(one, address) and self.reaches(address, one))
        )

    def tree(self) -> tuple[Place, ...]:
        """Every server once, sources before their replicas; of a ring the first configured one comes first."""
        placed: set[str] = set()
        found: list[Place] = []
        for root in self._roots():
            found += self._under(root, placed, ())
        return tuple(found)

    def _roots(self) -> Iterator[str]:
        rings = {one: self.ring(one) for one in self.addresses}
        for one in self.addresses:
            outside = [e for e in self.sources(one) if e.known and e.source not in rings[one]]
            fed = any(e.known and e.source not in rings[m] for m in rings[one] for e in self.sources(m))
            if rings[one][0] == one and not outside and not fed:
                yield one

    def _under(self, address: str, placed: set[str], last: tuple[bool, ...]) -> list[Place]:
        if address in placed:
            return []
        placed.add(address)
        found = [Place(address, last)]
        below = [edge.replica for edge in self.replicas(address) if edge.replica not in placed]
        for place, replica in enumerate(below):
            found += self._under(replica, placed, (*last, place == len(below) - 1))
        return found


def topology_of(snapshot: Snapshot) -> Topology:
    """The streams among the servers of a snapshot."""
    addresses = tuple(one.address for one in snapshot.readings)
    edges = []
    for state in snapshot.answered:
        for channel in state.channels:
            source, known = _source(snapshot, state, channel)
            edges.append(Edge(state.address, source, known, channel))
    return Topology(addresses, tuple(edges))


def _source(snapshot: Snapshot, replica: ServerState, channel: Channel) -> tuple[str, bool]:
    named = address_of(channel)
    if any(one.address == named for one in snapshot.readings):
        return named, True
    # The replica may know its source by another name; the number of the source says which one it is.
    same = [one for one in snapshot.answered if one.server_id == channel.source_id and one.address != replica.address]
    return (same[0].address, True) if channel.source_id and len(same) == 1 else (named, False)


def address_of(channel: Channel) -> str:
    """Where a stream comes from, as its replica names it."""
    host = f"[{channel.source_host}]" if ":" in channel.source_host else channel.source_host
    return f"{host}:{channel.source_port}"
