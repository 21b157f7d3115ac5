"""Every exception that Holdfast raises across a boundary.

A text says what is wrong, where, and what to do next. No text ever carries a secret.
"""


class HoldfastError(Exception):
    """Root of all of them: catching it catches what Holdfast foresaw, and nothing else."""


class ConfigurationError(HoldfastError):
    """A configuration cannot be used. Nothing was started or changed."""


class PluginError(ConfigurationError):
    """A selected plugin is missing, broken, ambiguous, or does not keep its contract."""


class DriverError(HoldfastError):
    """A driver tried and failed. The effect may or may not have happened unless a subclass says so."""


class Unreachable(DriverError):
    """No answer: the other side may be dead, slow or cut off. Evidence built on it is `unknown` (S2)."""


class Refused(DriverError):
    """The other side answered and said no. The effect did not happen."""


class StorageAway(Refused):
    """The storage that it needs does not answer this host now. Nothing happened; waiting for it is no failure."""


class AuthenticationFailed(Refused):
    """The other side answered that these credentials are not good."""


class Unsupported(Refused):
    """This driver or device has no such operation."""


class DeadlineExceeded(Unreachable):
    """No answer within the caller's deadline."""


class StoreError(HoldfastError):
    """The store did not do what was asked; nothing of the batch was written."""


class StoreUnavailable(StoreError):
    """The database cannot be reached. The caller stops acting until it can (S6)."""


class OutcomeUnknown(StoreError):
    """The connection broke around a commit: it may or may not have been written. Read back, never replay blindly."""


class Conflict(StoreError):
    """An expectation of the batch did not hold: somebody else was first. Read again, decide again."""


class StaleOwner(Conflict):
    """The batch carried an owner epoch that is no longer the newest: another server owns the host now (S5)."""


class NotFound(StoreError):
    """No such row."""


class CoordinatorUnavailable(HoldfastError):
    """The coordinator cannot be reached. The caller stops acting when its lease ends (S6)."""


class LeaseLost(HoldfastError):
    """The session's lease ended before it was renewed; a new session is needed."""


class NoCapacity(HoldfastError):
    """No host can take the VM; the text lists why each candidate was refused."""


class InvalidRequest(HoldfastError):
    """A caller asked for something malformed or impossible. Nothing was changed."""
