"""Brings the schema up to date, one server at a time."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import sqlalchemy as sa
from holdfast.errors import ConfigurationError, StoreUnavailable

from holdfast_store import failures
from holdfast_store.journal import Journal, kept
from holdfast_store.options import WRITE_OPTION
from holdfast_store.revisions import needed_revision, present_revisions
from holdfast_store.vault import Vault

_LOCK_SECONDS = 120


def migrate(engine: sa.Engine, vault: Vault) -> None:
    """Upgrade to the newest revision and make sure of the key. Blocks while another server migrates."""
    with engine.connect() as plain:
        connection = plain.execution_options(**{WRITE_OPTION: True})
        with _alone(connection), kept(connection) as journal, connection.begin():
            _upgrade(connection, journal)
            vault.establish(connection)


def _upgrade(connection: sa.Connection, journal: Journal) -> None:
    current = present_revisions(connection)
    if current == {needed_revision()}:
        return
    # Its own lines say which plugins it sets up, as soon as it is imported; ours says what was upgraded.
    logging.getLogger("alembic").setLevel(logging.WARNING)
    from holdfast_store.upgrade import upgrade

    try:
        with journal.recording():
            upgrade(connection, current)
    except sa.exc.DBAPIError as problem:
        if failures.is_half_made(problem):
            raise _half_made(connection, current, failures.words(problem)) from problem
        raise


def _half_made(connection: sa.Connection, current: frozenset[str], words: str) -> ConfigurationError:
    name, revision = connection.engine.url.database, ", ".join(sorted(current))
    remedy = (
        f"restore the backup of {name} that was taken before the upgrade"
        if revision
        else f"if {name} was empty before, DROP DATABASE `{name}` and CREATE DATABASE `{name}` CHARACTER SET utf8mb4; "
        "if its tables are another program's, give Holdfast a database of its own"
    )
    return ConfigurationError(
        f"the database {name} has revision {revision or 'none'} and tables that do not fit it ({words}). To go on, "
        f"{remedy}; then start again"
    )


@contextmanager
def _alone(connection: sa.Connection) -> Iterator[None]:
    """No other server migrates meanwhile. On SQLite the write transaction itself is the lock."""
    if connection.dialect.name == "sqlite":
        yield
        return
    name = sa.func.concat("holdfast.migrate.", sa.func.database())
    if connection.scalar(sa.select(sa.func.get_lock(name, _LOCK_SECONDS))) != 1:
        raise StoreUnavailable(
            f"another server has been migrating the database for {_LOCK_SECONDS} s: wait until it is done, start again"
        )
    connection.rollback()
    try:
        yield
    finally:
        connection.scalar(sa.select(sa.func.release_lock(name)))
        connection.rollback()
