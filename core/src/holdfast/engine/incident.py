"""What the engine knows of one host, what it is told, and what it decides: three families of small immutable tuples.

Named tuples, not dataclasses: a step makes several, and they are the cheapest immutable records Python has.
"""

from enum import StrEnum
from math import inf
from typing import NamedTuple

from holdfast.model.evidence import Evidence, Proof
from holdfast.model.states import HAEvent, HAState

# --- what is known -------------------------------------------------------------------------------------------------


class Samples(NamedTuple):
    """Counters of one suspicion. Runs are consecutive: `unknown` breaks them."""

    taken: int = 0
    dead_run: int = 0
    alive_run: int = 0
    off_run: int = 0
    off_at: float = -inf


class Stage(StrEnum):
    """Where a fence stands. Power is only cut after the host is quarantined and its VMs are written down (S8).

    `LOOKING`: a fresh sign of death is sought before a cut that does not follow its witness at once (S4).
    """

    PREPARING = "preparing"
    READY = "ready"
    LOOKING = "looking"
    CUTTING = "cutting"
    READING = "reading-back"
    WAITING = "waiting"


class Fence(NamedTuple):
    """Progress of fencing one host. `cause` is the event that led here; times are the owner's monotonic seconds."""

    cause: HAEvent
    stage: Stage = Stage.PREPARING
    attempt: int = 0
    accepted: bool = False
    off_reads: int = 0
    read_alive: bool = False
    next_at: float = 0.0
    attempt_ends: float = inf
    problem: str = ""
    reads: tuple[Evidence, ...] = ()


class LeaseTerms(NamedTuple):
    """What a host's agent has confirmed of its storage lease: what it keeps to, also while it cannot be told anew.

    `needs` is lease + watchdog + margin in seconds, 0 if nothing was confirmed; `pools` names those that renew it.
    """

    needs: float = 0.0
    pools: frozenset[str] = frozenset()


class HostHa(NamedTuple):
    """All that the engine remembers of one host. `token` numbers the generation: results of an older one are dropped.

    `recoveries` survives until a health check passes. `poll_every` is above 0 for hosts whose provider polls health.
    `armed`: the host's agent confirmed an armed watchdog, on the terms `lease`. `maintenance`: it is in such a state.
    """

    uuid: str
    state: HAState | None = None
    since: float = 0.0
    token: int = 0
    silent: bool = False
    armed: bool = False
    lease: LeaseTerms = LeaseTerms()
    maintenance: bool = False
    poll_every: float = 0.0
    health_due: float = inf
    health_busy: bool = False
    activity_due: float = inf
    activity_busy: bool = False
    action_busy: bool = False
    samples: Samples = Samples()
    recoveries: int = 0
    fence: Fence | None = None
    held: str = ""
    reason: str = ""
    health_evidence: tuple[Evidence, ...] = ()
    activity_evidence: tuple[Evidence, ...] = ()


# --- what it is told -----------------------------------------------------------------------------------------------


class Heard(NamedTuple):
    """The host's agent spoke. `lease` is what it has confirmed."""

    armed: bool = False
    lease: LeaseTerms = LeaseTerms()


class Silent(NamedTuple):
    """The management link has been silent for too long."""

    evidence: Evidence


class Tick(NamedTuple):
    """Time passed."""


class Switched(NamedTuple):
    """What the zone, cluster and host switches add up to."""

    on: bool
    reason: str = ""


class Judged(NamedTuple):
    """What the provider says of eligibility. `deliberate`: an admin's act, not a missing neighbour, is the cause."""

    eligible: bool
    reason: str = ""
    deliberate: bool = True
    maintenance: bool = False


class HealthSeen(NamedTuple):
    """A health check ended."""

    token: int
    evidence: tuple[Evidence, ...]


class ActivitySeen(NamedTuple):
    """An activity check ended."""

    token: int
    evidence: tuple[Evidence, ...]


class RecoverDone(NamedTuple):
    """A recovery attempt ended."""

    token: int
    accepted: bool
    detail: str = ""


class Prepared(NamedTuple):
    """Quarantine and roster are stored."""

    token: int


class CutDone(NamedTuple):
    """The power cut was answered (or not)."""

    token: int
    accepted: bool
    detail: str = ""


class PowerRead(NamedTuple):
    """One read-back of the power after a cut."""

    token: int
    evidence: Evidence


class Declared(NamedTuple):
    """An admin declared the host dead."""

    evidence: Evidence


Observation = (
    Heard
    | Silent
    | Tick
    | Switched
    | Judged
    | HealthSeen
    | ActivitySeen
    | RecoverDone
    | Prepared
    | CutDone
    | PowerRead
    | Declared
)

# --- what it decides -----------------------------------------------------------------------------------------------


class Moved(NamedTuple):
    """A transition to store, with the evidence that led to it and the counters of that moment."""

    event: HAEvent
    source: HAState | None
    target: HAState
    reason: str
    evidence: tuple[Evidence, ...] = ()
    activity_counter: int = 0
    recovery_counter: int = 0


class AskHealth(NamedTuple):
    """Look at the host's health once."""

    token: int


class AskActivity(NamedTuple):
    """Look once, through a neighbour, whether the host's VMs still write."""

    token: int


class Recover(NamedTuple):
    """Try to bring the host back."""

    token: int
    attempt: int


class Prepare(NamedTuple):
    """Quarantine the host, then write down its VMs (S8)."""

    token: int


class CutPower(NamedTuple):
    """Cut the host's power."""

    token: int
    attempt: int


class ReadPower(NamedTuple):
    """Read the power back."""

    token: int


class Proven(NamedTuple):
    """The host is proven dead: its VMs may start elsewhere. Follows the `Moved` into Fenced in the same answer."""

    proof: Proof


class Release(NamedTuple):
    """Undo the quarantine: the host is alive and was not cut off."""

    reason: str


class PowerOn(NamedTuple):
    """Power the fenced host on again, unless an operator ordered it off."""


class Alarm(NamedTuple):
    """Something an operator should see at once. `name` is the alert's name.

    `domain` names the failure domain that it is about; "" if it is about the host.
    """

    name: str
    text: str
    domain: str = ""


Decision = (
    Moved | AskHealth | AskActivity | Recover | Prepare | CutPower | ReadPower | Proven | Release | PowerOn | Alarm
)
Step = tuple[HostHa, tuple[Decision, ...]]
