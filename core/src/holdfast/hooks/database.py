"""Database: where the SQL store finds its connections."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from holdfast.hooks.markers import hookspec, optional
from holdfast.model.secret import Secret


@dataclass(frozen=True, slots=True)
class DatabaseServer:
    """One database server as the configuration names it, in the order in which a driver would turn to them.

    `schema` is the database on it ("cloud"), `usage` whether that is the usage database. `tls` holds PyMySQL's words
    ("ca", "cert", "key", "check_hostname") and is empty where the connection is not encrypted.
    """

    host: str
    port: int
    username: str
    password: Secret
    schema: str
    usage: bool = False
    tls: Mapping[str, Any] = field(default_factory=dict)

    @property
    def address(self) -> str:
        """`host:port`, an IPv6 address in brackets."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


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

    @optional
    def servers(self) -> tuple[DatabaseServer, ...]:
        """Optional. The servers that the configuration names, for whoever watches or sets up replication among them.

        Reads no more than the configuration and connects to nothing. Empty for an embedded database.
        """
        return ()

    @optional
    def explain(self) -> tuple[tuple[str, str, str], ...]:
        """Optional. What else the driver read of its configuration, for `holdfast config check`: key, value, origin.

        Secrets are hidden. Connects to nothing.
        """
        return ()
