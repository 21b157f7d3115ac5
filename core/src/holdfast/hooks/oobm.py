"""OOBM driver: a host's power switch."""

import time
from collections.abc import Mapping, Sequence
from typing import ClassVar

from holdfast.errors import DeadlineExceeded, HoldfastError
from holdfast.hooks.markers import hookspec, optional
from holdfast.model.readiness import Readiness
from holdfast.model.states import PowerAction, PowerState
from holdfast.model.views import BmcView
from holdfast.options import Option

CLOSE_SECONDS = 5.0
"""What all drivers together may take at the end of a process."""


class OobmDriver:
    """Reads and switches the power of hosts through their BMCs. Group `holdfast.oobm`; chosen per host.

    All methods block; the manager calls them in a bounded pool and gives up after `deadline` seconds, so return or
    raise by then. One driver object serves many BMCs from several threads at once.

    Errors: `Unreachable` (no answer), `AuthenticationFailed`, `Refused` (the BMC said no), `Unsupported`. Anything else
    counts as a broken driver. No text or repr may carry the password.
    """

    BMC_OPTIONS: ClassVar[Mapping[str, Option]] = {}
    """What an admin may say of a single BMC, beside address, port, user and password (`details` of
    configureOutOfBandManagement). Given as text in `BmcView.options`, or `BmcView.secrets` where the type is Secret,
    checked, and only what was given: defaults are the driver's settings. Only texts, numbers, bool and Secret.
    """

    MACHINE_OPTIONS: ClassVar[Sequence[str] | None] = None
    """Names of the `BMC_OPTIONS` which, with address and port, say whose power is switched; None if these do not say it
    (a driver may go by the host's UUID). Hosts that name the same machine are told so, and neither uses the device."""

    @hookspec
    def power_state(self, bmc: BmcView, deadline: float) -> PowerState:
        """Ask the BMC now, never a cache. Only a plain "off" is `OFF`; a transitional or odd answer is `UNKNOWN`."""
        raise NotImplementedError

    @hookspec
    def power_action(self, bmc: BmcView, action: PowerAction, deadline: float) -> str:
        """Ask for `action` (not STATUS) and return the BMC's words. Idempotent: "already off" on OFF is success.

        Returning says that the BMC accepted the command, and proves nothing (S3): the caller reads the state back.
        """
        raise NotImplementedError

    @optional
    def power_states(self, bmcs: Sequence[BmcView], deadline: float) -> Mapping[str, PowerState | HoldfastError]:
        """Optional. `power_state` of many BMCs in one call, for drivers that can ask them all at once.

        By `BmcView.key`, of which no two may be equal: what `power_state` would return, or the error it would raise.
        Each BMC is asked now. One that does not answer takes nothing from the others, and may be given up before
        `deadline`, which is that of the whole call. Raises nothing itself. Without it, each BMC is asked in turn.
        """
        until = time.monotonic() + deadline
        found: dict[str, PowerState | HoldfastError] = {}
        for bmc in bmcs:
            rest = until - time.monotonic()
            try:
                if rest <= 0:
                    raise DeadlineExceeded(f"BMC of host {bmc.host_uuid}: not asked: others took all {deadline:g} s")
                found[bmc.key] = self.power_state(bmc, rest)
            except HoldfastError as error:
                found[bmc.key] = error
        return found

    @optional
    def readiness(self, bmc: BmcView, deadline: float) -> Readiness:
        """Optional. Whether an OFF would be let through now: looked at from time to time, so that nobody finds out at
        3 a.m. Harmless: it switches nothing and changes nothing on the BMC.

        A fresh login rather than a kept one, if that is affordable; then what the BMC tells: the user's privilege to
        switch power, passwords and certificates that run out, faults. What the BMC does not tell is no problem. Raises
        as `power_state` does where it cannot look at all. Without it, a plain power state is ready.
        """
        state = self.power_state(bmc, deadline)
        if state in (PowerState.ON, PowerState.OFF):
            return Readiness()
        return Readiness(problems=(f"BMC {bmc.address} tells no plain power state: a fence could not be proven",))

    @optional
    def set_password(self, bmc: BmcView, new_password: str, deadline: float) -> None:
        """Optional. Change the password of `bmc.username` on the BMC itself; raise `Unsupported` if it cannot."""
        raise NotImplementedError

    @optional
    def self_test(self) -> None:
        """Optional. Raise `ConfigurationError` if the driver cannot work on this machine. Called once at start."""

    @optional
    def close(self) -> None:
        """Optional. Log out everywhere and let everything go, at the end of the process; idempotent.

        Within `CLOSE_SECONDS`, BMCs that do not answer among them. Raises nothing. Nothing is asked afterwards.
        """
