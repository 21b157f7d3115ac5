"""Several fence devices of one host, in levels, with options of their own."""

from alembic import op
from holdfast_store.column_types import LONG, NUMBER
from sqlalchemy import Column

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """What was configured becomes level 1, index 0."""
    # SQLite copies the table for this; without the keyword its ids could be given again.
    sqlite = {"sqlite_autoincrement": True}
    with op.batch_alter_table("oobm", table_kwargs=sqlite) as batch:
        batch.add_column(Column("level", NUMBER, nullable=False, server_default="1"))
        batch.add_column(Column("device_index", NUMBER, nullable=False, server_default="0"))
        batch.add_column(Column("timeout", NUMBER, nullable=False, server_default="0"))
        batch.add_column(Column("options", LONG, nullable=True))
        batch.add_column(Column("secret_options", LONG, nullable=True))
    op.execute("UPDATE oobm SET options = '{}'")
    with op.batch_alter_table("oobm", table_kwargs=sqlite) as batch:
        # MySQL takes no default for a long text.
        batch.alter_column("options", existing_type=LONG, nullable=False)
        batch.drop_constraint("uq_oobm_host_id", type_="unique")
        batch.create_unique_constraint("uq_oobm_host_id_level_device_index", ["host_id", "level", "device_index"])
