"""The service suite passes a correct service, and each check fails one that breaks its rule."""

import asyncio
from types import SimpleNamespace

import pytest
from holdfast.errors import ConfigurationError
from holdfast.hooks.markers import hookimpl
from holdfast_conformance import ServiceConformance, failures, standard_tests

GOOD, BAD = SimpleNamespace(settings={"port": 0}), SimpleNamespace(settings={})


class GoodService:
    """A correct service: one task that waits for its end."""

    def __init__(self) -> None:
        self._end = asyncio.Event()
        self._task = None

    @hookimpl
    async def start(self, context):
        if "port" not in context.settings:
            raise ConfigurationError("port is missing")
        self._task = asyncio.ensure_future(self._end.wait())

    @hookimpl
    async def wait(self):
        await self._end.wait()

    @hookimpl
    async def stop(self):
        self._end.set()
        if self._task is not None:
            await self._task


class TestACorrectService(ServiceConformance):
    """The whole suite."""

    patience_seconds = 5.0

    @pytest.fixture
    def driver(self) -> GoodService:
        """The service under test."""
        return GoodService()

    @pytest.fixture
    def context(self) -> SimpleNamespace:
        """All that this service looks at."""
        return GOOD

    @pytest.fixture
    def bad_context(self) -> SimpleNamespace:
        """Lacks the port."""
        return BAD


class StopsOnce(GoodService):
    @hookimpl
    async def stop(self):
        assert not self._end.is_set()
        await super().stop()


class WaitsForEver(GoodService):
    @hookimpl
    async def wait(self):
        await asyncio.Event().wait()


class CannotStopUnstarted(GoodService):
    @hookimpl
    async def stop(self):
        self._end.set()
        await self._task


class LeavesItsTask(GoodService):
    @hookimpl
    async def stop(self):
        if self._task is not None and not self._end.is_set():
            self._other = asyncio.ensure_future(asyncio.Event().wait())
        await super().stop()


class AnyErrorDoes(GoodService):
    @hookimpl
    async def start(self, context):
        self._port = context.settings["port"]
        await super().start(context)


class IsNotAsynchronous(GoodService):
    @hookimpl
    def wait(self):
        """Blocks the loop of the whole process."""


class Impatient(TestACorrectService):
    """Waits shortly for services that never end."""

    __test__ = True
    patience_seconds = 0.3


CAUGHT_BY = {
    "test_driver_keeps_the_hook_contract": [IsNotAsynchronous],
    "test_it_starts_and_stops": [StopsOnce, WaitsForEver],
    "test_stopping_before_starting_is_harmless": [CannotStopUnstarted],
    "test_stopping_leaves_no_task_behind": [LeavesItsTask],
    "test_a_bad_configuration_is_said_at_the_start": [AnyErrorDoes],
}


@pytest.mark.parametrize(("check", "wrong"), [(check, wrong) for check in CAUGHT_BY for wrong in CAUGHT_BY[check]])
def test_each_check_fails_a_service_that_breaks_its_rule(check: str, wrong: type) -> None:
    """A check that cannot fail proves nothing."""
    lent = {"context": GOOD, "bad_context": BAD}
    assert check in failures(Impatient, lambda: {"driver": wrong(), **lent}, only=check)


def test_every_check_has_a_service_that_it_fails() -> None:
    """The list above leaves no check out."""
    assert set(CAUGHT_BY) == set(standard_tests(ServiceConformance))
