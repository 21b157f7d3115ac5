"""What a host's agent can be asked, each with what it answers; and how errors travel back."""

from dataclasses import dataclass
from typing import Any, ClassVar

from holdfast import errors
from holdfast.errors import DriverError, HoldfastError
from holdfast.model.evidence import PermitGrant
from holdfast.model.views import DiskReading, HeartbeatReading, HostOrders, HostView, PoolView, VmReport, VmSpec
from holdfast.protocol.codec import from_document, to_document
from holdfast.protocol.frames import ProtocolError
from holdfast.protocol.messages import Answer, Question


@dataclass(frozen=True, slots=True)
class StartVm:
    """`Hypervisor.start_vm`."""

    ANSWER: ClassVar[Any] = None
    host: HostView
    vm: VmSpec
    permit: PermitGrant


@dataclass(frozen=True, slots=True)
class StopVm:
    """`Hypervisor.stop_vm`."""

    ANSWER: ClassVar[Any] = None
    host: HostView
    vm_uuid: str
    run_epoch: int
    graceful: bool


@dataclass(frozen=True, slots=True)
class ListVms:
    """`Hypervisor.list_vms`."""

    ANSWER: ClassVar[Any] = tuple[VmReport, ...]
    host: HostView


@dataclass(frozen=True, slots=True)
class RebootVm:
    """`Hypervisor.reboot_vm`."""

    ANSWER: ClassVar[Any] = None
    host: HostView
    vm_uuid: str
    run_epoch: int


@dataclass(frozen=True, slots=True)
class RemoveDisks:
    """`Hypervisor.remove_disks`."""

    ANSWER: ClassVar[Any] = None
    host: HostView
    vm: VmSpec


@dataclass(frozen=True, slots=True)
class ExpectVm:
    """To the target of a live migration, before the source is told: a run of this VM will arrive under this permit."""

    ANSWER: ClassVar[Any] = None
    host: HostView
    vm: VmSpec
    permit: PermitGrant


@dataclass(frozen=True, slots=True)
class MigrateVm:
    """`Hypervisor.migrate_vm`, to the source."""

    ANSWER: ClassVar[Any] = None
    host: HostView
    target: HostView
    vm: VmSpec
    permit: PermitGrant


@dataclass(frozen=True, slots=True)
class ObeyOrders:
    """`Hypervisor.give_orders`."""

    ANSWER: ClassVar[Any] = None
    host: HostView
    orders: HostOrders


@dataclass(frozen=True, slots=True)
class PrepareHeartbeat:
    """`HeartbeatDriver.prepare`."""

    ANSWER: ClassVar[Any] = None
    pool: PoolView
    writer: str


@dataclass(frozen=True, slots=True)
class WriteHeartbeat:
    """`HeartbeatDriver.write`."""

    ANSWER: ClassVar[Any] = None
    pool: PoolView
    writer: str
    sequence: int


@dataclass(frozen=True, slots=True)
class ReadHeartbeat:
    """`HeartbeatDriver.read`: is this host's heartbeat stale?"""

    ANSWER: ClassVar[Any] = HeartbeatReading
    pool: PoolView
    subject: str
    reader: str


@dataclass(frozen=True, slots=True)
class RemoveHeartbeat:
    """`HeartbeatDriver.remove`."""

    ANSWER: ClassVar[Any] = None
    pool: PoolView
    subject: str


@dataclass(frozen=True, slots=True)
class LookAtDisks:
    """`HeartbeatDriver.look_at_disks`: are these disks being written?"""

    ANSWER: ClassVar[Any] = DiskReading
    pool: PoolView
    disks: tuple[str, ...]
    reader: str


Asked = (
    StartVm | StopVm | ListVms | RebootVm | RemoveDisks | ExpectVm | MigrateVm | ObeyOrders
    | PrepareHeartbeat | WriteHeartbeat | ReadHeartbeat | RemoveHeartbeat | LookAtDisks
)  # fmt: skip

_BY_NAME: dict[str, type[Any]] = {kind.__name__: kind for kind in Asked.__args__}
_ERRORS: dict[str, type[HoldfastError]] = {
    name: getattr(errors, name)
    for name in (
        "StorageAway",
        "Refused",
        "Unsupported",
        "AuthenticationFailed",
        "Unreachable",
        "DeadlineExceeded",
        "NotFound",
    )
}


def question(number: int, asked: Asked, deadline: float) -> Question:
    """As it is sent."""
    return Question(number, type(asked).__name__, to_document(asked), deadline)


def read_question(found: Question) -> Asked:
    """As it was meant. `Unsupported` if this version has no such question, `ProtocolError` if it is malformed."""
    kind = _BY_NAME.get(found.what)
    if kind is None:
        raise errors.Unsupported("this agent does not know that question; it is older than the server: upgrade it")
    asked: Asked = from_document(kind, found.body, found.what)
    return asked


def answer(number: int, value: Any) -> Answer:
    """A good one."""
    return Answer(number, to_document(value))


def failure(number: int, problem: BaseException) -> Answer:
    """A bad one. What is not ours travels by its kind alone: its text may carry anything."""
    if not isinstance(problem, HoldfastError):
        return Answer(number, error="DriverError", text=f"the driver failed with {type(problem).__name__}")
    for kind in type(problem).__mro__:
        if _ERRORS.get(kind.__name__) is kind:
            return Answer(number, error=kind.__name__, text=str(problem))
    return Answer(number, error="DriverError", text=f"{type(problem).__name__}: {problem}")


def read_answer(asked: Asked, found: Answer) -> Any:
    """The value; or raises what the other side met. What cannot be understood is `DriverError`: outcome unknown."""
    if found.error:
        raise _ERRORS.get(found.error, DriverError)(found.text or found.error)
    if type(asked).ANSWER is None:
        return None
    try:
        return from_document(type(asked).ANSWER, found.value, f"answer to {type(asked).__name__}")
    except ProtocolError as problem:
        raise DriverError(str(problem)) from problem
