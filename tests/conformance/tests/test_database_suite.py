"""The database suite passes a correct database, and each check fails one that breaks its rule."""

import logging
import sqlite3
import threading

import pytest
from holdfast.errors import StoreUnavailable
from holdfast.hooks.markers import hookimpl
from holdfast_conformance import DatabaseCapabilities, DatabaseConformance, failures, standard_tests

SECRET = "password of the database"


class Result:
    """Just enough of a cursor."""

    def __init__(self, rows: list[tuple[int]]) -> None:
        self._rows = rows

    def scalar(self) -> int:
        return self._rows[0][0]


class Connection:
    """Just enough of a connection: the kit itself knows no SQL library."""

    def __init__(self, engine: "Engine", commits: bool) -> None:
        self._engine, self._commits = engine, commits

    def __enter__(self) -> "Connection":
        return self

    def __exit__(self, *_: object) -> None:
        if self._commits:
            self._engine.raw.commit()

    def exec_driver_sql(self, text: str) -> Result:
        return Result(self._engine.raw.execute(text).fetchall())

    def rollback(self) -> None:
        self._engine.raw.rollback()


class Engine:
    """SQLite in memory behind the few methods that the suite asks for."""

    reachable = True

    def __init__(self) -> None:
        self.raw = sqlite3.connect(":memory:", check_same_thread=False)

    def connect(self) -> Connection:
        if not self.reachable:
            raise StoreUnavailable("the server does not answer")
        return Connection(self, commits=False)

    def begin(self) -> Connection:
        return Connection(self, commits=True)

    def dispose(self) -> None:
        self.raw.close()


class MemoryDatabase:
    """A correct database driver."""

    def __init__(self) -> None:
        self._engine = Engine()

    @hookimpl
    def engine(self):
        return self._engine

    @hookimpl
    def describe(self):
        return "sqlite in memory"

    @hookimpl
    def close(self):
        self._engine.dispose()


def _out_of_reach(kind: type[MemoryDatabase] = MemoryDatabase) -> MemoryDatabase:
    driver = kind()
    driver._engine.reachable = False
    return driver


@pytest.mark.filterwarnings("ignore:unclosed database:ResourceWarning")
class TestACorrectDatabase(DatabaseConformance):
    """The whole suite."""

    capabilities = DatabaseCapabilities(secrets=(SECRET,), patience_seconds=0.2)

    @pytest.fixture
    def driver(self):
        """The database under test."""
        driver = MemoryDatabase()
        yield driver
        driver.close()

    @pytest.fixture
    def unreachable(self):
        """Makes one whose server is gone."""
        return _out_of_reach


class NewEngineEachTime(MemoryDatabase):
    @hookimpl
    def engine(self):
        return Engine()


class ClosedAtBirth(MemoryDatabase):
    def __init__(self) -> None:
        super().__init__()
        self._engine.raw.close()


class CommitsEverything(MemoryDatabase):
    def __init__(self) -> None:
        super().__init__()
        self._engine.raw.isolation_level = None


class DescribesInTwoLines(MemoryDatabase):
    @hookimpl
    def describe(self):
        return "sqlite\nin memory"


class DescribesItsPassword(MemoryDatabase):
    @hookimpl
    def describe(self):
        return f"sqlite://user:{SECRET}@memory"


class LogsItsPassword(MemoryDatabase):
    @hookimpl
    def engine(self):
        logging.getLogger("memory").info("connecting with %s", SECRET)
        return super().engine()


class ClosesOnce(MemoryDatabase):
    @hookimpl
    def close(self):
        self._engine.raw.execute("select 1")
        super().close()


class SilenceIsAnOsError(MemoryDatabase):
    @hookimpl
    def engine(self):
        raise OSError("no route to host")


class HangsOnSilence(MemoryDatabase):
    @hookimpl
    def engine(self):
        threading.Event().wait(10)


class LacksClose(MemoryDatabase):
    close = None


CAUGHT_BY = {
    "test_driver_keeps_the_hook_contract": [LacksClose],
    "test_the_engine_is_always_the_same": [NewEngineEachTime],
    "test_the_engine_works": [ClosedAtBirth],
    "test_a_rolled_back_write_is_gone": [CommitsEverything],
    "test_it_describes_itself_in_one_line": [DescribesInTwoLines],
    "test_secrets_are_never_shown": [DescribesItsPassword, LogsItsPassword],
    "test_closing_is_idempotent": [ClosesOnce],
    "test_silence_is_an_error_in_time": [SilenceIsAnOsError, HangsOnSilence],
}


@pytest.mark.filterwarnings("ignore:unclosed database:ResourceWarning")
@pytest.mark.parametrize(("check", "wrong"), [(check, wrong) for check in CAUGHT_BY for wrong in CAUGHT_BY[check]])
def test_each_check_fails_a_database_that_breaks_its_rule(check: str, wrong: type[MemoryDatabase]) -> None:
    """A check that cannot fail proves nothing."""
    lent = {"unreachable": lambda: _out_of_reach(wrong)}
    assert check in failures(TestACorrectDatabase, lambda: {"driver": wrong(), **lent}, only=check)


def test_every_check_has_a_database_that_it_fails() -> None:
    """The list above leaves no check out."""
    assert set(CAUGHT_BY) == set(standard_tests(DatabaseConformance))
