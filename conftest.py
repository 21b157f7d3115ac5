"""What every test of the repository gets, and the order in which several processes take them."""

import fcntl
import itertools
import logging
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import hypothesis
import pytest

# No test asserts a time: an example may take as long as a busy machine makes of it.
hypothesis.settings.register_profile("holdfast", hypothesis.settings.default, deadline=None)
hypothesis.settings.load_profile("holdfast")

# Threads that outlive their test, like libvirt's, would print their warnings between the dots.
logging.lastResort = logging.NullHandler()


@pytest.fixture(autouse=True)
def log_as_before() -> Iterator[None]:
    """Take back what a command run in this process did to the log: its stream is closed when its test ends, and threads
    that live on, like libvirt's, would write there."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    for handler in root.handlers[:]:
        if handler not in handlers:
            root.removeHandler(handler)
    root.setLevel(level)
    logging.captureWarnings(False)


Shared = Callable[[str, Callable[[Path], object]], Path]


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Shared:
    """`shared(name, make)` is a folder that `make` filled; the first process that asks makes it, the others wait."""
    base = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        base = base.parent

    def get(name: str, make: Callable[[Path], object]) -> Path:
        folder, done = base / name, base / f"{name}.done"
        with (base / f"{name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not done.exists():
                folder.mkdir(exist_ok=True)
                make(folder)
                done.touch()
        return folder

    return get


_SLOW_UNTIL = 0.75
"""The part of a process's tests by whose end its last slow module has begun."""

Tests = list[pytest.Item]


def pytest_collection_modifyitems(items: Tests) -> None:
    """Spread the slow modules over the processes that test, and over the time of each.

    Slow tests mostly wait and the others mostly compute: mixed, they use the whole machine, and none is left to the
    end. Modules stay whole, because their tests share servers. The order is made for what xdist's `worksteal` begins
    with: as many parts of one length as there are processes.
    """
    processes = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    if processes < 2:
        return
    modules = _by_module(items)
    slow = [tests for tests in modules if any(test.get_closest_marker("slow") for test in tests)]
    quick = [test for tests in modules if tests not in slow for test in tests]
    items.clear()
    for number in range(processes):
        part = quick[len(quick) * number // processes : len(quick) * (number + 1) // processes]
        items += _mixed(slow[number::processes], part)


def _by_module(tests: Tests) -> list[Tests]:
    return [list(found) for _, found in itertools.groupby(tests, key=lambda test: test.path)]


def _mixed(slow: list[Tests], quick: Tests) -> Iterator[pytest.Item]:
    """The quick tests with the slow modules between them, at even distances."""
    places = [_SLOW_UNTIL * number / len(slow) for number in range(len(slow))]
    done = 0
    for tests in _by_module(quick):
        while places and done >= places[0] * len(quick):
            places.pop(0)
            yield from slow[-1 - len(places)]
        yield from tests
        done += len(tests)
    for tests in slow[len(slow) - len(places) :]:
        yield from tests
