"""The service's life: settings, ports, an orderly stop."""

import asyncio
import socket
import threading
from pathlib import Path

import pytest
from holdfast.errors import ConfigurationError
from holdfast.hooks.service import ServiceContext
from holdfast.options import read_options
from holdfast_api.service import ApiService


def options(**table):
    return read_options(ApiService.SETTINGS, table, "holdfast.toml: service.api", Path("/"))


def test_the_defaults_are_the_documented_ports():
    """8080 for all, and no unsigned port unless it is switched on, then on loopback."""
    defaults = options()
    assert (defaults["address"], defaults["port"]) == ("0.0.0.0", 8080)
    assert (defaults["integration_address"], defaults["integration_port"]) == ("127.0.0.1", 0)
    assert all(option.doc for option in ApiService.SETTINGS.values())


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ({"prot": 80}, "prot"),
        ({"port": "80"}, "port"),
        ({"port": 70000}, "65535"),
        ({"threads": 0}, "threads"),
        ({"trusted_proxies": ["everyone"]}, "'everyone' is not a network"),
    ],
)
def test_bad_settings_are_refused(table, said):
    """Naming the key and what is allowed."""
    with pytest.raises(ConfigurationError, match=said):
        options(**table)


def context(store):
    return ServiceContext(name="ms1", config=None, settings={}, plugins=None, store=store, coordinator=None, bell=None)  # type: ignore[arg-type]


def test_a_taken_port_is_a_configuration_error(store):
    """It says which port and which key to change, and leaves nothing listening."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        service = ApiService({"address": "127.0.0.1", "port": port})

        async def run():
            with pytest.raises(ConfigurationError, match=f"port {port}: .*; choose another port"):
                await service.start(context(store))
            await service.wait()

        asyncio.run(run())


def test_the_integration_port_is_off_unless_switched_on(store, start):
    """Then nothing listens there."""
    assert "api.integration_port" not in start(store, integration_port=0).context.live


def test_stop_is_idempotent_and_lets_running_calls_end(api, ask, monkeypatch):
    """A call that is under way gets its answer; a new one is not accepted."""
    entered, release = threading.Event(), threading.Event()
    select = api.store.select

    def slow(*arguments):
        entered.set()
        assert release.wait(60)
        return select(*arguments)

    monkeypatch.setattr(api.store, "select", slow)
    answers = []
    calling = threading.Thread(target=lambda: answers.append(ask(api.integration_url, {"command": "listUsers"})))
    calling.start()
    assert entered.wait(60)
    stopping = threading.Thread(target=api.stop)
    stopping.start()
    release.set()
    calling.join()
    stopping.join()
    assert answers[0].status == 200
    with pytest.raises(OSError):
        ask(api.integration_url, {"command": "listUsers"})
    api.stop()


def test_an_exposed_unsigned_port_is_warned_of(store, start, caplog):
    """Loopback is quiet."""
    start(store)
    assert "administrator" not in caplog.text
    start(store, integration_address="0.0.0.0")
    assert "whoever reaches it is the administrator" in caplog.text
