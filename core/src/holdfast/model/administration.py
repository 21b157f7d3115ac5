"""Records of who asks, what was asked, and what happened."""

from holdfast.model.rows import Json, Moment, Row, record
from holdfast.model.secret import Secret
from holdfast.model.states import JobStatus


@record("account", indexed=(("uuid",),))
class Account(Row):
    """An account; type 1 is root admin, 0 a plain user."""

    id: int = 0
    uuid: str
    account_name: str
    type: int = 1
    domain_id: int = 1
    state: str = "enabled"
    created: Moment = Moment(0.0)
    removed: Moment | None = None


@record("user", indexed=(("uuid",), ("api_key",)))
class User(Row):
    """A user. `password` is a hash; `secret_key` signs API calls and is encrypted at rest."""

    id: int = 0
    uuid: str
    username: str
    password: str
    account_id: int
    firstname: str = ""
    lastname: str = ""
    email: str = ""
    timezone: str = ""
    state: str = "enabled"
    api_key: str | None = None
    secret_key: Secret | None = None
    created: Moment = Moment(0.0)
    removed: Moment | None = None


@record("api_session", unique=(("session_hash",),))
class ApiSession(Row):
    """A login, kept in the store so that any management server honours it (M1.1). Only hashes are stored."""

    id: int = 0
    session_hash: str
    key_hash: str
    user_id: int
    created: Moment = Moment(0.0)
    last_used: Moment = Moment(0.0)


@record("mshost", unique=(("msid",),))
class ManagementServer(Row):
    """A management server. `session_epoch` is the coordinator's number for its present session."""

    id: int = 0
    uuid: str
    msid: int
    runid: int
    name: str
    state: str = "Up"
    version: str = ""
    service_ip: str = ""
    service_port: int = 0
    session_epoch: int = 0
    alert_count: int = 0
    last_update: Moment = Moment(0.0)
    started: Moment = Moment(0.0)
    removed: Moment | None = None


@record("mshost_peer", unique=(("owner_mshost", "peer_mshost", "peer_runid"),))
class ManagementServerPeer(Row):
    """How one management server sees another."""

    id: int = 0
    owner_mshost: int
    peer_mshost: int
    peer_runid: int
    peer_state: str = "Up"
    last_update: Moment = Moment(0.0)


@record("configuration", unique=(("name",),))
class Configuration(Row):
    """A global setting that was changed from its default. Scoped values live in the details tables."""

    id: int = 0
    name: str
    value: str
    updated: Moment | None = None


@record("event", indexed=(("uuid",), ("resource_id",), ("type",), ("created",)))
class Event(Row):
    """What happened, to what, and the evidence that led to it."""

    id: int = 0
    uuid: str
    type: str
    state: str = "Completed"
    level: str = "INFO"
    description: str
    user_id: int = 0
    account_id: int = 0
    resource_type: str = ""
    resource_id: str = ""
    start_id: int = 0
    evidence: Json = Json("[]")
    created: Moment = Moment(0.0)
    archived: bool = False


@record("alert", indexed=(("uuid",), ("type",)))
class Alert(Row):
    """What an operator should look at. `type` and `name` are CloudStack's alert numbers and names."""

    id: int = 0
    uuid: str
    type: int
    name: str
    subject: str
    content: str = ""
    resource_id: str = ""
    data_center_id: int | None = None
    pod_id: int | None = None
    cluster_id: int | None = None
    sent_count: int = 1
    created: Moment = Moment(0.0)
    last_sent: Moment = Moment(0.0)
    resolved: Moment | None = None
    archived: bool = False


@record("async_job", indexed=(("uuid",), ("job_status",)))
class AsyncJob(Row):
    """A job asked for through the API and carried out by a management server.

    `job_cmd` is the API command's name. `job_cmd_info` holds its checked parameters (ids are database ids).
    `job_result` on success names what to show: {"object": "virtualmachine", "id": 7} or {"success": true}; on
    failure it is {"errorcode": 530, "errortext": "..."}. `host_id` routes the job to the server that owns the host.
    """

    id: int = 0
    uuid: str
    user_id: int
    account_id: int
    job_cmd: str
    job_cmd_info: Json = Json("{}")
    job_status: int = JobStatus.PENDING
    job_process_status: int = 0
    job_result_code: int = 0
    job_result: Json = Json("{}")
    instance_type: str = ""
    instance_uuid: str = ""
    host_id: int | None = None
    mgmt_server_id: int | None = None
    owner_epoch: int = 0
    step: Json = Json("{}")
    created: Moment = Moment(0.0)
    last_updated: Moment = Moment(0.0)
    completed: Moment | None = None


@record("keystore", unique=(("name",),))
class KeyStore(Row):
    """A certificate authority of this cloud: its certificate (PEM) and its key, which is encrypted at rest."""

    id: int = 0
    name: str
    certificate: str
    key: Secret | None = None
    created: Moment = Moment(0.0)


@record("host_join_token", indexed=(("uuid",), ("secret_hash",), ("host_id",)))
class HostJoinToken(Row):
    """The right to ask, once and until `expires`, for the certificate of one host. Only a hash of it is stored."""

    id: int = 0
    uuid: str
    secret_hash: str
    host_id: int
    created: Moment = Moment(0.0)
    expires: Moment = Moment(0.0)
    used: Moment | None = None
    removed: Moment | None = None


@record("host_certificate", unique=(("serial",),), indexed=(("uuid",), ("host_uuid",)))
class HostCertificate(Row):
    """A certificate that the authority gave to a host's agent. `serial` is in hexadecimal.

    `renewal_asked` is when an administrator asked the agent to get a new one. A certificate with `revoked` opens
    nothing; so does one of which there is no row.
    """

    id: int = 0
    uuid: str
    host_uuid: str
    serial: str
    issued: Moment = Moment(0.0)
    expires: Moment = Moment(0.0)
    renewal_asked: Moment | None = None
    revoked: Moment | None = None
