"""Records of what the cloud is made of. Tables and columns that operators query keep CloudStack's names."""

from holdfast.model.rows import Moment, Row, record
from holdfast.model.secret import Secret
from holdfast.model.states import HostStatus, ResourceState


@record("data_center", indexed=(("uuid",),))
class Zone(Row):
    """A zone: restarts never leave it (S9)."""

    id: int = 0
    uuid: str
    name: str
    networktype: str = "Advanced"
    dns1: str = ""
    dns2: str = ""
    internal_dns1: str = ""
    internal_dns2: str = ""
    guest_network_cidr: str = ""
    allocation_state: str = "Enabled"
    created: Moment = Moment(0.0)
    removed: Moment | None = None


@record("host_pod_ref", indexed=(("uuid",),))
class Pod(Row):
    """A rack or row of a zone."""

    id: int = 0
    uuid: str
    name: str
    data_center_id: int
    gateway: str = ""
    netmask: str = ""
    start_ip: str = ""
    end_ip: str = ""
    allocation_state: str = "Enabled"
    created: Moment = Moment(0.0)
    removed: Moment | None = None


@record("cluster", indexed=(("uuid",),))
class Cluster(Row):
    """Hosts of one hypervisor sharing storage; a fence domain of the brake."""

    id: int = 0
    uuid: str
    name: str
    pod_id: int
    data_center_id: int
    hypervisor_type: str
    cluster_type: str = "CloudManaged"
    allocation_state: str = "Enabled"
    managed_state: str = "Managed"
    cpu_overcommit_ratio: float = 1.0
    memory_overcommit_ratio: float = 1.0
    created: Moment = Moment(0.0)
    removed: Moment | None = None


@record("host", indexed=(("uuid",), ("cluster_id",), ("name",)))
class Host(Row):
    """A hypervisor host. `speed` is MHz per CPU, `ram` is bytes.

    `alloc_version` is raised by every batch that puts a VM on the host or takes it out of service, so that two
    planners cannot fill the same room and no start slips in behind a quarantine.
    """

    id: int = 0
    uuid: str
    name: str
    status: str = HostStatus.CONNECTING
    type: str = "Routing"
    hypervisor_type: str
    private_ip_address: str = ""
    url: str = ""
    username: str = ""
    password: Secret | None = None
    data_center_id: int
    pod_id: int
    cluster_id: int
    cpus: int = 0
    speed: int = 0
    ram: int = 0
    resource_state: str = ResourceState.ENABLED
    mgmt_server_id: int | None = None
    alloc_version: int = 0
    update_count: int = 0
    last_ping: Moment | None = None
    disconnected: Moment | None = None
    created: Moment = Moment(0.0)
    removed: Moment | None = None


@record("host_tags", indexed=(("host_id",), ("tag",)))
class HostTag(Row):
    """One tag of one host; the tag named by `ha.tag` makes it a dedicated HA host (M4)."""

    id: int = 0
    host_id: int
    tag: str


@record("storage_pool", indexed=(("uuid",),))
class StoragePool(Row):
    """Primary storage. `scope` is ZONE, CLUSTER or HOST (local); `heartbeat` names the driver, '' for none."""

    id: int = 0
    uuid: str
    name: str
    pool_type: str
    scope: str = "CLUSTER"
    host_address: str = ""
    port: int = 0
    path: str = ""
    data_center_id: int
    pod_id: int | None = None
    cluster_id: int | None = None
    capacity_bytes: int = 0
    used_bytes: int = 0
    status: str = "Up"
    tags: str = ""
    heartbeat: str = ""
    created: Moment = Moment(0.0)
    removed: Moment | None = None


@record("cluster_details", unique=(("cluster_id", "name"),))
class ClusterDetail(Row):
    """A setting or switch of one cluster, e.g. `resourceHAEnabled`."""

    id: int = 0
    cluster_id: int
    name: str
    value: str


@record("data_center_details", unique=(("dc_id", "name"),))
class ZoneDetail(Row):
    """A setting or switch of one zone."""

    id: int = 0
    dc_id: int
    name: str
    value: str


@record("host_details", unique=(("host_id", "name"),))
class HostDetail(Row):
    """A named value of one host."""

    id: int = 0
    host_id: int
    name: str
    value: str


@record("storage_pool_details", unique=(("pool_id", "name"),))
class StoragePoolDetail(Row):
    """A setting of one storage pool."""

    id: int = 0
    pool_id: int
    name: str
    value: str


@record("service_offering", indexed=(("uuid",),))
class ServiceOffering(Row):
    """A compute offering. `speed` is MHz, `ram_size` is MB; `ha_priority` orders restarts, higher first."""

    id: int = 0
    uuid: str
    name: str
    display_text: str
    cpu: int
    speed: int
    ram_size: int
    ha_enabled: bool = False
    ha_priority: int = 0
    host_tag: str = ""
    storage_type: str = "shared"
    state: str = "Active"
    created: Moment = Moment(0.0)
    removed: Moment | None = None


@record("vm_template", indexed=(("uuid",),))
class Template(Row):
    """An image to make VMs from. `size` is bytes."""

    id: int = 0
    uuid: str
    name: str
    display_text: str
    format: str = "QCOW2"
    hypervisor_type: str
    url: str = ""
    os_type: str = ""
    size: int = 0
    data_center_id: int | None = None
    is_public: bool = True
    is_ready: bool = True
    created: Moment = Moment(0.0)
    removed: Moment | None = None


@record("networks", indexed=(("uuid",),))
class Network(Row):
    """A guest network."""

    id: int = 0
    uuid: str
    name: str
    display_text: str
    data_center_id: int
    guest_type: str = "Shared"
    traffic_type: str = "Guest"
    gateway: str = ""
    netmask: str = ""
    cidr: str = ""
    vlan: str = ""
    state: str = "Setup"
    created: Moment = Moment(0.0)
    removed: Moment | None = None
