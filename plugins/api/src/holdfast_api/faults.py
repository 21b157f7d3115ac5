"""What can go wrong with a call, as CloudStack numbers it: the HTTP status is the error code.

`fault_of` is the one place that decides which exception becomes which code. Nothing that the caller did not ask about
leaves through it: an exception nobody foresaw becomes 530 with an incident number that only the log explains.
"""

import logging
import secrets
from dataclasses import dataclass, field

from holdfast.errors import (
    Conflict,
    CoordinatorUnavailable,
    DriverError,
    HoldfastError,
    InvalidRequest,
    NoCapacity,
    NotFound,
    OutcomeUnknown,
    StoreUnavailable,
)

logger = logging.getLogger(__name__)

MALFORMED = 400
UNAUTHORIZED = 401
WRONG_METHOD = 405
TOO_LARGE = 413
"""Not among CloudStack's numbers: a body above `max_body` is answered as HTTP itself would."""
TOO_MANY = 429
PARAMETER = 431
UNSUPPORTED = 432
INTERNAL = 530
INSUFFICIENT_CAPACITY = 533
UNAVAILABLE = 534
"""The store or the coordinator does not answer: nothing was done, the same call may be repeated later."""
IN_USE = 536

_CS_CODES = {PARAMETER: 4350, UNAUTHORIZED: 4365, UNSUPPORTED: 4365, INTERNAL: 4250}
_THROWN_BY_COMMAND = 9999


class ApiFault(Exception):
    """A refusal with its code. `text` goes to the caller: what is wrong, where, what to do next; never a secret."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code
        self.text = text

    @property
    def cs_code(self) -> int:
        """CloudStack's second number, which names the exception class upstream would have thrown."""
        return _CS_CODES.get(self.code, _THROWN_BY_COMMAND)


@dataclass(frozen=True, slots=True)
class Fault:
    """An error answer: what the envelope shows."""

    code: int
    text: str
    cs_code: int = _THROWN_BY_COMMAND
    uuids: tuple[str, ...] = field(default=())

    def body(self) -> dict[str, object]:
        """The value under the envelope's key."""
        return {
            "uuidList": list(self.uuids),
            "errorcode": self.code,
            "cserrorcode": self.cs_code,
            "errortext": self.text,
        }


_FORESEEN: tuple[tuple[type[HoldfastError], int], ...] = (
    (InvalidRequest, PARAMETER),
    (NotFound, PARAMETER),
    (NoCapacity, INSUFFICIENT_CAPACITY),
    (Conflict, IN_USE),
    (DriverError, INTERNAL),
    (HoldfastError, INTERNAL),
)


def fault_of(problem: BaseException, command: str) -> Fault:
    """The answer to give for `problem`, logged with its traceback if nobody foresaw it."""
    if isinstance(problem, ApiFault):
        return Fault(problem.code, problem.text, problem.cs_code)
    if isinstance(problem, OutcomeUnknown):
        logger.warning("%s: %s", command, problem)
        return Fault(UNAVAILABLE, "the database broke off while it was writing: look whether it was done, then repeat")
    if isinstance(problem, (StoreUnavailable, CoordinatorUnavailable)):
        logger.warning("%s: %s", command, problem)
        what = "database" if isinstance(problem, StoreUnavailable) else "coordinator"
        return Fault(UNAVAILABLE, f"the {what} does not answer; nothing was done, try again later")
    for kind, code in _FORESEEN:
        if isinstance(problem, kind):
            return Fault(code, str(problem), _CS_CODES.get(code, _THROWN_BY_COMMAND))
    incident = secrets.token_hex(4)
    logger.error("incident %s in %s", incident, command, exc_info=problem)
    return Fault(INTERNAL, f"internal error; the server's log explains it under incident {incident}", 4250)
