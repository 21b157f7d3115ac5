"""Host HA, out-of-band management, VMs, permits and work."""

from holdfast_store.column_types import FLAG, KEY, LONG, MOMENT, NUMBER, SHORT
from holdfast_store.migrations.making import index, row_id, table, unique
from sqlalchemy import Column

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Make the tables."""
    _make_ha_config()
    _make_ha_transition()
    _make_oobm()
    _make_vm_instance()
    _make_vm_permit()
    _make_op_ha_work()


def _make_ha_config() -> None:
    table(
        "ha_config",
        row_id(),
        Column("resource_id", NUMBER, nullable=False),
        Column("resource_type", KEY, nullable=False),
        Column("enabled", FLAG, nullable=False),
        Column("ha_state", SHORT, nullable=True),
        Column("provider", SHORT, nullable=False),
        Column("update_count", NUMBER, nullable=False),
        Column("update_time", MOMENT, nullable=True),
        Column("mgmt_server_id", NUMBER, nullable=True),
        Column("owner_epoch", NUMBER, nullable=False),
        Column("reason", LONG, nullable=False),
        Column("waiting_for", LONG, nullable=False),
        Column("incident", LONG, nullable=False),
        unique("ha_config", "resource_id", "resource_type"),
    )


def _make_ha_transition() -> None:
    table(
        "ha_transition",
        row_id(),
        Column("host_id", NUMBER, nullable=False),
        Column("event", SHORT, nullable=False),
        Column("state", SHORT, nullable=False),
        Column("prev_state", SHORT, nullable=False),
        Column("activity_counter", NUMBER, nullable=False),
        Column("recovery_counter", NUMBER, nullable=False),
        Column("reason", LONG, nullable=False),
        Column("evidence", LONG, nullable=False),
        Column("owner_epoch", NUMBER, nullable=False),
        Column("created", MOMENT, nullable=False),
        Column("hidden", FLAG, nullable=False),
    )
    index("ha_transition", "host_id")


def _make_oobm() -> None:
    table(
        "oobm",
        row_id(),
        Column("host_id", NUMBER, nullable=False),
        Column("enabled", FLAG, nullable=False),
        Column("power_state", SHORT, nullable=False),
        Column("driver", SHORT, nullable=False),
        Column("address", SHORT, nullable=False),
        Column("port", SHORT, nullable=False),
        Column("username", SHORT, nullable=False),
        Column("password", LONG, nullable=True),
        Column("new_password", LONG, nullable=True),
        Column("manage_console_protocol", SHORT, nullable=False),
        Column("manage_console_port", SHORT, nullable=False),
        Column("ordered_state", SHORT, nullable=False),
        Column("problem", LONG, nullable=False),
        Column("update_count", NUMBER, nullable=False),
        Column("update_time", MOMENT, nullable=True),
        Column("mgmt_server_id", NUMBER, nullable=True),
        unique("oobm", "host_id"),
    )


def _make_vm_instance() -> None:
    table(
        "vm_instance",
        row_id(),
        Column("uuid", KEY, nullable=False),
        Column("name", KEY, nullable=False),
        Column("display_name", SHORT, nullable=False),
        Column("instance_name", SHORT, nullable=False),
        Column("state", KEY, nullable=False),
        Column("type", SHORT, nullable=False),
        Column("vm_template_id", NUMBER, nullable=False),
        Column("service_offering_id", NUMBER, nullable=False),
        Column("network_id", NUMBER, nullable=True),
        Column("data_center_id", NUMBER, nullable=False),
        Column("pod_id", NUMBER, nullable=True),
        Column("cluster_id", NUMBER, nullable=True),
        Column("host_id", NUMBER, nullable=True),
        Column("last_host_id", NUMBER, nullable=True),
        Column("pool_id", NUMBER, nullable=True),
        Column("cpu", NUMBER, nullable=False),
        Column("cpu_speed", NUMBER, nullable=False),
        Column("ram", NUMBER, nullable=False),
        Column("host_tag", SHORT, nullable=False),
        Column("ha_enabled", FLAG, nullable=False),
        Column("ha_priority", NUMBER, nullable=False),
        Column("affinity_group", SHORT, nullable=False),
        Column("depends_on", LONG, nullable=False),
        Column("user_id", NUMBER, nullable=False),
        Column("account_id", NUMBER, nullable=False),
        Column("run_epoch", NUMBER, nullable=False),
        Column("update_count", NUMBER, nullable=False),
        Column("update_time", MOMENT, nullable=True),
        Column("reason", LONG, nullable=False),
        Column("created", MOMENT, nullable=False),
        Column("removed", MOMENT, nullable=True),
    )
    index("vm_instance", "uuid")
    index("vm_instance", "host_id")
    index("vm_instance", "name")
    index("vm_instance", "state")


def _make_vm_permit() -> None:
    table(
        "vm_permit",
        row_id(),
        Column("vm_id", NUMBER, nullable=False),
        Column("run_epoch", NUMBER, nullable=False),
        Column("host_id", NUMBER, nullable=False),
        Column("owner_epoch", NUMBER, nullable=False),
        Column("state", KEY, nullable=False),
        Column("proof_kind", SHORT, nullable=False),
        Column("proof", LONG, nullable=False),
        Column("created", MOMENT, nullable=False),
        Column("ended", MOMENT, nullable=True),
        Column("ended_by", LONG, nullable=False),
        unique("vm_permit", "vm_id", "run_epoch"),
    )
    index("vm_permit", "host_id", "state")


def _make_op_ha_work() -> None:
    table(
        "op_ha_work",
        row_id(),
        Column("instance_id", NUMBER, nullable=False),
        Column("vm_type", SHORT, nullable=False),
        Column("type", SHORT, nullable=False),
        Column("reason", LONG, nullable=False),
        Column("step", KEY, nullable=False),
        Column("state", SHORT, nullable=False),
        Column("host_id", NUMBER, nullable=False),
        Column("target_host_id", NUMBER, nullable=True),
        Column("mgmt_server_id", NUMBER, nullable=True),
        Column("owner_epoch", NUMBER, nullable=False),
        Column("tried", NUMBER, nullable=False),
        Column("investigations", NUMBER, nullable=False),
        Column("updated", NUMBER, nullable=False),
        Column("taken", MOMENT, nullable=True),
        Column("time_to_try", MOMENT, nullable=False),
        Column("created", MOMENT, nullable=False),
        Column("finished", MOMENT, nullable=True),
        Column("proof", LONG, nullable=False),
        Column("excluded", LONG, nullable=False),
        Column("explanation", LONG, nullable=False),
    )
    index("op_ha_work", "instance_id")
    index("op_ha_work", "step")
    index("op_ha_work", "host_id")
