"""Several batches as one: like changes next to each other, for the store sends those together, which is far quicker.

The order of changes means something only where two of them meet. So it is given up for batches that meet no other, and
kept for the rest. Whoever waits for a batch has not been told yet that it is written, so any order of the batches is as
good as the one in which they came: what counts is that the outcome is that of one after the other.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence, Set

from holdfast.hooks.store import Change, Delete, Expect, Insert, OwnedBy, Update
from holdfast.model import HaConfig
from holdfast.model.rows import Row

Batch = Sequence[Change]
Key = tuple[type[Row], int]

_OWNER = frozenset({"owner_epoch", "resource_id", "resource_type"})
_ALL_KEYS = 0
"""No row has this id."""


def side_by_side(changes: Iterable[Change]) -> list[Change]:
    """The same batch with like changes next to each other.

    For batches that touch no row twice: there the order means nothing.
    """
    return sorted(changes, key=_shape)


class Merged:
    """What to write for some batches, in one transaction."""

    def __init__(self, batches: Sequence[Batch]) -> None:
        """Raises nothing, and changes none of them."""
        pairs = [(change, number) for number, batch in enumerate(batches) for change in batch]
        meeting = _meeting(batches)
        free = sorted((pair for pair in pairs if pair[1] not in meeting), key=lambda pair: _shape(pair[0]))
        ordered = free + [pair for pair in pairs if pair[1] in meeting]
        self.changes = [change for change, _ in ordered]
        """In the order in which they are to be written."""
        self._inserts = [number for change, number in ordered if isinstance(change, Insert)]
        self._count = len(batches)

    def shares(self, ids: Sequence[int]) -> list[tuple[int, ...]]:
        """Of the ids that the store gave for `changes`, those of each batch, in the order of its own Inserts."""
        found: list[list[int]] = [[] for _ in range(self._count)]
        for number, row_id in zip(self._inserts, ids, strict=True):
            found[number].append(row_id)
        return [tuple(share) for share in found]


def _meeting(batches: Sequence[Batch]) -> set[int]:
    """Numbers of the batches in which something is looked at or written that is so once more, there or in another."""
    if _is_about_owners(batches):
        return set(range(len(batches)))
    freed = {record for batch in batches for change in batch if (record := _frees_a_key(change)) is not None}
    touched = Counter(key for batch in batches for key in _keys(batch, freed))
    return {number for number, batch in enumerate(batches) if any(touched[key] > 1 for key in _keys(batch, freed))}


def _is_about_owners(batches: Sequence[Batch]) -> bool:
    """Whether an owner is asked for while another is written: which row that concerns does not show."""
    asked = any(isinstance(change, OwnedBy) for batch in batches for change in batch)
    return asked and any(_names_an_owner(change) for batch in batches for change in batch)


def _names_an_owner(change: Change) -> bool:
    if isinstance(change, Insert):
        return isinstance(change.row, HaConfig)
    if isinstance(change, Update):
        return change.record is HaConfig and not change.values.keys().isdisjoint(_OWNER)
    return isinstance(change, Delete) and change.record is HaConfig


def _frees_a_key(change: Change) -> type[Row] | None:
    """The record of which a unique key is given up: another row may have come to need it."""
    if isinstance(change, Delete):
        return change.record
    if isinstance(change, Update) and any(name in change.values for key in change.record.UNIQUE for name in key):
        return change.record
    return None


def _keys(batch: Batch, freed: Set[type[Row]]) -> Iterator[Key]:
    """What a batch touches: rows, and all unique keys of the records of which some are given up."""
    for change in batch:
        if isinstance(change, (Update, Delete, Expect)):
            yield change.record, change.id
        if isinstance(change, Insert) and type(change.row) in freed:
            yield type(change.row), _ALL_KEYS
        elif (record := _frees_a_key(change)) is not None:
            yield record, _ALL_KEYS


def _shape(change: Change) -> tuple[int, str, str]:
    """Looks first, new rows last."""
    if isinstance(change, Insert):
        return (2, type(change.row).TABLE, "")
    if isinstance(change, Update):
        return (1, change.record.TABLE, " ".join((*change.values, *map(_expected, change.expect.items()))))
    return (0, "", "")


def _expected(condition: tuple[str, object]) -> str:
    return f"{condition[0]}{'=' if condition[1] is None else ''}"
