"""Evidence, verdict, proof, permit: the four words between an observation and a start.

All are immutable facts. Times named `at` are seconds of the observer's monotonic clock, never of another machine's.
"""

from dataclasses import dataclass, field
from enum import StrEnum

from holdfast.model.states import Opinion


class Kind(StrEnum):
    """What was looked at. One kind is one independent way to know; S4 asks for two of them."""

    LINK = "management-link"
    AGENT = "agent"
    POWER = "chassis-power"
    HEARTBEAT = "storage-heartbeat"
    ACTIVITY = "disk-activity"
    STORAGE_CUT = "storage-cut"
    GRANT = "owner-grant"
    """Whether an owner may have granted the host life: dead says that none has for `lasting` seconds."""
    ADMIN = "admin"


@dataclass(frozen=True, slots=True)
class Evidence:
    """One observation of one host (or VM): what was seen, by whom, when, and for how long it counts.

    `opinion` is what the observation says of the subject. `source` names the observer (a driver, a neighbour host,
    an admin). `detail` is a short sentence for people: no secrets. `subject` is a host or VM uuid.
    `lasting` is for how many seconds the observer has seen it so, by its own clock (storage heartbeats: unchanged for).
    `answerable` is false for what stays `unknown` because nothing there can ever tell: it is shown, and nothing waits
    for it. Only `Kind.ACTIVITY`, which can hold a fence and never carry one, may be so; of other kinds it is ignored.
    """

    kind: Kind
    subject: str
    opinion: Opinion
    source: str
    at: float
    detail: str = ""
    max_age: float = 60.0
    pool: str = ""
    lasting: float = 0.0
    answerable: bool = True

    def is_fresh(self, now: float) -> bool:
        """Whether it still counts at `now`. Evidence from the future counts for nothing (S2)."""
        return 0.0 <= now - self.at <= self.max_age

    def read_at(self, now: float) -> Opinion:
        """The opinion it carries at `now`: stale or future-dated evidence is `unknown`."""
        return self.opinion if self.is_fresh(now) else Opinion.UNKNOWN


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the evidence on a host adds up to, with the evidence that carries it and what is still missing."""

    opinion: Opinion
    carried_by: tuple[Evidence, ...] = ()
    missing: tuple[str, ...] = ()


class ProofKind(StrEnum):
    """Rungs of the proof-of-death ladder, design §3, strongest habits first; and the trivial proofs of a first run."""

    NEVER_RAN = "never-ran"
    CHASSIS_OFF = "chassis-off"
    AGENT_REPORT = "agent-report"
    LEASE_EXPIRED = "lease-expired"
    STORAGE_CUT = "storage-cut"
    DECLARED_DEAD = "declared-dead"


@dataclass(frozen=True, slots=True)
class Proof:
    """Evidence strong enough that no earlier run of the subject can write.

    `covers_epoch` is the highest run epoch the proof speaks of when the subject is a VM; for a host it is -1 and
    covers every run that was on that host when the proof was completed.
    """

    kind: ProofKind
    subject: str
    at: float
    evidence: tuple[Evidence, ...] = ()
    covers_epoch: int = -1


@dataclass(frozen=True, slots=True)
class PermitGrant:
    """The right to start one run of one VM on one host; stored before the start is sent (S1, S8)."""

    vm_uuid: str
    run_epoch: int
    host_uuid: str
    owner_epoch: int
    proof: Proof = field(repr=False)
