"""The vocabularies of the field. The values are what the API, the tables and the logs show, to the letter."""

from enum import StrEnum


class HAState(StrEnum):
    """Host-HA state, as operators know it from CloudStack (column `ha_config.ha_state`)."""

    DISABLED = "Disabled"
    AVAILABLE = "Available"
    INELIGIBLE = "Ineligible"
    SUSPECT = "Suspect"
    CHECKING = "Checking"
    DEGRADED = "Degraded"
    RECOVERING = "Recovering"
    RECOVERED = "Recovered"
    FENCING = "Fencing"
    FENCED = "Fenced"


class HAEvent(StrEnum):
    """What moves a host from one `HAState` to another."""

    ENABLED = "Enabled"
    DISABLED = "Disabled"
    ELIGIBLE = "Eligible"
    INELIGIBLE = "Ineligible"
    HEALTH_CHECK_PASSED = "HealthCheckPassed"
    HEALTH_CHECK_FAILED = "HealthCheckFailed"
    PERFORM_ACTIVITY_CHECK = "PerformActivityCheck"
    TOO_FEW_SAMPLES = "TooFewActivityCheckSamples"
    PERIODIC_RECHECK = "PeriodicRecheckResourceActivity"
    OVER_THRESHOLD = "ActivityCheckFailureOverThresholdRatio"
    UNDER_THRESHOLD = "ActivityCheckFailureUnderThresholdRatio"
    POWER_OFF_CONFIRMED = "PowerOffConfirmed"
    DECLARED_DEAD = "DeclaredDead"
    LEASE_EXPIRED = "LeaseExpired"
    RETRY_RECOVERY = "RetryRecovery"
    RECOVERED = "Recovered"
    RECOVERY_WAIT_TIMEOUT = "RecoveryWaitPeriodTimeout"
    RECOVERY_THRESHOLD_EXCEEDED = "RecoveryOperationThresholdExceeded"
    RETRY_FENCING = "RetryFencing"
    FENCED = "Fenced"


class PowerState(StrEnum):
    """What a BMC says of the chassis. Transitional answers (PoweringOff) are `Unknown`, never `Off`."""

    ON = "On"
    OFF = "Off"
    UNKNOWN = "Unknown"
    DISABLED = "Disabled"


class PowerAction(StrEnum):
    """OFF is a hard power down, CYCLE off for at least a second then on, RESET a hard reset, SOFT an ACPI request."""

    ON = "ON"
    OFF = "OFF"
    CYCLE = "CYCLE"
    RESET = "RESET"
    SOFT = "SOFT"
    STATUS = "STATUS"


class HostStatus(StrEnum):
    """What is known of a host's agent (column `host.status`)."""

    CONNECTING = "Connecting"
    UP = "Up"
    DOWN = "Down"
    DISCONNECTED = "Disconnected"
    ALERT = "Alert"
    REMOVED = "Removed"


class ResourceState(StrEnum):
    """What the admin, or a fence, allows a host to do (column `host.resource_state`). Only Enabled takes starts."""

    ENABLED = "Enabled"
    DISABLED = "Disabled"
    PREPARE_FOR_MAINTENANCE = "PrepareForMaintenance"
    MAINTENANCE = "Maintenance"
    ERROR_IN_MAINTENANCE = "ErrorInMaintenance"
    DEGRADED = "Degraded"


MAINTENANCE_STATES = frozenset(
    {ResourceState.PREPARE_FOR_MAINTENANCE, ResourceState.MAINTENANCE, ResourceState.ERROR_IN_MAINTENANCE}
)


class VmState(StrEnum):
    """Life of a VM (column `vm_instance.state`)."""

    STARTING = "Starting"
    RUNNING = "Running"
    STOPPING = "Stopping"
    STOPPED = "Stopped"
    MIGRATING = "Migrating"
    ERROR = "Error"
    DESTROYED = "Destroyed"
    EXPUNGING = "Expunging"


class VmType(StrEnum):
    """Kinds of VM. Routers and Elastic Load Balancing VMs are HA by default (M2.1)."""

    USER = "User"
    ROUTER = "DomainRouter"
    ELASTIC_LOAD_BALANCER = "ElasticLoadBalancerVm"
    CONSOLE_PROXY = "ConsoleProxy"
    SECONDARY_STORAGE = "SecondaryStorageVm"


class GuestState(StrEnum):
    """What a hypervisor says of one VM on one host."""

    RUNNING = "running"
    PAUSED = "paused"
    CRASHED = "crashed"
    SHUT_DOWN = "shut-down"
    ABSENT = "absent"
    UNKNOWN = "unknown"


class Opinion(StrEnum):
    """Tri-state answer to "does this host live?". Unknown is never dead (S2)."""

    ALIVE = "alive"
    DEAD = "dead"
    UNKNOWN = "unknown"


class WorkStep(StrEnum):
    """Where a VM-HA work item stands (column `op_ha_work.step`)."""

    INVESTIGATING = "Investigating"
    SCHEDULED = "Scheduled"
    RESTARTING = "Restarting"
    REVOKING = "Revoking"
    DONE = "Done"
    CANCELLED = "Cancelled"
    ERROR = "Error"


OPEN_STEPS = (WorkStep.INVESTIGATING, WorkStep.SCHEDULED, WorkStep.RESTARTING, WorkStep.REVOKING)
"""Steps of work that is not finished: its VM is to be started, or its fate found out."""


class WorkReason(StrEnum):
    """Why a VM-HA work item exists (column `op_ha_work.reason`)."""

    HOST_FENCED = "HostFenced"
    VM_CRASHED = "VmCrashed"
    HOST_RESTARTED = "HostRestarted"
    HOST_MAINTENANCE = "HostMaintenance"
    HOST_DECLARED_DEAD = "HostDeclaredDead"


class PermitState(StrEnum):
    """Life of a permit: issued before the start is sent, live while its run may exist, ended by proof."""

    ISSUED = "issued"
    RUNNING = "running"
    ENDED = "ended"


class JobStatus:
    """`async_job.job_status`, numeric as every CloudStack client reads it."""

    PENDING = 0
    SUCCESS = 1
    FAILURE = 2
    CANCELLED = 3
