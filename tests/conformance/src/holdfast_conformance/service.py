"""Conformance of services: they start, they stop, and stopping twice is harmless."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, ClassVar

import pytest
from holdfast.errors import ConfigurationError
from holdfast.hooks.service import Service, ServiceContext

from holdfast_conformance.suite import Conformance


class ServiceConformance(Conformance):
    """Subclass it; give the fixtures `driver` and `context` (a working `ServiceContext`), fresh for each test."""

    point = "service"
    patience_seconds: ClassVar[float] = 30.0

    @pytest.fixture
    def bad_context(self) -> ServiceContext | None:
        """A context under which the service cannot start, if there is one: override it."""
        return None

    def test_it_starts_and_stops(self, driver: Service, context: ServiceContext) -> None:
        """`start` returns once it serves; `stop` ends it and may be repeated; then `wait` returns too."""

        async def life() -> None:
            await driver.start(context)
            waiting = asyncio.ensure_future(driver.wait())
            await asyncio.sleep(0)
            assert not (waiting.done() and waiting.exception()), "wait() failed right after the start"
            await driver.stop()
            await driver.stop()
            await asyncio.wait([waiting], timeout=self.patience_seconds)
            assert waiting.done(), "wait() goes on after stop()"

        self._run(life)

    def test_stopping_before_starting_is_harmless(self, driver: Service) -> None:
        """A process that fails early stops all its services, started or not."""
        self._run(driver.stop)

    def test_stopping_leaves_no_task_behind(self, driver: Service, context: ServiceContext) -> None:
        """Whatever the service began on the loop has ended when `stop` returns."""

        async def life() -> list[str]:
            before = asyncio.all_tasks()
            await driver.start(context)
            await driver.stop()
            return [task.get_name() for task in asyncio.all_tasks() - before]

        assert self._run(life) == []

    def test_a_bad_configuration_is_said_at_the_start(
        self, driver: Service, bad_context: ServiceContext | None
    ) -> None:
        """`start` raises `ConfigurationError`, and `stop` still works."""
        if bad_context is None:
            pytest.skip("no context is known under which it cannot start")
        context = bad_context

        async def life() -> None:
            with pytest.raises(ConfigurationError):
                await driver.start(context)
            await driver.stop()

        self._run(life)

    def _run(self, life: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
        async def bounded() -> Any:
            return await asyncio.wait_for(life(), self.patience_seconds)

        return asyncio.run(bounded())
