"""What one database server says of itself, in one shape for MariaDB and MySQL."""

from dataclasses import dataclass

from holdfast_mysqlfailover.history import History


@dataclass(frozen=True, slots=True)
class Channel:
    """One connection over which a server replicates from `source` (a server id, 0 if it never reached one).

    `contact` changes whenever anything came in; `missing` is what was received but is not applied yet, "" if nothing.
    `heartbeat`: after so many seconds without anything else, a living source sends a sign of life; 0 if it never does.
    `trying`: it receives, or would as soon as it reached its source; False where somebody or an error has stopped it.
    """

    name: str
    source: int
    receiving: bool
    applying: bool
    error: str
    contact: tuple[str, ...]
    missing: str
    heartbeat: float = 1.0
    trying: bool = True


@dataclass(frozen=True, slots=True)
class Writer:
    """The writer row: which server is written to (its server id), under which epoch."""

    epoch: int
    server: int


class Refused(str):
    """A host's answer, in words: its machine is there, and nothing listens."""

    __slots__ = ()


class Denied(str):
    """A host's answer, in words, that waiting does not mend: the login or the database is wrong."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Node:
    """One answer of one server. `origin` ends the names of its own transactions in histories."""

    server: int
    origin: str
    version: str
    read_only: bool
    history: History
    channels: tuple[Channel, ...]
    writer: Writer | None
    clock: float = 0.0
    """Its time, in seconds since 1970."""
    blind: str = ""
    """Why the state of replication could not be read, "" if it could."""
    asked: float = 0.0
    answered: float = 0.0
    """Between these moments (monotonic seconds of this side) it was as is said here."""

    @property
    def missing(self) -> str:
        """What it has received and not applied yet."""
        return ", ".join(filter(None, (channel.missing for channel in self.channels)))
