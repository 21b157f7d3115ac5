"""SQLAlchemy's dialect for connections of this driver: what they need to know, without listeners.

Any listener of an engine's or a dialect's events makes SQLAlchemy take a longer way for each statement.
"""

from collections.abc import Mapping
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.dialects.mysql.pymysql import MySQLDialect_pymysql

from holdfast_mysqlfailover.connection import FateUnknown, Undone

RETRY_SAFE_OPTION: Final = "holdfast_retry_safe"
"""Execution option of a connection whose transactions its caller will run again if they were undone."""

SCHEME: Final = "mysql+holdfast"


class PilotedDialect(MySQLDialect_pymysql):
    """MySQL by PyMySQL. Marks connections that are safe to run again, and gives up those that broke."""

    supports_statement_cache = True

    def set_connection_execution_options(self, connection: sa.Connection, opts: Mapping[str, Any]) -> None:
        """Called by `Connection.execution_options`; the mark holds until the connection is lent anew."""
        super().set_connection_execution_options(connection, opts)
        if RETRY_SAFE_OPTION in opts:
            lent: Any = connection.connection.dbapi_connection
            lent.retry_safe = bool(opts[RETRY_SAFE_OPTION])

    def is_disconnect(self, e: Any, connection: Any, cursor: Any) -> bool:
        """Whether the connection is of no use after this error."""
        return isinstance(e, (Undone, FateUnknown)) or super().is_disconnect(e, connection, cursor)


sa.dialects.registry.register(SCHEME.replace("+", "."), __name__, PilotedDialect.__name__)
