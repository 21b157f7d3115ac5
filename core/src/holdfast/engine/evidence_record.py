"""Evidence as the store keeps it (a JSON list), and stored transitions told as a timeline."""

import json
from collections.abc import Sequence
from math import isnan
from typing import Any

from holdfast.model.availability import HaTransition
from holdfast.model.evidence import Evidence, Kind
from holdfast.model.states import Opinion

_TEXTS = ("subject", "source", "detail", "pool")
_NUMBERS = ("at", "max_age", "lasting")


def evidence_json(evidence: Sequence[Evidence]) -> str:
    """The pieces as a JSON list of objects, one key per field. Infinite numbers are written as text: JSON has none."""
    return json.dumps([_plain(piece) for piece in evidence], allow_nan=False)


def evidence_from_json(text: str) -> tuple[Evidence, ...]:
    """The pieces that `evidence_json` wrote. Of a text that is no such list: none. An unreadable piece is left out.

    Evidence that was read back explains what was; its times are of the clock that took it, and decide nothing.
    """
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return ()
    if not isinstance(found, list):
        return ()
    return tuple(piece for piece in map(_piece, found) if piece is not None)


def story(moves: Sequence[HaTransition]) -> list[dict[str, Any]]:
    """Stored transitions of one host as a timeline, oldest first, with the seconds since the one before.

    Keys: at (wall-clock seconds), seconds (since the one before, 0.1 s), event, from, to, reason, activitycounter,
    recoverycounter, evidence (a list of objects).
    """
    told: list[dict[str, Any]] = []
    before: float | None = None
    for move in sorted(moves, key=lambda stored: stored.id):
        # A wall clock that was set back tells no negative time.
        passed = 0.0 if before is None else max(0.0, move.created - before)
        before = move.created
        told.append(
            {
                "at": move.created,
                "seconds": round(passed, 1),
                "event": move.event,
                "from": move.prev_state,
                "to": move.state,
                "reason": move.reason,
                "activitycounter": move.activity_counter,
                "recoverycounter": move.recovery_counter,
                "evidence": [_plain(piece) for piece in evidence_from_json(move.evidence)],
            }
        )
    return told


def _plain(piece: Evidence) -> dict[str, Any]:
    plain: dict[str, Any] = {"kind": str(piece.kind), "opinion": str(piece.opinion)}
    plain |= {name: getattr(piece, name) for name in _TEXTS}
    plain |= {name: _number(getattr(piece, name)) for name in _NUMBERS}
    return plain if piece.answerable else plain | {"answerable": False}


def _number(value: float) -> float | str:
    return str(value) if value in (float("inf"), float("-inf")) or isnan(value) else value


def _piece(found: Any) -> Evidence | None:
    if not isinstance(found, dict):
        return None
    try:
        texts = {name: found.get(name, "") for name in _TEXTS}
        numbers = {name: float(found[name]) for name in _NUMBERS if name in found}
        if "at" not in numbers or not all(isinstance(text, str) for text in texts.values()):
            return None
        fields: dict[str, Any] = texts | numbers | {"answerable": found.get("answerable") is not False}
        return Evidence(kind=Kind(found["kind"]), opinion=Opinion(found["opinion"]), **fields)
    except (KeyError, TypeError, ValueError, OverflowError):
        return None
