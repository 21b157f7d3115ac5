"""Database: where the SQL store finds its connections."""

from typing import Any

from holdfast.hooks.markers import hookspec


class Database:
    """Gives the SQL store its connections. Group `holdfast.database`; one is chosen.

    This is the seam for replica failover: the store never knows which server it talks to. Core knows no SQLAlchemy, so
    the types are named in words here.
    """

    @hookspec
    def engine(self) -> Any:
        """A `sqlalchemy.Engine` (2.x), the same object at each call. Connecting is lazy; raises `StoreUnavailable`."""
        raise NotImplementedError

    @hookspec
    def describe(self) -> str:
        """One line for people: dialect, server, database. No secrets."""
        raise NotImplementedError

    @hookspec
    def close(self) -> None:
        """Give up all connections. Idempotent."""
        raise NotImplementedError
