"""What goes wrong in a lab."""

from holdfast.errors import HoldfastError


class LabError(HoldfastError):
    """The lab cannot do what was asked; the text says what, where, and what to do next."""


class DoubleRun(LabError):
    """Two runs of one VM were seen alive at one time."""
