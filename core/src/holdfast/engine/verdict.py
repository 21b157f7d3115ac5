"""What evidence adds up to. Unknown is never dead (S2), and one bad pool condemns nobody (S4)."""

from collections.abc import Sequence

from holdfast.model.evidence import Evidence, Kind, Verdict
from holdfast.model.states import Opinion

_SIGNS_OF_LIFE = frozenset({Kind.LINK, Kind.AGENT})
_SIGNS_OF_WRITING = frozenset({Kind.HEARTBEAT, Kind.ACTIVITY})


def health(evidence: Sequence[Evidence], now: float) -> Verdict:
    """ALIVE if link or agent speak, DEAD if the link is silent and neither speaks, else unknown.

    DEAD here means "silent": enough to suspect a host, never enough to fence it. Chassis power is no sign of health: a
    hung host is powered.
    """
    speaking = tuple(e for e in evidence if e.kind in _SIGNS_OF_LIFE and e.read_at(now) is Opinion.ALIVE)
    if speaking:
        return Verdict(Opinion.ALIVE, speaking)
    silent = tuple(e for e in evidence if e.kind is Kind.LINK and e.read_at(now) is Opinion.DEAD)
    scripted = tuple(e for e in evidence if e.kind is Kind.AGENT and e.read_at(now) is Opinion.DEAD)
    if silent or scripted:
        return Verdict(Opinion.DEAD, silent + scripted)
    return Verdict(Opinion.UNKNOWN, (), ("a word from the host's agent or of its management link",))


def activity(evidence: Sequence[Evidence], now: float) -> Verdict:
    """ALIVE if any pool shows writing, DEAD only if there is a pool and every one says dead, else unknown (S4)."""
    pieces = tuple(e for e in evidence if e.kind in _SIGNS_OF_WRITING and not is_shown_only(e))
    writing = tuple(e for e in pieces if e.read_at(now) is Opinion.ALIVE)
    if writing:
        return Verdict(Opinion.ALIVE, writing)
    open_questions = tuple(e for e in pieces if e.read_at(now) is not Opinion.DEAD)
    if pieces and not open_questions:
        return Verdict(Opinion.DEAD, pieces)
    if not pieces:
        return Verdict(Opinion.UNKNOWN, (), ("a storage pool with heartbeats that a healthy neighbour can read",))
    return Verdict(Opinion.UNKNOWN, (), tuple(f"an answer about pool {e.pool or e.source}" for e in open_questions))


def is_shown_only(piece: Evidence) -> bool:
    """Whether it says of disks no more than that their storage cannot tell: an answer will never come."""
    return piece.kind is Kind.ACTIVITY and piece.opinion is Opinion.UNKNOWN and not piece.answerable


def power(evidence: Sequence[Evidence], now: float) -> tuple[Opinion, tuple[Evidence, ...]]:
    """DEAD only if there is chassis evidence and all of it says off; ALIVE if any says on."""
    pieces = tuple(e for e in evidence if e.kind is Kind.POWER)
    if any(e.read_at(now) is Opinion.ALIVE for e in pieces):
        return Opinion.ALIVE, pieces
    if pieces and all(e.read_at(now) is Opinion.DEAD for e in pieces):
        return Opinion.DEAD, pieces
    return Opinion.UNKNOWN, pieces


def lease_expired(evidence: Sequence[Evidence], now: float, needed: float) -> bool:
    """Whether nothing has renewed the host's lease for longer than lease + watchdog + margin.

    Neither a beat on any pool, nor the grant of an owner: without a word on grants there may have been one. Only means
    anything if the host had confirmed an armed watchdog; the caller checks that. Whatever shows writing on any pool
    contradicts it.
    """
    if activity(evidence, now).opinion is Opinion.ALIVE:
        return False
    beats = tuple(e for e in evidence if e.kind is Kind.HEARTBEAT)
    grants = tuple(e for e in evidence if e.kind is Kind.GRANT)
    renewals = (*beats, *grants)
    return bool(beats and grants) and all(e.read_at(now) is Opinion.DEAD and e.lasting > needed for e in renewals)
