"""Everything that is said in a MESSAGE frame, but for what questions ask.

Who connects speaks first: an agent with `Hello`, a host that has no certificate yet with `AskAuthority` or `Join`, a
management server with `PeerHello`. Everything else follows from that.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from holdfast.model.secret import Secret
from holdfast.model.views import VmReport
from holdfast.protocol.codec import from_document, to_document
from holdfast.protocol.frames import FrameKind, ProtocolError, frame

# --- agent and server ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Hello:
    """An agent says who it is. `boot_id` is the kernel's; `cpus`, MHz per CPU and bytes of memory are the host's."""

    versions: tuple[int, ...]
    host_uuid: str
    name: str
    boot_id: str
    hypervisor: str
    cpus: int
    speed: int
    ram: int
    software: str = ""


@dataclass(frozen=True, slots=True)
class Welcome:
    """The server takes the agent. Beat every `beat_seconds`; after `patience` seconds without a word, go elsewhere."""

    version: int
    server: str
    beat_seconds: float
    patience: float


@dataclass(frozen=True, slots=True)
class Goodbye:
    """The connection ends now, and why. After `retry_seconds` it may be tried again; 0 means at once, elsewhere."""

    reason: str
    retry_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Sized:
    """The host's size is now known, or has changed."""

    cpus: int
    speed: int
    ram: int


@dataclass(frozen=True, slots=True)
class VmChanged:
    """A VM changed state on the host."""

    report: VmReport


@dataclass(frozen=True, slots=True)
class Question:
    """Something to do and to answer within `deadline` seconds. `what` names a class of `questions`."""

    number: int
    what: str
    body: Mapping[str, Any]
    deadline: float


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of a question: `value`, unless `error` names what went wrong and `text` says it in words."""

    number: int
    value: Any = None
    error: str = ""
    text: str = ""


# --- certificates ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class AskAuthority:
    """A host without a certificate asks for the authority's, to compare it with the fingerprint in its token."""


@dataclass(frozen=True, slots=True)
class Authority:
    """The authority's certificate, PEM. Whoever asked believes it only if the fingerprint agrees."""

    certificate: str


@dataclass(frozen=True, slots=True)
class Join:
    """A host shows its token's secret, and asks for a certificate on its key. `request` is a PEM request."""

    secret: Secret
    name: str
    request: str


@dataclass(frozen=True, slots=True)
class Joined:
    """The host's certificate and the authority's, PEM, and which host of the cloud it is."""

    host_uuid: str
    name: str
    certificate: str
    authority: str


@dataclass(frozen=True, slots=True)
class AskRenewal:
    """A connected agent asks for a new certificate on a new key."""

    request: str


@dataclass(frozen=True, slots=True)
class Renewed:
    """The new certificate, and the authority's as it is now, PEM."""

    certificate: str
    authority: str


@dataclass(frozen=True, slots=True)
class PleaseRenew:
    """The server wants the agent to renew its certificate now."""


# --- server and server -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class PeerHello:
    """Another management server: it wants to hear of this one's hosts and to ask them."""

    versions: tuple[int, ...]
    server: str


@dataclass(frozen=True, slots=True)
class PeerWelcome:
    """It may."""

    version: int
    server: str


@dataclass(frozen=True, slots=True)
class Follow:
    """From now on pass on the beats and VM changes of exactly these hosts."""

    hosts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class HostHere:
    """An agent is connected to the server that says so."""

    host_uuid: str
    boot_id: str
    cpus: int
    speed: int
    ram: int


@dataclass(frozen=True, slots=True)
class HostGone:
    """Its agent is connected to it no more."""

    host_uuid: str


@dataclass(frozen=True, slots=True)
class HostVm:
    """`VmChanged` of a host that is followed."""

    host_uuid: str
    report: VmReport


@dataclass(frozen=True, slots=True)
class HostQuestion:
    """`Question` for a host whose agent is connected to the server that is asked."""

    host_uuid: str
    question: Question


Message = (
    Hello | Welcome | Goodbye | Sized | VmChanged | Question | Answer | AskAuthority | Authority | Join | Joined
    | AskRenewal | Renewed | PleaseRenew | PeerHello | PeerWelcome | Follow | HostHere | HostGone | HostVm
    | HostQuestion
)  # fmt: skip

_BY_NAME: dict[str, type[Any]] = {kind.__name__: kind for kind in Message.__args__}


@dataclass(frozen=True, slots=True)
class _Envelope:
    type: str
    body: Mapping[str, Any] = field(default_factory=dict)


def encode(message: Message) -> bytes:
    """A message as a frame."""
    document = {"type": type(message).__name__, "body": to_document(message)}
    return frame(FrameKind.MESSAGE, json.dumps(document, separators=(",", ":")).encode())


def decode(body: bytes) -> Message:
    """The message in a MESSAGE frame. `ProtocolError` if it is none; its text never quotes what was received."""
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        raise ProtocolError("a message is not JSON") from None
    envelope = from_document(_Envelope, document)
    kind = _BY_NAME.get(envelope.type)
    if kind is None:
        raise ProtocolError("a message of a type that this version does not know")
    found: Message = from_document(kind, envelope.body, envelope.type)
    return found
