"""What a VM's disk is called on its pool: a LUN is not named after its VM."""

from alembic import op
from holdfast_store.column_types import SHORT
from sqlalchemy import Column

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Disks that are there are named after their VMs, which is what the empty name stands for."""
    op.add_column("vm_instance", Column("root_disk", SHORT, nullable=False, server_default=""))
