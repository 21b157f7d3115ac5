"""Brings the schema up to date, one server at a time."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa
from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from holdfast.errors import ConfigurationError, StoreUnavailable

from holdfast_store.options import WRITE_OPTION
from holdfast_store.vault import Vault

_FOLDER = Path(__file__).parent / "migrations"
_LOCK_SECONDS = 120


def configuration() -> Config:
    """Alembic's configuration; there is no alembic.ini."""
    config = Config()
    config.set_main_option("script_location", str(_FOLDER).replace("%", "%%"))
    return config


def newest_revision() -> str:
    """The revision that this program needs."""
    head = ScriptDirectory(str(_FOLDER)).get_current_head()
    assert head is not None, "the package was built without its migrations"
    return head


def migrate(engine: sa.Engine, vault: Vault) -> None:
    """Upgrade to the newest revision and make sure of the key. Blocks while another server migrates."""
    with engine.connect() as plain:
        connection = plain.execution_options(**{WRITE_OPTION: True})
        with _alone(connection), connection.begin():
            _refuse_newer(connection)
            _upgrade(connection)
            vault.establish(connection)


def _refuse_newer(connection: sa.Connection) -> None:
    script = ScriptDirectory(str(_FOLDER))
    known = {revision.revision for revision in script.walk_revisions()}
    current = set(MigrationContext.configure(connection).get_current_heads())
    if current - known:
        raise ConfigurationError(
            f"the database has schema revision {', '.join(sorted(current - known))}, which is newer than this program "
            f"(it knows up to {script.get_current_head()}): install the version of Holdfast that made it, or restore "
            "the backup taken before that upgrade"
        )


def _upgrade(connection: sa.Connection) -> None:
    config = configuration()
    script = ScriptDirectory.from_config(config)
    config.attributes["connection"] = connection
    with EnvironmentContext(config, script, fn=lambda revision, _: script._upgrade_revs("head", revision)):
        script.run_env()


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
