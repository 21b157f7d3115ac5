"""What `db.properties` says of one database, checked and typed: the plan that connections are made by."""

import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from holdfast.model.secret import Secret


@dataclass(frozen=True, slots=True)
class Host:
    """One database server. `number` is its place in the order of preference, from 0."""

    number: int
    name: str
    port: int

    def __str__(self) -> str:
        return f"[{self.name}]:{self.port}" if ":" in self.name else f"{self.name}:{self.port}"


@dataclass(frozen=True, slots=True)
class Value:
    """One key in effect. `text` is for people and hides secrets; `origin` is "line 12" or "default"."""

    key: str
    text: str
    origin: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class Tls:
    """How connections are encrypted: ready to use, and in PyMySQL's words for others."""

    context: ssl.SSLContext
    words: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Plan:
    """How to reach one database. Seconds may be 0 where that means never; those of time-outs never are."""

    hosts: tuple[Host, ...]
    database: str
    user: str
    password: Secret
    back_seconds: float
    back_statements: int
    longest_pause_seconds: float
    read_only_elsewhere: bool
    most_connections: int
    kept_connections: int
    pool_seconds: float
    connect_seconds: float
    answer_seconds: float
    tls: "Tls | None"
    values: tuple[Value, ...]

    @property
    def fails_over(self) -> bool:
        """Whether there is more than one host."""
        return len(self.hosts) > 1
