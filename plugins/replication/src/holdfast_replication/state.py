"""What was read of the servers: plain data, one snapshot at a time."""

from dataclasses import dataclass, field
from typing import Literal

from holdfast_replication.gtid import History

Flavor = Literal["MariaDB", "MySQL"]

PURGED = frozenset({1236, 13114})
"""Error numbers with which a source says that its binary log no longer holds what a replica asks for."""
OUT_OF_ORDER = 1950
"""MariaDB's error for a transaction that would come after one of a history that its source does not share."""


@dataclass(frozen=True, slots=True)
class Channel:
    """One stream of changes that a server takes from another: its source.

    `lag` is in seconds, None if the server cannot tell. `executed_file` and `executed_position` are the place in the
    source's binary log up to which everything was executed: after a crash the server may ask for it again.
    """

    name: str
    source_host: str
    source_port: int
    source_id: int = 0
    receiving: bool = False
    connecting: bool = False
    applying: bool = False
    lag: float | None = None
    delay: float = 0.0
    receive_error: str = ""
    receive_errno: int = 0
    apply_error: str = ""
    apply_errno: int = 0
    by_gtid: bool = False
    encrypted: bool = False
    executed_file: str = ""
    executed_position: int = 0

    @property
    def is_stuck(self) -> bool:
        """Whether it can never go on: its replica has diverged, or its source no longer has what it needs."""
        diverged = self.apply_errno == OUT_OF_ORDER and not self.applying
        return diverged or (self.receive_errno in PURGED and not self.receiving)


@dataclass(frozen=True, slots=True)
class Registered:
    """A replica as its source knows it. `host` is what the replica reports, often nothing."""

    server_id: int
    host: str = ""
    port: int = 0


@dataclass(frozen=True, slots=True)
class BinaryLog:
    """One file of a server's binary log. Bytes."""

    name: str
    size: int


@dataclass(frozen=True, slots=True)
class SemiSync:
    """Semi-synchronous replication: what is switched on, and what is in effect."""

    source_enabled: bool = False
    source_active: bool = False
    clients: int = 0
    replica_enabled: bool = False
    replica_active: bool = False


@dataclass(frozen=True, slots=True)
class ServerState:
    """One server that answered. `unread` names what it would not show, with its reason, one sentence each."""

    address: str
    flavor: Flavor
    version: str
    server_id: int
    read_only: bool = False
    binary_log: bool = False
    log_updates: bool = False
    gtid_strict: bool = False
    increment: int = 1
    offset: int = 1
    history: History = field(default_factory=History)
    channels: tuple[Channel, ...] = ()
    replicas: tuple[Registered, ...] = ()
    binary_logs: tuple[BinaryLog, ...] = ()
    semi_sync: SemiSync = field(default_factory=SemiSync)
    free_bytes: int | None = None
    unread: tuple[str, ...] = ()

    @property
    def binary_log_bytes(self) -> int:
        """How much room its binary log takes."""
        return sum(one.size for one in self.binary_logs)


@dataclass(frozen=True, slots=True)
class Silent:
    """One server that could not be read, and why. Nothing follows about its data."""

    address: str
    reason: str


Reading = ServerState | Silent


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All configured servers, in the order of the configuration.

    `confirmed` is each server's history read once more after all were read: whatever a replica had at first reading its
    source has there, unless it never had it.
    """

    readings: tuple[Reading, ...]
    confirmed: dict[str, History] = field(default_factory=dict)

    @property
    def answered(self) -> tuple[ServerState, ...]:
        """Those that answered."""
        return tuple(one for one in self.readings if isinstance(one, ServerState))

    def state(self, address: str) -> ServerState | None:
        """The server of that address, if it answered."""
        return next((one for one in self.answered if one.address == address), None)
