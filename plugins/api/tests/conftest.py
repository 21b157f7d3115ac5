"""A real server on a loopback port, over the conformance kit's plain store."""

import asyncio
import json
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlencode

import pytest
from cs import CloudStack
from holdfast.bell import ProcessBell
from holdfast.hooks.service import ServiceContext
from holdfast_api.bootstrap import PASSWORD_VARIABLE
from holdfast_api.fields import Field
from holdfast_api.registry import Registry
from holdfast_api.service import ApiService
from holdfast_conformance.model_store import ModelStore

PASSWORD = "correct horse battery"
WAIT_SECONDS = 60


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
            plugins=SimpleNamespace(names=lambda point: ("kvm", "simulator") if point == "hypervisor" else ()),
            store=store,
            coordinator=None,  # type: ignore[arg-type]
            bell=self.bell,
        )
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()
        try:
            self._run(self.service.start(self.context))
        except BaseException:
            self.stop()
            raise

    def _run(self, work: Any) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(WAIT_SECONDS)

    @property
    def root(self) -> str:
        return f"http://127.0.0.1:{self.context.live['api.port']}"

    @property
    def url(self) -> str:
        return f"{self.root}/client/api"

    @property
    def integration_url(self) -> str:
        return f"http://127.0.0.1:{self.context.live['api.integration_port']}/client/api"

    def stop(self) -> None:
        if self._loop.is_closed():
            return
        self._run(self.service.stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(WAIT_SECONDS)
        self._loop.close()

    def admin(self, command: str, **parameters: Any) -> Any:
        """Call a command on the integration port; the value under the envelope's key.

        Fails if the answer has a field, at any depth, that `listApis` does not declare.
        """
        answer = ask(self.integration_url, {"command": command, **parameters})
        assert answer.status == 200, answer.body
        [value] = answer.json.values()
        assert_declared(command, value)
        return value

    def refused(self, command: str, **parameters: Any) -> tuple[int, str]:
        """Call a command that must fail; the error code and the text."""
        answer = ask(self.integration_url, {"command": command, **parameters})
        [value] = answer.json.values()
        assert answer.status == value["errorcode"] != 200
        return value["errorcode"], value["errortext"]

    def keys(self) -> tuple[str, str]:
        """New keys of the administrator."""
        [user] = self.admin("listUsers", username="admin")["user"]
        made = self.admin("registerUserKeys", id=user["id"])["userkeys"]
        return made["apikey"], made["secretkey"]

    def client(self, **options: Any) -> CloudStack:
        """A signed client, PyPI's `cs`."""
        key, secret = self.keys()
        return CloudStack(endpoint=self.url, key=key, secret=secret, timeout=WAIT_SECONDS, **options)


REGISTRY = Registry.collect()


def assert_declared(command: str, value: dict[str, Any]) -> None:
    """Every field of an answer is one that the command declares."""
    declared = REGISTRY.commands[command]
    shown = REGISTRY.objects[declared.responds]
    if declared.is_async:
        assert set(value) <= {"id", "jobid"}
        return
    if declared.kind == "list":
        assert set(value) <= {"count", shown.name}
        items = value.get(shown.name, [])
    else:
        items = [value[shown.name]] if shown.wrapped else [value]
    for item in items:
        assert_fields(shown.fields, item, command)


def assert_fields(fields: tuple[Field, ...], item: dict[str, Any], where: str) -> None:
    """Every field of an object is declared, and so is the inside of those that declare one."""
    known = {field.name: field for field in fields}
    assert set(item) <= set(known), f"{where} answers with undeclared {set(item) - set(known)}"
    for name, value in item.items():
        _assert_type(known[name], value, f"{where}.{name}")
        if known[name].fields:
            for inner in value if isinstance(value, list) else [value]:
                assert_fields(known[name].fields, inner, f"{where}.{name}")


_TYPES: dict[str, type | tuple[type, ...]] = {
    "string": str,
    "uuid": str,
    "date": str,
    "boolean": bool,
    "short": int,
    "integer": int,
    "long": int,
    "float": (int, float),
    "list": list,
    "set": list,
}


def _assert_type(field: Field, value: Any, where: str) -> None:
    expected = _TYPES.get(field.type)
    if expected is None:
        return
    assert isinstance(value, expected), f"{where} is declared {field.type} and is {value!r}"
    assert isinstance(value, bool) == (field.type == "boolean"), f"{where} is declared {field.type} and is {value!r}"


class HttpAnswer:
    """Status, headers and body of an answer, whatever its status."""

    def __init__(self, status: int, headers: Any, body: bytes) -> None:
        self.status, self.headers, self.body = status, headers, body

    @property
    def json(self) -> dict[str, Any]:
        return json.loads(self.body)  # type: ignore[no-any-return]

    @property
    def text(self) -> str:
        return self.body.decode()

    @property
    def cookies(self) -> dict[str, str]:
        """Name → value of the cookies that were set."""
        pairs = (line.partition(";")[0].partition("=") for line in self.headers.get_all("Set-Cookie", []))
        return {name: value for name, _, value in pairs}


def ask(
    url: str,
    parameters: dict[str, Any] | str = "",
    *,
    method: str = "GET",
    body: bytes | None = None,
    headers: dict[str, str] | None = None,
) -> HttpAnswer:
    """One request with urllib. Parameters given as a dict ask for JSON."""
    if isinstance(parameters, dict):
        parameters = urlencode({"response": "json", **parameters})
    target = f"{url}?{parameters}" if parameters else url
    request = urllib.request.Request(target, data=body, method=method, headers=headers or {})
    try:
        with urllib.request.urlopen(request, timeout=WAIT_SECONDS) as answer:
            return HttpAnswer(answer.status, answer.headers, answer.read())
    except urllib.error.HTTPError as error:
        with error:
            return HttpAnswer(error.code, error.headers, error.read())


@pytest.fixture(name="ask")
def asking() -> Callable[..., HttpAnswer]:
    """`ask`, for tests: conftest is no module that can be imported."""
    return ask


@pytest.fixture
def password() -> str:
    return PASSWORD


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
