"""Users, servers, settings, events and the key of the secrets."""

from holdfast_store.column_types import FLAG, ID, KEY, LONG, MOMENT, NUMBER, SHORT
from holdfast_store.migrations.making import index, row_id, table, unique
from sqlalchemy import Column

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Make the tables."""
    _make_account()
    _make_user()
    _make_api_session()
    _make_mshost()
    _make_mshost_peer()
    _make_configuration()
    _make_event()
    _make_alert()
    _make_async_job()
    _make_store_key()


def _make_account() -> None:
    table(
        "account",
        row_id(),
        Column("uuid", KEY, nullable=False),
        Column("account_name", SHORT, nullable=False),
        Column("type", NUMBER, nullable=False),
        Column("domain_id", NUMBER, nullable=False),
        Column("state", SHORT, nullable=False),
        Column("created", MOMENT, nullable=False),
        Column("removed", MOMENT, nullable=True),
    )
    index("account", "uuid")


def _make_user() -> None:
    table(
        "user",
        row_id(),
        Column("uuid", KEY, nullable=False),
        Column("username", SHORT, nullable=False),
        Column("password", SHORT, nullable=False),
        Column("account_id", NUMBER, nullable=False),
        Column("firstname", SHORT, nullable=False),
        Column("lastname", SHORT, nullable=False),
        Column("email", SHORT, nullable=False),
        Column("timezone", SHORT, nullable=False),
        Column("state", SHORT, nullable=False),
        Column("api_key", KEY, nullable=True),
        Column("secret_key", LONG, nullable=True),
        Column("created", MOMENT, nullable=False),
        Column("removed", MOMENT, nullable=True),
    )
    index("user", "uuid")
    index("user", "api_key")


def _make_api_session() -> None:
    table(
        "api_session",
        row_id(),
        Column("session_hash", KEY, nullable=False),
        Column("key_hash", SHORT, nullable=False),
        Column("user_id", NUMBER, nullable=False),
        Column("created", MOMENT, nullable=False),
        Column("last_used", MOMENT, nullable=False),
        unique("api_session", "session_hash"),
    )


def _make_mshost() -> None:
    table(
        "mshost",
        row_id(),
        Column("uuid", SHORT, nullable=False),
        Column("msid", NUMBER, nullable=False),
        Column("runid", NUMBER, nullable=False),
        Column("name", SHORT, nullable=False),
        Column("state", SHORT, nullable=False),
        Column("version", SHORT, nullable=False),
        Column("service_ip", SHORT, nullable=False),
        Column("service_port", NUMBER, nullable=False),
        Column("session_epoch", NUMBER, nullable=False),
        Column("alert_count", NUMBER, nullable=False),
        Column("last_update", MOMENT, nullable=False),
        Column("started", MOMENT, nullable=False),
        Column("removed", MOMENT, nullable=True),
        unique("mshost", "msid"),
    )


def _make_mshost_peer() -> None:
    table(
        "mshost_peer",
        row_id(),
        Column("owner_mshost", NUMBER, nullable=False),
        Column("peer_mshost", NUMBER, nullable=False),
        Column("peer_runid", NUMBER, nullable=False),
        Column("peer_state", SHORT, nullable=False),
        Column("last_update", MOMENT, nullable=False),
        unique("mshost_peer", "owner_mshost", "peer_mshost", "peer_runid"),
    )


def _make_configuration() -> None:
    table(
        "configuration",
        row_id(),
        Column("name", KEY, nullable=False),
        Column("value", LONG, nullable=False),
        Column("updated", MOMENT, nullable=True),
        unique("configuration", "name"),
    )


def _make_event() -> None:
    table(
        "event",
        row_id(),
        Column("uuid", KEY, nullable=False),
        Column("type", KEY, nullable=False),
        Column("state", SHORT, nullable=False),
        Column("level", SHORT, nullable=False),
        Column("description", LONG, nullable=False),
        Column("user_id", NUMBER, nullable=False),
        Column("account_id", NUMBER, nullable=False),
        Column("resource_type", SHORT, nullable=False),
        Column("resource_id", KEY, nullable=False),
        Column("start_id", NUMBER, nullable=False),
        Column("evidence", LONG, nullable=False),
        Column("created", MOMENT, nullable=False),
        Column("archived", FLAG, nullable=False),
    )
    index("event", "uuid")
    index("event", "resource_id")
    index("event", "type")
    index("event", "created")


def _make_alert() -> None:
    table(
        "alert",
        row_id(),
        Column("uuid", KEY, nullable=False),
        Column("type", NUMBER, nullable=False),
        Column("name", SHORT, nullable=False),
        Column("subject", LONG, nullable=False),
        Column("content", LONG, nullable=False),
        Column("resource_id", SHORT, nullable=False),
        Column("data_center_id", NUMBER, nullable=True),
        Column("pod_id", NUMBER, nullable=True),
        Column("cluster_id", NUMBER, nullable=True),
        Column("sent_count", NUMBER, nullable=False),
        Column("created", MOMENT, nullable=False),
        Column("last_sent", MOMENT, nullable=False),
        Column("resolved", MOMENT, nullable=True),
        Column("archived", FLAG, nullable=False),
    )
    index("alert", "uuid")
    index("alert", "type")


def _make_async_job() -> None:
    table(
        "async_job",
        row_id(),
        Column("uuid", KEY, nullable=False),
        Column("user_id", NUMBER, nullable=False),
        Column("account_id", NUMBER, nullable=False),
        Column("job_cmd", SHORT, nullable=False),
        Column("job_cmd_info", LONG, nullable=False),
        Column("job_status", NUMBER, nullable=False),
        Column("job_process_status", NUMBER, nullable=False),
        Column("job_result_code", NUMBER, nullable=False),
        Column("job_result", LONG, nullable=False),
        Column("instance_type", SHORT, nullable=False),
        Column("instance_uuid", SHORT, nullable=False),
        Column("host_id", NUMBER, nullable=True),
        Column("mgmt_server_id", NUMBER, nullable=True),
        Column("owner_epoch", NUMBER, nullable=False),
        Column("step", LONG, nullable=False),
        Column("created", MOMENT, nullable=False),
        Column("last_updated", MOMENT, nullable=False),
        Column("completed", MOMENT, nullable=True),
    )
    index("async_job", "uuid")
    index("async_job", "job_status")


def _make_store_key() -> None:
    table(
        "store_key",
        Column("id", ID, primary_key=True, autoincrement=False, nullable=False),
        Column("check_text", LONG, nullable=False),
    )
