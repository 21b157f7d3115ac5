"""Records of host HA, out-of-band management, VMs and their permits, and VM-HA work."""

from holdfast.model.rows import Json, Moment, Row, record
from holdfast.model.secret import Secret
from holdfast.model.states import HAState, PermitState, PowerState, VmState, VmType, WorkStep


@record("ha_config", unique=(("resource_id", "resource_type"),))
class HaConfig(Row):
    """Host HA of one host. `incident` is the engine's persisted record, `waiting_for` the reasons it shows.

    `owner_epoch` is the number of the lease under which a management server acts on the host; a batch that carries
    an older one is refused (S5). `update_count` is raised by each stored transition.
    """

    id: int = 0
    resource_id: int
    resource_type: str = "Host"
    enabled: bool = False
    ha_state: str | None = HAState.DISABLED
    provider: str = ""
    update_count: int = 0
    update_time: Moment | None = None
    mgmt_server_id: int | None = None
    owner_epoch: int = 0
    reason: str = ""
    waiting_for: Json = Json("[]")
    incident: Json = Json("{}")


@record("ha_transition", indexed=(("host_id",),))
class HaTransition(Row):
    """One stored transition of one host, with the evidence that led to it and the counters at that moment."""

    id: int = 0
    host_id: int
    event: str
    state: str
    prev_state: str
    activity_counter: int = 0
    recovery_counter: int = 0
    reason: str = ""
    evidence: Json = Json("[]")
    owner_epoch: int = 0
    created: Moment = Moment(0.0)
    hidden: bool = False


@record("oobm", unique=(("host_id", "level", "device_index"),))
class Oobm(Row):
    """One fence device of a host. A host with one has level 1, index 0; those of a level must all be off together.

    `ordered_state` is the power state an operator last ordered ('' for none). `timeout` is seconds, 0 for the setting.
    `new_password` waits to be put into the BMC; a job's parameters, which are stored in the clear, never carry one.
    `options` are the driver's options of this device; those that are secret are a JSON text in `secret_options`.
    `readiness` is a `ReadinessState`, or '' while nobody has looked.
    """

    id: int = 0
    host_id: int
    enabled: bool = False
    power_state: str = PowerState.DISABLED
    driver: str = ""
    address: str = ""
    port: str = ""
    username: str = ""
    password: Secret | None = None
    new_password: Secret | None = None
    manage_console_protocol: str = ""
    manage_console_port: str = ""
    ordered_state: str = ""
    problem: str = ""
    update_count: int = 0
    update_time: Moment | None = None
    mgmt_server_id: int | None = None
    level: int = 1
    device_index: int = 0
    timeout: int = 0
    options: Json = Json("{}")
    secret_options: Secret | None = None
    readiness: str = ""
    readiness_detail: str = ""
    readiness_since: Moment | None = None


@record("vm_instance", indexed=(("uuid",), ("host_id",), ("name",), ("state",)))
class Vm(Row):
    """A virtual machine. `cpu_speed` is MHz per CPU, `ram` is MB.

    `run_epoch` is the number of the newest run that was ever permitted; 0 means that it never ran (S1).
    `host_id` is where that run is, or may be, live. `root_disk` is what its disk is called on its pool: a file, or the
    number of a LUN; "" stands for the VM's uuid.
    """

    id: int = 0
    uuid: str
    name: str
    display_name: str = ""
    instance_name: str
    state: str = VmState.STOPPED
    type: str = VmType.USER
    vm_template_id: int
    service_offering_id: int
    network_id: int | None = None
    data_center_id: int
    pod_id: int | None = None
    cluster_id: int | None = None
    host_id: int | None = None
    last_host_id: int | None = None
    pool_id: int | None = None
    cpu: int
    cpu_speed: int
    ram: int
    host_tag: str = ""
    ha_enabled: bool = False
    ha_priority: int = 0
    affinity_group: str = ""
    depends_on: str = ""
    user_id: int = 0
    account_id: int = 0
    run_epoch: int = 0
    update_count: int = 0
    update_time: Moment | None = None
    reason: str = ""
    created: Moment = Moment(0.0)
    removed: Moment | None = None
    root_disk: str = ""


@record("vm_permit", unique=(("vm_id", "run_epoch"),), indexed=(("host_id", "state"),))
class Permit(Row):
    """The stored right to one run of a VM. At most one permit of a VM is not `ended` (S1)."""

    id: int = 0
    vm_id: int
    run_epoch: int
    host_id: int
    owner_epoch: int = 0
    state: str = PermitState.ISSUED
    proof_kind: str
    proof: Json = Json("{}")
    created: Moment = Moment(0.0)
    ended: Moment | None = None
    ended_by: Json = Json("{}")


@record("op_ha_work", indexed=(("instance_id",), ("step",), ("host_id",)))
class Work(Row):
    """A VM-HA work item. `tried` counts failed starts; `investigations` counts waits for evidence, apart (S10).

    `host_id` is the host whose loss caused it; `time_to_try` is a moment (seconds), not upstream's 1,024 ms units.
    `target_host_id` is where the current run was permitted; `excluded` lists host ids that failed to start it.
    """

    id: int = 0
    instance_id: int
    vm_type: str = VmType.USER
    type: str = "HA"
    reason: str
    step: str = WorkStep.SCHEDULED
    state: str = ""
    host_id: int
    target_host_id: int | None = None
    mgmt_server_id: int | None = None
    owner_epoch: int = 0
    tried: int = 0
    investigations: int = 0
    updated: int = 0
    taken: Moment | None = None
    time_to_try: Moment = Moment(0.0)
    created: Moment = Moment(0.0)
    finished: Moment | None = None
    proof: Json = Json("{}")
    excluded: Json = Json("[]")
    explanation: Json = Json("{}")
