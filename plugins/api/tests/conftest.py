"""A real server on a loopback port, over the conformance kit's plain store."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from holdfast.bell import ProcessBell
from holdfast.hooks.service import ServiceContext
from holdfast_api.bootstrap import PASSWORD_VARIABLE
from holdfast_api.service import ApiService
from holdfast_conformance.model_store import ModelStore

PASSWORD = "correct horse battery"


class RecordingBell(ProcessBell):
    """A bell that remembers what was rung."""

    def __init__(self) -> None:
        super().__init__()
        self.rung: list[str] = []

    def ring(self, topic: str) -> None:
        self.rung.append(topic)
        super().ring(topic)


class RunningApi:
    """One server on its own event loop in its own thread."""

    def __init__(self, store: Any, settings: dict[str, Any]) -> None:
        self.store = store
        self.bell = RecordingBell()
        loopback = {"address": "127.0.0.1", "port": 0, "integration_port": -1, "stop_timeout": 1.0}
        self.service = ApiService(loopback | settings)
        self.context = ServiceContext(
            name="ms1",
            config=None,
            settings=settings,
            plugins=None,
            store=store,
            coordinator=None,  # type: ignore[arg-type]
            bell=self.bell,
        )
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()
        self._run(self.service.start(self.context))

    def _run(self, work: Any) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(30)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.context.live['api.port']}/client/api"

    @property
    def integration_url(self) -> str:
        return f"http://127.0.0.1:{self.context.live['api.integration_port']}/client/api"

    def stop(self) -> None:
        self._run(self.service.stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(30)
        self._loop.close()


@pytest.fixture
def store() -> ModelStore:
    return ModelStore()


@pytest.fixture
def start(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., RunningApi]]:
    """Start servers; all are stopped at the end."""
    monkeypatch.setenv(PASSWORD_VARIABLE, PASSWORD)
    running: list[RunningApi] = []

    def starting(store: Any, **settings: Any) -> RunningApi:
        running.append(RunningApi(store, settings))
        return running[-1]

    yield starting
    for one in running:
        one.stop()


@pytest.fixture
def api(store: ModelStore, start: Callable[..., RunningApi]) -> RunningApi:
    return start(store)
