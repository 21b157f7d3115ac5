"""What drivers and pure code are shown of the cloud: small immutable views, no database ids, no handles."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from holdfast.model.secret import Secret
from holdfast.model.states import GuestState, HostStatus, ResourceState

_NOTHING: Mapping[str, str] = {}
_NO_SECRETS: Mapping[str, Secret] = {}


@dataclass(frozen=True, slots=True)
class HostView:
    """One host as drivers see it. `details` are the rows of `host_details`; `pools` the uuids of its HA pools."""

    uuid: str
    name: str
    hypervisor: str
    zone: str
    pod: str
    cluster: str
    url: str = ""
    address: str = ""
    status: str = HostStatus.UP
    resource_state: str = ResourceState.ENABLED
    details: Mapping[str, str] = field(default_factory=lambda: _NOTHING)
    owner_epoch: int = 0
    """Under which the asking management server owns the host; 0 where it owns none of it or nothing is asked of it."""


@dataclass(frozen=True, slots=True)
class PoolView:
    """One storage pool as drivers see it. `scope` is ZONE, CLUSTER, HOST (local: no other host has it) or not known."""

    uuid: str
    name: str
    pool_type: str
    heartbeat: str
    address: str = ""
    port: int = 0
    path: str = ""
    details: Mapping[str, str] = field(default_factory=lambda: _NOTHING)
    scope: str = ""


@dataclass(frozen=True, slots=True)
class BmcView:
    """One BMC as OOBM drivers see it. `port` is text, as the API takes it (nested clouds put a VM's uuid there).

    A host may have several, told apart by fence level and index. `options` are those that an admin gave for this BMC,
    over the driver's settings; `secrets` are the ones among them that must not be shown.
    """

    host_uuid: str
    driver: str
    address: str
    port: str
    username: str
    password: Secret
    level: int = 1
    options: Mapping[str, str] = field(default_factory=lambda: _NOTHING)
    index: int = 0
    secrets: Mapping[str, Secret] = field(default_factory=lambda: _NO_SECRETS)

    @property
    def key(self) -> str:
        """Tells it from all other BMCs: the host's uuid, and for more than the first the level and index."""
        first = (self.level, self.index) == (1, 0)
        return self.host_uuid if first else f"{self.host_uuid}/{self.level}.{self.index}"


@dataclass(frozen=True, slots=True)
class DiskSpec:
    """One disk of a VM.

    `name` is what it is called on its pool: a file's name without folder, or on a pool of LUNs the number of its own.
    On a pool of files it lies at the top, as `file`.
    `size` is bytes; 0 means as large as the template. `template` is the path or URL of the image that it is laid over,
    "" for none; whoever starts the VM first makes the disk, and never one that is there.
    """

    pool: PoolView
    name: str
    format: str = "qcow2"
    size: int = 0
    template: str = ""
    template_format: str = "qcow2"

    @property
    def file(self) -> str:
        """What its file is called, on a pool that holds files."""
        return f"{self.name}.{self.format}"


@dataclass(frozen=True, slots=True)
class NicSpec:
    """One network interface of a VM. `network` is the network's name, `vlan` its VLAN ("" for none): the host knows
    which bridge serves it."""

    mac: str
    network: str
    vlan: str = ""


@dataclass(frozen=True, slots=True)
class VmSpec:
    """All that a hypervisor needs to run a VM. `cpu_speed` is MHz per CPU, `ram` is MB.

    `ha` says whether the VM is restarted by HA; a host that has to fence itself spares the others (S11).
    """

    uuid: str
    name: str
    instance_name: str
    cpu: int
    cpu_speed: int
    ram: int
    template: str = ""
    pool: str = ""
    network: str = ""
    ha: bool = False
    disks: tuple[DiskSpec, ...] = ()
    nics: tuple[NicSpec, ...] = ()


@dataclass(frozen=True, slots=True)
class HostOrders:
    """Standing orders of a host's owner to its agent: what to do on its own, also while nobody can be asked.

    `pools` are those whose heartbeats speak of this host. `ha` is whether host HA is on for it: off means that it must
    never fence itself (S11). `settings` are the global settings `ha.storage.*`, `ha.watchdog.*`, `ha.self.fence.*`
    and `kvm.ha.*` that hold for it, by name, as text. While the owner `counts_on_watchdog`, because beats said that it
    is armed, the agent must not disarm it: a proof by lease may be under way.
    """

    pools: tuple[PoolView, ...] = ()
    ha: bool = False
    settings: Mapping[str, str] = field(default_factory=lambda: _NOTHING)
    counts_on_watchdog: bool = False


@dataclass(frozen=True, slots=True)
class VmReport:
    """What a host says of one VM: its guest state and the run epoch it was started under.

    `reason` is why it is in that state, in a few words, "" if there is nothing to say. `host_restarted` says of a run
    that is over that it ended with its host, which has booted since: that is no crash of the VM's own. Neither is part
    of what makes two reports equal.
    """

    vm_uuid: str
    state: GuestState
    run_epoch: int
    reason: str = field(default="", compare=False)
    host_restarted: bool = field(default=False, compare=False)


@dataclass(frozen=True, slots=True)
class Beat:
    """One sign of life of a host's agent.

    `boot_id` changes when the host boots. `watchdog_armed` says that the host's watchdog will reset it once its
    storage lease lapses; a proof by lease needs it (design §3). `adrift` says that none of its pools takes its
    heartbeats, so that only its owner's grants hold its lease.
    """

    host_uuid: str
    boot_id: str
    sequence: int
    watchdog_armed: bool = False
    adrift: bool = False


@dataclass(frozen=True, slots=True)
class LifeGrant:
    """The owner's word to a host that it lives: the beat `sequence` of boot `boot_id` was heard under `owner_epoch`.

    It renews the host's storage lease from when the host sent that beat, by the host's own clock, however late it
    comes.
    """

    host_uuid: str
    boot_id: str
    sequence: int
    owner_epoch: int


@dataclass(frozen=True, slots=True)
class HeartbeatReading:
    """What a reader saw of a host's storage heartbeat.

    `unchanged_for` is seconds by the reader's own clock since it last saw the sequence move (or since it first looked,
    when it never saw it move). Only time in which the reader could look counts: an outage that keeps it from looking
    may keep the subject from writing. No two machines' clocks are compared.
    """

    sequence: int
    unchanged_for: float
    ever_moved: bool = True


@dataclass(frozen=True, slots=True)
class DiskReading:
    """What a reader saw of several disks on one pool, while it watched whether they change.

    `found` of them are there. `watched_for` is seconds by the reader's own clock that it has looked on end, 0 at the
    first look, which shows no change. `unchanged_for` counts from the last change that it saw, of whichever disk, or
    from when it began to look. `changed` names that disk, "" if none changed while it looked. Nothing is said of death:
    a guest that has nothing to do writes nothing.
    """

    found: int
    watched_for: float
    unchanged_for: float
    changed: str = ""
