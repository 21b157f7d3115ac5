"""Upgrades of the schema by Alembic. Imported only where there is something to upgrade: it takes its time."""

import logging

import sqlalchemy as sa
from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.script import ScriptDirectory
from holdfast.errors import ConfigurationError

from holdfast_store.revisions import FOLDER

log = logging.getLogger("holdfast.store")


def configuration() -> Config:
    """Alembic's configuration; there is no alembic.ini."""
    config = Config()
    config.set_main_option("script_location", str(FOLDER).replace("%", "%%"))
    return config


def newest_revision() -> str:
    """The revision that this program needs, as Alembic finds it."""
    head = ScriptDirectory(str(FOLDER)).get_current_head()
    assert head is not None, "the package was built without its migrations"
    return head


def upgrade(connection: sa.Connection, current: frozenset[str]) -> None:
    """Bring the schema from `current` to the newest revision. `ConfigurationError` if it is newer than the program."""
    config = configuration()
    script = ScriptDirectory.from_config(config)
    known = {revision.revision for revision in script.walk_revisions()}
    if current - known:
        raise ConfigurationError(
            f"the database has schema revision {', '.join(sorted(current - known))}, which is newer than this program "
            f"(it knows up to {script.get_current_head()}): install the version of Holdfast that made it, or restore "
            "the backup taken before that upgrade"
        )
    config.attributes["connection"] = connection
    with EnvironmentContext(config, script, fn=lambda revision, _: script._upgrade_revs("head", revision)):
        script.run_env()
    before = ", ".join(sorted(current)) or "nothing"
    log.info("the database schema was brought from %s to revision %s", before, script.get_current_head())
