"""Server states as tests describe them: a few words each."""

from types import SimpleNamespace

import pytest
from holdfast_replication.gtid import History, mariadb_positions, parse_mariadb
from holdfast_replication.state import BinaryLog, Channel, Reading, Registered, ServerState, Snapshot


def channel(source: int, **other: object) -> Channel:
    """A stream from server number `source` that is well unless `other` says otherwise."""
    return Channel(
        **{  # type: ignore[arg-type]
            "name": "", "source_host": f"db{source}", "source_port": 3306, "source_id": source, "receiving": True,
            "applying": True, "lag": 0.0, "by_gtid": True, "executed_file": "log.000003", **other,
        }
    )  # fmt: skip


def history(text: str) -> History:
    """A history of MariaDB."""
    return History(parse_mariadb(text), mariadb_positions(text), text)


def server(number: int, *channels: Channel, gtid: str = "0-1-10", **other: object) -> ServerState:
    """Server db`number`, well unless `other` says otherwise."""
    return ServerState(
        **{  # type: ignore[arg-type]
            "address": f"db{number}:3306", "flavor": "MariaDB", "version": "10.11.6", "server_id": number,
            "binary_log": True, "log_updates": True, "gtid_strict": True, "increment": 2,
            "offset": number if number <= 2 else 1, "history": history(gtid), "channels": channels,
            "binary_logs": tuple(BinaryLog(f"log.00000{place}", 1000) for place in range(1, 6)), **other,
        }
    )  # fmt: skip


def seen(*readings: Reading) -> Snapshot:
    """A snapshot in which nothing moved between the two looks."""
    return Snapshot(readings, {one.address: one.history for one in readings if isinstance(one, ServerState)})


def pair_and_chain() -> list[ServerState]:
    """db1 <-> db2 -> db3 -> db4."""
    return [server(1, channel(2)), server(2, channel(1)), server(3, channel(2)), server(4, channel(3))]


def registered(*numbers: int) -> tuple[Registered, ...]:
    """Replicas as their source lists them."""
    return tuple(Registered(number) for number in numbers)


@pytest.fixture
def made() -> SimpleNamespace:
    """The makers above, by name."""
    return SimpleNamespace(
        channel=channel, history=history, server=server, seen=seen, pair_and_chain=pair_and_chain, registered=registered
    )
