"""Whether each fence device would work: what was found when it was last looked at."""

from alembic import op
from holdfast_store.column_types import LONG, MOMENT, SHORT
from sqlalchemy import Column

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Nobody has looked yet."""
    sqlite = {"sqlite_autoincrement": True}
    with op.batch_alter_table("oobm", table_kwargs=sqlite) as batch:
        batch.add_column(Column("readiness", SHORT, nullable=False, server_default=""))
        batch.add_column(Column("readiness_detail", LONG, nullable=True))
        batch.add_column(Column("readiness_since", MOMENT, nullable=True))
    op.execute("UPDATE oobm SET readiness_detail = ''")
    with op.batch_alter_table("oobm", table_kwargs=sqlite) as batch:
        # MySQL takes no default for a long text.
        batch.alter_column("readiness_detail", existing_type=LONG, nullable=False)
