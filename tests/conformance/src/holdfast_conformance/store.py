"""Conformance of the `store` point: subclass `StoreConformance` and give it a fixture `store`."""

import pytest
from holdfast.errors import StoreError
from holdfast.hooks.store import Insert, Store
from holdfast.model import (
    Event,
    Json,
    Vm,
)

from holdfast_conformance.store_batch_tests import BatchTests
from holdfast_conformance.store_machine import run_against_model
from holdfast_conformance.store_query_tests import QueryTests
from holdfast_conformance.store_row_tests import RowTests
from holdfast_conformance.store_rows import event, must, vm
from holdfast_conformance.store_thread_tests import ThreadTests
from holdfast_conformance.suite import Conformance


class StoreConformance(RowTests, BatchTests, QueryTests, ThreadTests, Conformance):
    """What every store must do. Subclass it and give a fixture `store`: new, migrated, empty, and closed later."""

    point = "store"

    @pytest.fixture
    def driver(self, store: Store) -> Store:
        """The name that all suites share."""
        return store

    def test_migrate_may_be_called_again(self, store: Store) -> None:
        """It keeps what is there."""
        (row_id,) = store.commit([Insert(vm(name="kept"))])
        store.migrate()
        assert must(store, Vm, row_id).name == "kept"

    def test_close_is_idempotent_and_final(self, store: Store) -> None:
        """A closed store answers with a `StoreError`, not with something of its own."""
        store.close()
        store.close()
        with pytest.raises(StoreError):
            store.get(Vm, 1)
        with pytest.raises(StoreError):
            store.commit([Insert(vm())])

    def test_long_histories_agree_with_the_model(self, store: Store) -> None:
        """Hypothesis makes up batches and queries and compares each outcome with a simple in-memory store."""
        run_against_model(store)

    def test_a_json_text_is_kept_as_text(self, store: Store) -> None:
        """Its spaces and the order of its keys too: it is shown to people and compared in expectations."""
        (row_id,) = store.commit([Insert(event(evidence=Json('[{"a":  1}]')))])
        assert must(store, Event, row_id).evidence == '[{"a":  1}]'
