"""What `setup-replication` has to know of a server beyond its state: whether it holds anybody's data. Blocks."""

from dataclasses import dataclass

from holdfast.hooks.database import DatabaseServer

from holdfast_replication.reading import connect
from holdfast_replication.state import ServerState


@dataclass(frozen=True, slots=True)
class Facts:
    """One server: its state, and its databases that hold anything, with their size in bytes."""

    state: ServerState
    databases: tuple[str, ...] = ()
    bytes: int = 0

    @property
    def address(self) -> str:
        """`host:port`."""
        return self.state.address


_DATABASES = """
SELECT name, SUM(size) AS size FROM (
  SELECT TABLE_SCHEMA AS name, COALESCE(DATA_LENGTH + INDEX_LENGTH, 0) AS size FROM information_schema.TABLES
  UNION ALL SELECT ROUTINE_SCHEMA, 0 FROM information_schema.ROUTINES
  UNION ALL SELECT EVENT_SCHEMA, 0 FROM information_schema.EVENTS
) AS found WHERE name NOT IN ('information_schema', 'mysql', 'performance_schema', 'sys')
GROUP BY name ORDER BY name
"""


def read_facts(server: DatabaseServer, state: ServerState, seconds: float) -> Facts:
    """The facts of one server. Raises what PyMySQL raises."""
    connection = connect(server, seconds)
    try:
        with connection.cursor() as cursor:
            cursor.execute(_DATABASES)
            rows = cursor.fetchall()
    finally:
        connection.close()
    names = tuple(str(row["name"]) for row in rows)
    return Facts(state, names, sum(int(row["size"]) for row in rows))
