"""A Hypothesis machine that drives a store and the reference model together."""

from collections.abc import Iterator
from typing import Any

from holdfast.errors import Conflict
from holdfast.hooks.store import Change, Delete, Expect, Insert, OwnedBy, Query, Store, Update
from holdfast.model import Event, HaConfig, Json, Moment, Permit, Row, Vm
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from holdfast_conformance.model_store import ModelStore
from holdfast_conformance.store_rows import config, event, permit, vm

USED: tuple[type[Row], ...] = (Vm, Permit, HaConfig, Event)

names = st.sampled_from(["", "a", "A", "b", "a b", "a%", "a_", "é", "É", "\U0001f4a9", "it's", "\\"])
numbers = st.integers(0, 4)
maybe_numbers = st.none() | numbers
moments = st.integers(0, 2**33).map(lambda eighths: Moment(eighths / 8))

VM_FIELDS: dict[str, st.SearchStrategy[Any]] = {
    "name": names,
    "state": st.sampled_from(["Running", "Stopped", "NeverHeardOf"]),
    "host_id": maybe_numbers,
    "ram": numbers,
    "ha_enabled": st.booleans(),
    "created": moments,
    "removed": st.none() | moments,
    "reason": names,
}
PERMIT_FIELDS: dict[str, st.SearchStrategy[Any]] = {
    "vm_id": numbers,
    "run_epoch": st.integers(1, 2),
    "state": st.sampled_from(["issued", "ended"]),
    "proof": st.sampled_from([Json("{}"), Json('{"a": 1}')]),
}
CONFIG_FIELDS: dict[str, st.SearchStrategy[Any]] = {
    "resource_id": numbers,
    "owner_epoch": st.integers(0, 2),
    "ha_state": st.sampled_from([None, "Available", "Fenced"]),
}
FIELDS: dict[type[Row], dict[str, st.SearchStrategy[Any]]] = {
    Vm: VM_FIELDS,
    Permit: PERMIT_FIELDS,
    HaConfig: CONFIG_FIELDS,
    Event: {"resource_id": names},
}
TEXTS: dict[type[Row], tuple[str, ...]] = {
    Vm: ("name", "reason", "state"),
    Permit: ("state",),
    HaConfig: (),
    Event: ("resource_id",),
}
MAKERS: dict[type[Row], Any] = {Vm: vm, Permit: permit, HaConfig: config, Event: event}


def _some(fields: dict[str, st.SearchStrategy[Any]], most: int) -> st.SearchStrategy[dict[str, Any]]:
    chosen = st.lists(st.sampled_from(sorted(fields)), max_size=most, unique=True)
    return chosen.flatmap(lambda keys: st.fixed_dictionaries({key: fields[key] for key in keys}))


class StoreMachine(RuleBasedStateMachine):
    """Batches and queries made up by Hypothesis. Each outcome must be the model's."""

    def __init__(self, store: Store) -> None:
        super().__init__()
        self.store = store
        self.model = ModelStore()

    @initialize()
    def empty_the_store(self) -> None:
        """One store serves all the histories."""
        self.store.commit([Delete(record, row.id) for record in USED for row in self.store.select(record, Query())])

    @rule(data=st.data(), size=st.integers(0, 6))
    def commit(self, data: st.DataObject, size: int) -> None:
        """A batch is written whole, with the model's outcome, or refused for the model's reason."""
        changes = [self._change(data) for _ in range(size)]
        ids: tuple[int, ...] = ()
        outcome: type[Exception] | None = None
        try:
            ids = self.store.commit(changes)
        except Conflict as conflict:
            outcome = type(conflict)
        assert self._model_outcome(changes, iter(ids), outcome) is outcome
        assert len(ids) == (0 if outcome else sum(isinstance(change, Insert) for change in changes))

    def _model_outcome(
        self, changes: list[Change], ids: Iterator[int], outcome: type[Exception] | None
    ) -> type[Exception] | None:
        try:
            self.model.commit_as(changes, ids if outcome is None else iter(range(10**12, 10**12 + len(changes))))
        except Conflict as conflict:
            return type(conflict)
        return None

    @rule(data=st.data(), record=st.sampled_from(USED))
    def select(self, data: st.DataObject, record: type[Row]) -> None:
        """The same rows in the same order, and the same count."""
        query = self._query(data, record)
        assert self.store.select(record, query) == self.model.select(record, query)
        assert self.store.count(record, query) == self.model.count(record, query)

    @invariant()
    def all_rows_agree(self) -> None:
        """After each step."""
        for record in USED:
            assert self.store.select(record, Query()) == self.model.select(record, Query())

    def _change(self, data: st.DataObject) -> Change:
        record = data.draw(st.sampled_from(USED))
        fields = FIELDS[record]
        kind = data.draw(st.sampled_from(["insert", "insert", "update", "update", "delete", "expect", "owned"]))
        if kind == "insert":
            return Insert(MAKERS[record](**data.draw(_some(fields, 4))))
        if kind == "owned":
            return OwnedBy(data.draw(numbers), data.draw(st.integers(0, 2)))
        row_id = data.draw(st.sampled_from([row.id for row in self.model.select(record, Query())] or [10**9]))
        expect = self._expected(data, record, row_id)
        if kind == "update":
            return Update(record, row_id, data.draw(_some(fields, 3)), expect)
        return Delete(record, row_id, expect) if kind == "delete" else Expect(record, row_id, expect)

    def _expected(self, data: st.DataObject, record: type[Row], row_id: int) -> dict[str, Any]:
        """Mostly what is true before the batch, so that batches also succeed."""
        expect = data.draw(_some(FIELDS[record], 2))
        row = self.model.get(record, row_id)
        if row is not None and data.draw(st.integers(0, 4)):
            return {name: getattr(row, name) for name in expect}
        return expect

    def _query(self, data: st.DataObject, record: type[Row]) -> Query:
        fields = FIELDS[record]
        bounded = {name: values for name, values in fields.items() if name not in {"ha_enabled", "proof"}}
        texts = TEXTS[record]
        chosen = st.sampled_from(sorted(fields))
        directions = st.tuples(st.sampled_from(["", "-"]), st.sampled_from(sorted(bounded))).map("".join)
        listed = data.draw(st.lists(chosen, max_size=1))
        among = {name: data.draw(st.lists(fields[name], max_size=3)) for name in listed}
        found: dict[str, tuple[str, ...]] = (
            {} if not texts else data.draw(st.dictionaries(names, st.just(texts), max_size=1))
        )
        return Query(
            equal=data.draw(_some(fields, 1)),
            among=among,
            unequal=data.draw(_some(fields, 1)),
            containing=found,
            below={key: value for key, value in data.draw(_some(bounded, 1)).items() if value is not None},
            above={key: value for key, value in data.draw(_some(bounded, 1)).items() if value is not None},
            order=tuple(data.draw(st.lists(directions, max_size=2))),
            limit=data.draw(st.none() | st.integers(0, 5)),
            offset=data.draw(st.integers(0, 2)),
        )


def run_against_model(store: Store, *, histories: int = 40, steps: int = 20) -> None:
    """Run many made-up histories on `store` and on the model; raise `AssertionError` at the first difference."""

    class Machine(StoreMachine):
        def __init__(self) -> None:
            super().__init__(store)

    run_state_machine_as_test(
        Machine,
        settings=settings(
            max_examples=histories, stateful_step_count=steps, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )


__all__ = ["StoreMachine", "run_against_model"]
