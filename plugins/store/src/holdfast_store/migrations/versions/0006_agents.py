"""The certificate authority of the hosts' agents, their join tokens and their certificates."""

from holdfast_store.column_types import KEY, LONG, MOMENT, NUMBER
from holdfast_store.migrations.making import index, row_id, table, unique
from sqlalchemy import Column

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Make the tables."""
    table(
        "keystore",
        row_id(),
        Column("name", KEY, nullable=False),
        Column("certificate", LONG, nullable=False),
        Column("key", LONG, nullable=True),
        Column("created", MOMENT, nullable=False),
        unique("keystore", "name"),
    )
    table(
        "host_join_token",
        row_id(),
        Column("uuid", KEY, nullable=False),
        Column("secret_hash", KEY, nullable=False),
        Column("host_id", NUMBER, nullable=False),
        Column("created", MOMENT, nullable=False),
        Column("expires", MOMENT, nullable=False),
        Column("used", MOMENT, nullable=True),
        Column("removed", MOMENT, nullable=True),
    )
    index("host_join_token", "uuid")
    index("host_join_token", "secret_hash")
    index("host_join_token", "host_id")
    table(
        "host_certificate",
        row_id(),
        Column("uuid", KEY, nullable=False),
        Column("host_uuid", KEY, nullable=False),
        Column("serial", KEY, nullable=False),
        Column("issued", MOMENT, nullable=False),
        Column("expires", MOMENT, nullable=False),
        Column("renewal_asked", MOMENT, nullable=True),
        Column("revoked", MOMENT, nullable=True),
        unique("host_certificate", "serial"),
    )
    index("host_certificate", "uuid")
    index("host_certificate", "host_uuid")
