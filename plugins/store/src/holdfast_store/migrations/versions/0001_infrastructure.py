"""Zones, pods, clusters, hosts, storage and offerings."""

from holdfast_store.column_types import FLAG, KEY, LONG, MOMENT, NUMBER, REAL, SHORT
from holdfast_store.migrations.making import index, row_id, table, unique
from sqlalchemy import Column

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make the tables."""
    _make_data_center()
    _make_host_pod_ref()
    _make_cluster()
    _make_host()
    _make_host_tags()
    _make_storage_pool()
    _make_cluster_details()
    _make_data_center_details()
    _make_host_details()
    _make_storage_pool_details()
    _make_service_offering()
    _make_vm_template()
    _make_networks()


def _make_data_center() -> None:
    table(
        "data_center",
        row_id(),
        Column("uuid", KEY, nullable=False),
        Column("name", SHORT, nullable=False),
        Column("networktype", SHORT, nullable=False),
        Column("dns1", SHORT, nullable=False),
        Column("dns2", SHORT, nullable=False),
        Column("internal_dns1", SHORT, nullable=False),
        Column("internal_dns2", SHORT, nullable=False),
        Column("guest_network_cidr", SHORT, nullable=False),
        Column("allocation_state", SHORT, nullable=False),
        Column("created", MOMENT, nullable=False),
        Column("removed", MOMENT, nullable=True),
    )
    index("data_center", "uuid")


def _make_host_pod_ref() -> None:
    table(
        "host_pod_ref",
        row_id(),
        Column("uuid", KEY, nullable=False),
        Column("name", SHORT, nullable=False),
        Column("data_center_id", NUMBER, nullable=False),
        Column("gateway", SHORT, nullable=False),
        Column("netmask", SHORT, nullable=False),
        Column("start_ip", SHORT, nullable=False),
        Column("end_ip", SHORT, nullable=False),
        Column("allocation_state", SHORT, nullable=False),
        Column("created", MOMENT, nullable=False),
        Column("removed", MOMENT, nullable=True),
    )
    index("host_pod_ref", "uuid")


def _make_cluster() -> None:
    table(
        "cluster",
        row_id(),
        Column("uuid", KEY, nullable=False),
        Column("name", SHORT, nullable=False),
        Column("pod_id", NUMBER, nullable=False),
        Column("data_center_id", NUMBER, nullable=False),
        Column("hypervisor_type", SHORT, nullable=False),
        Column("cluster_type", SHORT, nullable=False),
        Column("allocation_state", SHORT, nullable=False),
        Column("managed_state", SHORT, nullable=False),
        Column("cpu_overcommit_ratio", REAL, nullable=False),
        Column("memory_overcommit_ratio", REAL, nullable=False),
        Column("created", MOMENT, nullable=False),
        Column("removed", MOMENT, nullable=True),
    )
    index("cluster", "uuid")


def _make_host() -> None:
    table(
        "host",
        row_id(),
        Column("uuid", KEY, nullable=False),
        Column("name", KEY, nullable=False),
        Column("status", SHORT, nullable=False),
        Column("type", SHORT, nullable=False),
        Column("hypervisor_type", SHORT, nullable=False),
        Column("private_ip_address", SHORT, nullable=False),
        Column("url", LONG, nullable=False),
        Column("username", SHORT, nullable=False),
        Column("password", LONG, nullable=True),
        Column("data_center_id", NUMBER, nullable=False),
        Column("pod_id", NUMBER, nullable=False),
        Column("cluster_id", NUMBER, nullable=False),
        Column("cpus", NUMBER, nullable=False),
        Column("speed", NUMBER, nullable=False),
        Column("ram", NUMBER, nullable=False),
        Column("resource_state", SHORT, nullable=False),
        Column("mgmt_server_id", NUMBER, nullable=True),
        Column("alloc_version", NUMBER, nullable=False),
        Column("update_count", NUMBER, nullable=False),
        Column("last_ping", MOMENT, nullable=True),
        Column("disconnected", MOMENT, nullable=True),
        Column("created", MOMENT, nullable=False),
        Column("removed", MOMENT, nullable=True),
    )
    index("host", "uuid")
    index("host", "cluster_id")
    index("host", "name")


def _make_host_tags() -> None:
    table(
        "host_tags",
        row_id(),
        Column("host_id", NUMBER, nullable=False),
        Column("tag", KEY, nullable=False),
    )
    index("host_tags", "host_id")
    index("host_tags", "tag")


def _make_storage_pool() -> None:
    table(
        "storage_pool",
        row_id(),
        Column("uuid", KEY, nullable=False),
        Column("name", SHORT, nullable=False),
        Column("pool_type", SHORT, nullable=False),
        Column("scope", SHORT, nullable=False),
        Column("host_address", SHORT, nullable=False),
        Column("port", NUMBER, nullable=False),
        Column("path", LONG, nullable=False),
        Column("data_center_id", NUMBER, nullable=False),
        Column("pod_id", NUMBER, nullable=True),
        Column("cluster_id", NUMBER, nullable=True),
        Column("capacity_bytes", NUMBER, nullable=False),
        Column("used_bytes", NUMBER, nullable=False),
        Column("status", SHORT, nullable=False),
        Column("tags", LONG, nullable=False),
        Column("heartbeat", SHORT, nullable=False),
        Column("created", MOMENT, nullable=False),
        Column("removed", MOMENT, nullable=True),
    )
    index("storage_pool", "uuid")


def _make_cluster_details() -> None:
    table(
        "cluster_details",
        row_id(),
        Column("cluster_id", NUMBER, nullable=False),
        Column("name", KEY, nullable=False),
        Column("value", LONG, nullable=False),
        unique("cluster_details", "cluster_id", "name"),
    )


def _make_data_center_details() -> None:
    table(
        "data_center_details",
        row_id(),
        Column("dc_id", NUMBER, nullable=False),
        Column("name", KEY, nullable=False),
        Column("value", LONG, nullable=False),
        unique("data_center_details", "dc_id", "name"),
    )


def _make_host_details() -> None:
    table(
        "host_details",
        row_id(),
        Column("host_id", NUMBER, nullable=False),
        Column("name", KEY, nullable=False),
        Column("value", LONG, nullable=False),
        unique("host_details", "host_id", "name"),
    )


def _make_storage_pool_details() -> None:
    table(
        "storage_pool_details",
        row_id(),
        Column("pool_id", NUMBER, nullable=False),
        Column("name", KEY, nullable=False),
        Column("value", LONG, nullable=False),
        unique("storage_pool_details", "pool_id", "name"),
    )


def _make_service_offering() -> None:
    table(
        "service_offering",
        row_id(),
        Column("uuid", KEY, nullable=False),
        Column("name", SHORT, nullable=False),
        Column("display_text", LONG, nullable=False),
        Column("cpu", NUMBER, nullable=False),
        Column("speed", NUMBER, nullable=False),
        Column("ram_size", NUMBER, nullable=False),
        Column("ha_enabled", FLAG, nullable=False),
        Column("ha_priority", NUMBER, nullable=False),
        Column("host_tag", SHORT, nullable=False),
        Column("storage_type", SHORT, nullable=False),
        Column("state", SHORT, nullable=False),
        Column("created", MOMENT, nullable=False),
        Column("removed", MOMENT, nullable=True),
    )
    index("service_offering", "uuid")


def _make_vm_template() -> None:
    table(
        "vm_template",
        row_id(),
        Column("uuid", KEY, nullable=False),
        Column("name", SHORT, nullable=False),
        Column("display_text", LONG, nullable=False),
        Column("format", SHORT, nullable=False),
        Column("hypervisor_type", SHORT, nullable=False),
        Column("url", LONG, nullable=False),
        Column("os_type", SHORT, nullable=False),
        Column("size", NUMBER, nullable=False),
        Column("data_center_id", NUMBER, nullable=True),
        Column("is_public", FLAG, nullable=False),
        Column("is_ready", FLAG, nullable=False),
        Column("created", MOMENT, nullable=False),
        Column("removed", MOMENT, nullable=True),
    )
    index("vm_template", "uuid")


def _make_networks() -> None:
    table(
        "networks",
        row_id(),
        Column("uuid", KEY, nullable=False),
        Column("name", SHORT, nullable=False),
        Column("display_text", LONG, nullable=False),
        Column("data_center_id", NUMBER, nullable=False),
        Column("guest_type", SHORT, nullable=False),
        Column("traffic_type", SHORT, nullable=False),
        Column("gateway", SHORT, nullable=False),
        Column("netmask", SHORT, nullable=False),
        Column("cidr", SHORT, nullable=False),
        Column("vlan", SHORT, nullable=False),
        Column("state", SHORT, nullable=False),
        Column("created", MOMENT, nullable=False),
        Column("removed", MOMENT, nullable=True),
    )
    index("networks", "uuid")
