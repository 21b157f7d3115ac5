"""Puts a process together from its configuration, runs its services, and takes it apart again.

Order of making: plugins, database, store (bound and migrated), coordinator, services. Taken apart in reverse.
"""

import asyncio
import contextlib
import logging
import signal
from collections.abc import Coroutine, Iterator
from dataclasses import dataclass, field
from typing import Any, cast

from holdfast.bell import ProcessBell
from holdfast.config import Config
from holdfast.errors import ConfigurationError
from holdfast.hooks.coordinator import Coordinator
from holdfast.hooks.oobm import CLOSE_SECONDS
from holdfast.hooks.service import Service, ServiceContext
from holdfast.hooks.store import Store
from holdfast.plugins import Plugins
from holdfast.service_manager import keep_alive, notify

log = logging.getLogger(__name__)

STOP_SECONDS = 30.0
"""How long one service may take to stop before the others are stopped without it."""


@dataclass(slots=True)
class Parts:
    """What the services of a process share. `plugins` came from `config`; `live` is the services' own board."""

    config: Config
    plugins: Plugins
    store: Store
    coordinator: Coordinator
    bell: ProcessBell = field(default_factory=ProcessBell)
    live: dict[str, Any] = field(default_factory=dict)

    def context(self, service: str) -> ServiceContext:
        """What one service is started with. Its `name` is this server's name among its peers."""
        return ServiceContext(
            name=self.config.server.name,
            config=self.config,
            settings=self.plugins.settings("service", service),
            plugins=self.plugins,
            store=self.store,
            coordinator=self.coordinator,
            bell=self.bell,
            live=self.live,
        )


class _Absent:
    """Stands where a process has no such part, and says so when it is used."""

    def __init__(self, part: str) -> None:
        self._part = part

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        raise ConfigurationError(
            f"this process has no {self._part}; a service that needs one runs in `holdfast server`"
        )


@contextlib.contextmanager
def assembled(config: Config, plugins: Plugins | None = None) -> Iterator[Parts]:
    """All parts of a management server, ready for its services; closes store and database at the end. Blocks.

    Raises `ConfigurationError` if a selected plugin is broken or a part cannot work; what was made is closed again.
    """
    plugins = plugins or Plugins(config)
    # All that can be found wrong without touching anything comes first.
    plugins.check_selected()
    prepare_data_dir(config)
    for tolerated in plugins.load_selected():
        log.error("starting without a broken plugin, as configured: %s", tolerated)
    with contextlib.ExitStack() as closing:
        closing.callback(plugins.close, CLOSE_SECONDS)
        database = plugins.driver("database")
        closing.callback(database.close)
        store = plugins.driver("store")
        closing.callback(store.close)
        store.bind(database)
        store.migrate()
        log.info("store %s on %s", store, database.describe())
        yield Parts(config, plugins, store, plugins.driver("coordinator"))


@contextlib.contextmanager
def standalone(config: Config, plugins: Plugins | None = None) -> Iterator[Parts]:
    """Parts for a process without store and coordinator, such as a host's agent."""
    prepare_data_dir(config)
    store, coordinator = cast(Store, _Absent("store")), cast(Coordinator, _Absent("coordinator"))
    yield Parts(config, plugins or Plugins(config), store, coordinator)


def prepare_data_dir(config: Config) -> None:
    """Make the data directory, for its owner alone, unless it is there."""
    try:
        config.server.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigurationError(
            f"{config.source}: server.data_dir {config.server.data_dir} cannot be made: {error.strerror}; "
            "name a directory that this user may write to"
        ) from error


def run(parts: Parts, services: tuple[str, ...]) -> int:
    """Run services until a signal or until one of them ends. Returns 0, or raises what made a service fail."""
    return asyncio.run(serve(parts, services))


async def serve(parts: Parts, services: tuple[str, ...], stop: asyncio.Event | None = None) -> int:
    """Start services in order; stop them in reverse on SIGTERM, SIGINT, or as soon as one ends or fails.

    A program that embeds a server, perhaps outside the main thread, gives its own `stop` instead of signals.
    """
    asked = stop or asyncio.Event()
    with contextlib.nullcontext() if stop else _signals(asked):
        stopping = asyncio.create_task(asked.wait(), name="stop signal")
        alive: asyncio.Task[None] | None = None
        started: list[tuple[str, Service]] = []
        try:
            for name in services:
                # Into the list first: a service that failed half-way through its start is stopped as well.
                service: Service = parts.plugins.driver("service", name)
                started.append((name, service))
                if not await _before(stopping, service.start(parts.context(name)), f"start of {name}"):
                    return 0
                log.info("service %s started", name)
            notify("READY=1")
            alive = asyncio.create_task(keep_alive(), name="signs of life")
            await _watch(started, stopping)
        finally:
            notify("STOPPING=1")
            if alive is not None:
                alive.cancel()
            stopping.cancel()
            for name, service in reversed(started):
                await _stop(name, service)
    return 0


async def _before(stopping: "asyncio.Task[Any]", work: Coroutine[Any, Any, Any], name: str) -> bool:
    """Do `work` unless a signal comes first, which cancels it; True if it was done."""
    task = asyncio.ensure_future(work)
    await asyncio.wait({task, stopping}, return_when=asyncio.FIRST_COMPLETED)
    if task.done():
        task.result()
        return True
    log.info("stopped by a signal during the %s", name)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    return False


async def _watch(started: list[tuple[str, Service]], stopping: "asyncio.Task[Any]") -> None:
    """Return when a signal came or a service ended; raise what a service failed with."""
    waiting = {asyncio.ensure_future(service.wait()): name for name, service in started}
    try:
        await asyncio.wait({*waiting, stopping}, return_when=asyncio.FIRST_COMPLETED)
        for task, name in waiting.items():
            if not task.done():
                continue
            if task.exception() is not None:
                log.error("service %s failed: %s", name, task.exception())
                task.result()
            log.info("service %s ended", name)
    finally:
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)


async def _stop(name: str, service: Service) -> None:
    try:
        async with asyncio.timeout(STOP_SECONDS):
            await service.stop()
        log.info("service %s stopped", name)
    except TimeoutError:
        log.error("service %s did not stop within %g s; going on without it", name, STOP_SECONDS)
    except Exception:
        log.exception("service %s failed to stop; going on", name)


@contextlib.contextmanager
def _signals(asked: asyncio.Event) -> Iterator[None]:
    """The first SIGTERM or SIGINT asks for an orderly stop; a second one has its usual effect."""
    loop = asyncio.get_running_loop()
    handled = (signal.SIGTERM, signal.SIGINT)

    def ask(number: signal.Signals) -> None:
        log.info("stopping: %s", number.name)
        asked.set()
        release()

    def release() -> None:
        for number in handled:
            loop.remove_signal_handler(number)

    for number in handled:
        loop.add_signal_handler(number, ask, number)
    try:
        yield
    finally:
        release()
