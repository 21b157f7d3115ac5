"""Store: the only memory. Reads, and batches that are written whole or not at all."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from holdfast.hooks.database import Database
from holdfast.hooks.markers import hookspec, optional
from holdfast.model.rows import R, Row


@dataclass(frozen=True, slots=True)
class Query:
    """Which rows. All conditions must hold.

    `equal`: field → value (None means IS NULL). `among`: field → collection of values. `unequal`: field → value.
    `containing`: text → fields; a row matches if any of the fields contains the text, letter case aside.
    `below` / `above`: field → bound, exclusive. `order` is a tuple of field names, "-" first for descending; ties go by
    id. `limit` None means all.
    """

    equal: Mapping[str, Any] = field(default_factory=dict)
    among: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    unequal: Mapping[str, Any] = field(default_factory=dict)
    containing: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    below: Mapping[str, Any] = field(default_factory=dict)
    above: Mapping[str, Any] = field(default_factory=dict)
    order: tuple[str, ...] = ()
    limit: int | None = None
    offset: int = 0


@dataclass(frozen=True, slots=True)
class Insert:
    """Write a new row. Its `id` must be 0; the store assigns one."""

    row: Row


@dataclass(frozen=True, slots=True)
class Update:
    """Set `values` on one row, if it exists and each field in `expect` still has the expected value."""

    record: type[Row]
    id: int
    values: Mapping[str, Any]
    expect: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Delete:
    """Remove one row, if `expect` still holds. A row that is already gone is a conflict only if `expect` is given."""

    record: type[Row]
    id: int
    expect: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Expect:
    """Write nothing, but refuse the batch unless this row exists with these values."""

    record: type[Row]
    id: int
    values: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class OwnedBy:
    """Refuse the batch with `StaleOwner` unless `ha_config.owner_epoch` of this host is exactly `epoch` (S5)."""

    host_id: int
    epoch: int


Change = Insert | Update | Delete | Expect | OwnedBy


class Store:
    """The only memory of all management servers. Group `holdfast.store`; one is chosen.

    All methods block and are safe to call from several threads. Rows are immutable; a read sees committed batches only.
    `StoreUnavailable` means that nothing is known or written; the caller stops acting until the store answers again.
    """

    @hookspec
    def get(self, record: type[R], row_id: int) -> R | None:
        """The row with this id, or None."""
        raise NotImplementedError

    @hookspec
    def select(self, record: type[R], query: Query) -> list[R]:
        """All rows that match, in order."""
        raise NotImplementedError

    @hookspec
    def count(self, record: type[Row], query: Query) -> int:
        """How many rows match, `limit` and `offset` aside."""
        raise NotImplementedError

    @hookspec
    def commit(self, changes: Sequence[Change]) -> tuple[int, ...]:
        """Write the batch in one transaction, in order, and return the ids of its Inserts, in order.

        Raises `Conflict` (or `StaleOwner`) if any expectation or unique key fails: then nothing was written.
        `OutcomeUnknown` if the connection broke around the commit. An empty batch writes nothing.
        """
        raise NotImplementedError

    @hookspec
    def migrate(self) -> None:
        """Bring the schema to this program's version. Safe to call from several servers at once. `ConfigurationError`
        if the schema is newer than the program."""
        raise NotImplementedError

    @hookspec
    def close(self) -> None:
        """Give up all resources. Idempotent."""
        raise NotImplementedError

    @optional
    def bind(self, database: Database) -> None:
        """Optional. Called once, before anything else, with the database driver that the configuration chose."""
