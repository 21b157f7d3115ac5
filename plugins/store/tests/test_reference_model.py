"""The kit's reference model keeps the contract that it is the measure of."""

from collections.abc import Iterator

import pytest
from holdfast_conformance.model_store import ModelStore
from holdfast_conformance.store import StoreConformance


class TestModelStore(StoreConformance):
    """The model against its own suite."""

    @pytest.fixture
    def store(self) -> Iterator[ModelStore]:
        """An empty model."""
        store = ModelStore()
        yield store
        store.close()
