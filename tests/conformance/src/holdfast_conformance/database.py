"""Conformance of databases: connections for the store, and no password on the way."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import pytest
from holdfast.errors import StoreUnavailable
from holdfast.hooks.database import Database

from holdfast_conformance.calls import kept_deadline
from holdfast_conformance.secrecy import SecretWatch
from holdfast_conformance.suite import Conformance


@dataclass(frozen=True, slots=True)
class DatabaseCapabilities:
    """`secrets` are those in the driver's settings. `can_be_unreachable` guards the fixture `unreachable`."""

    secrets: tuple[str, ...] = ()
    can_be_unreachable: bool = True
    patience_seconds: float = 30.0


class DatabaseConformance(Conformance):
    """Subclass it; give the fixtures `driver` and `unreachable` (makes a driver whose server does not answer)."""

    point = "database"
    capabilities: ClassVar[DatabaseCapabilities] = DatabaseCapabilities()

    @pytest.fixture
    def unreachable(self) -> Callable[[], Database]:
        """Override it, or set can_be_unreachable=False."""

        def make() -> Database:
            raise NotImplementedError("give the fixture `unreachable`, or set can_be_unreachable=False")

        return make

    def test_the_engine_is_always_the_same(self, driver: Database) -> None:
        """One engine, and so one pool of connections, however often it is asked for."""
        assert driver.engine() is driver.engine()

    def test_the_engine_works(self, driver: Database) -> None:
        """It opens a connection and answers a question, and then another one."""
        for _ in range(2):
            with driver.engine().connect() as connection:
                assert connection.exec_driver_sql("select 1").scalar() == 1

    def test_a_rolled_back_write_is_gone(self, driver: Database) -> None:
        """Transactions are transactions: the store's batches depend on it."""
        with driver.engine().begin() as connection:
            connection.exec_driver_sql("create table conformance_row (id integer primary key)")
        with driver.engine().connect() as connection:
            connection.exec_driver_sql("insert into conformance_row values (1)")
            connection.rollback()
        with driver.engine().connect() as connection:
            assert connection.exec_driver_sql("select count(*) from conformance_row").scalar() == 0
        with driver.engine().begin() as connection:
            connection.exec_driver_sql("drop table conformance_row")

    def test_it_describes_itself_in_one_line(self, driver: Database) -> None:
        """A line for people, once, without a line break."""
        line = driver.describe()
        assert line.strip()
        assert "\n" not in line

    def test_secrets_are_never_shown(self, driver: Database) -> None:
        """Neither the description nor a repr nor a log carries the password."""
        if not self.capabilities.secrets:
            pytest.skip("the database has no secrets")
        watch = SecretWatch(*self.capabilities.secrets)
        with watch.watching(), driver.engine().connect() as connection:
            connection.exec_driver_sql("select 1")
        watch.note("description", driver.describe())
        watch.note("repr of the driver", f"{driver!r} {driver}")
        watch.note("repr of the engine", repr(driver.engine()))
        watch.assert_unseen()

    def test_closing_is_idempotent(self, driver: Database) -> None:
        """Closing twice, and closing what was never used, is harmless."""
        driver.close()
        driver.engine()
        driver.close()
        driver.close()

    def test_silence_is_an_error_in_time(self, unreachable: Callable[[], Database]) -> None:
        """No answer gives `StoreUnavailable`, or the library's own error, which the store translates."""
        if not self.capabilities.can_be_unreachable:
            pytest.skip("this database cannot be out of reach")
        driver = unreachable()

        def connect() -> None:
            with driver.engine().connect() as connection:
                connection.exec_driver_sql("select 1")

        error = kept_deadline(self.capabilities.patience_seconds, connect).error
        names = [parent.__name__ for parent in type(error).__mro__]
        assert isinstance(error, StoreUnavailable) or "DBAPIError" in names, f"expected StoreUnavailable, got {error!r}"
        watch = SecretWatch(*self.capabilities.secrets)
        watch.note_error(error)
        watch.assert_unseen()
