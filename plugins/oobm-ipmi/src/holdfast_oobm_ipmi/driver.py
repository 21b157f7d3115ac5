"""The OOBM drivers `ipmi` and `ipmitool`: power control over IPMI 2.0."""

import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar
from uuid import UUID

from holdfast.errors import AuthenticationFailed, DriverError, HoldfastError, Refused, Unreachable, Unsupported
from holdfast.hooks.markers import hookimpl
from holdfast.model.readiness import Readiness
from holdfast.model.secret import Secret
from holdfast.model.states import PowerAction, PowerState
from holdfast.model.views import BmcView
from holdfast.options import Option

from holdfast_oobm_ipmi import accounts, chassis, examination
from holdfast_oobm_ipmi.connection import Connection
from holdfast_oobm_ipmi.pool import Limits
from holdfast_oobm_ipmi.rmcp_session import check_pyghmi
from holdfast_oobm_ipmi.target import (
    CIPHER_SUITES,
    HIGHEST_PORT,
    PRIVILEGES,
    Target,
    check_password,
    read_kg,
    read_target,
)
from holdfast_oobm_ipmi.worker import Worker


def _setting(password: bytes) -> Callable[[Connection], Awaitable[None]]:
    async def set_it(connection: Connection) -> None:
        await accounts.set_password(connection, password)

    return set_it


def _uuid_complaint(text: str) -> str:
    try:
        UUID(text)
    except ValueError:
        return "give the system UUID of the host, as its firmware shows it"
    return ""


def _kg_complaint(kg: Secret) -> str:
    try:
        read_kg(kg.reveal(), "kg")
    except Refused as error:
        return str(error)
    return ""


class IpmiOobm:
    """OOBM driver `ipmi`, and `ipmitool` for configurations that call it so: RMCP+ through pyghmi, no program is run.

    A BMC's own options override `cipher_suite`, `privilege` and `kg`; `uuid` names the system that must answer.
    Calls from any number of threads share one thread that talks with all BMCs. Thread-safe.
    """

    SETTINGS: ClassVar[Mapping[str, Option]] = {
        "port": Option(int, 623, "UDP port of BMCs that are configured without one", low=1, high=HIGHEST_PORT),
        "cipher_suite": Option(
            str, "auto", "17 (SHA-256), 3 (SHA-1), or auto: 17 and then 3", choices=tuple(CIPHER_SUITES)
        ),
        "privilege": Option(
            str, "administrator", "privilege level to ask for; switching needs operator", choices=tuple(PRIVILEGES)
        ),
        "kg": Option(
            Secret, Secret(""), "key Kg of BMCs that have one: text, or 0x and hexadecimal digits", check=_kg_complaint
        ),
        "retry_seconds": Option(float, 0.5, "silence before a packet is first repeated", low=0.05, high=10),
        "keep_alive_seconds": Option(
            float, 25.0, "how often an idle session is touched; BMCs drop them after 60", low=1, high=55
        ),
        "idle_seconds": Option(float, 900.0, "a session that nobody used for so long is closed", low=10),
        "renew_seconds": Option(
            float, 3600.0, "a session this old is replaced, so that a changed password shows", low=60
        ),
        "max_sessions": Option(int, 4096, "how many sessions are kept at most", low=1),
        "batch_patience_seconds": Option(
            float, 3.0, "how long one silent BMC may hold up a reading of many", low=0.1, high=60
        ),
    }

    BMC_OPTIONS: ClassVar[Mapping[str, Option]] = {
        "cipher_suite": SETTINGS["cipher_suite"],
        "privilege": SETTINGS["privilege"],
        "kg": SETTINGS["kg"],
        "uuid": Option(
            str, "", "system UUID of the host: a BMC that answers for another is refused", check=_uuid_complaint
        ),
    }

    MACHINE_OPTIONS: ClassVar[Sequence[str]] = ()

    def __init__(self, settings: Mapping[str, Any]) -> None:
        """Nothing is started or sent before the first call."""
        self._settings = {name: option.default for name, option in self.SETTINGS.items()} | dict(settings)
        self._worker = Worker(
            Limits(
                first_patience=self._settings["retry_seconds"],
                keep_alive=self._settings["keep_alive_seconds"],
                idle=self._settings["idle_seconds"],
                renew=self._settings["renew_seconds"],
                most=self._settings["max_sessions"],
            )
        )

    @hookimpl
    def power_state(self, bmc: BmcView, deadline: float) -> PowerState:
        """Get Chassis Status, asked now. A power control fault or an answer too short to be one is `UNKNOWN`."""
        return self._worker.perform(self._target(bmc), chassis.power_state, deadline)

    @hookimpl
    def power_states(self, bmcs: Sequence[BmcView], deadline: float) -> dict[str, PowerState | HoldfastError]:
        """All BMCs at once; a silent one is given up after `batch_patience_seconds`, if the deadline is not earlier."""
        found: dict[str, PowerState | HoldfastError] = {}
        targets, keys = [], []
        for bmc in bmcs:
            try:
                targets.append(self._target(bmc))
                keys.append(bmc.key)
            except DriverError as error:
                found[bmc.key] = error
        patience = self._settings["batch_patience_seconds"]
        if not targets:
            return found
        states: Sequence[PowerState | HoldfastError]
        try:
            states = self._worker.perform_all(targets, chassis.power_state, deadline, patience)
        except DriverError as error:  # a machine that is too busy to ask in time: nothing is known of any of them
            states = [error] * len(targets)
        return found | dict(zip(keys, states, strict=True))

    @hookimpl
    def readiness(self, bmc: BmcView, deadline: float) -> Readiness:
        """By a fresh login at the privilege level of the settings, and what session and chassis say of themselves."""
        target = self._target(bmc)
        return self._worker.perform(target, examination.examine, deadline)

    @hookimpl
    def power_action(self, bmc: BmcView, action: PowerAction, deadline: float) -> str:
        """Chassis Control. ON and OFF are repeated until answered; CYCLE, RESET and SOFT go out once."""
        if action is PowerAction.STATUS:
            raise Unsupported(f"BMC {bmc.address} of host {bmc.host_uuid}: STATUS switches nothing; use power_state")

        async def switch(connection: Connection) -> str:
            return await chassis.power_action(connection, action)

        return self._worker.perform(self._target(bmc), switch, deadline)

    @hookimpl
    def set_password(self, bmc: BmcView, new_password: str, deadline: float) -> None:
        """Set User Password for `bmc.username`, proved by a login; the old one is put back if that is refused.

        At most 20 bytes; many BMCs keep only 16, and those say so by refusing the login. Sessions with the old password
        are closed. After `Unreachable` either password may be the good one.
        """
        target = self._target(bmc)
        password = check_password(new_password, target.where)
        changed = replace(target, password=Secret(new_password))
        until = time.monotonic() + deadline
        lost: Unreachable | None = None
        try:
            try:
                self._worker.perform(target, _setting(password), deadline)
            except Unreachable as error:
                lost = error  # it may have been changed all the same
            try:
                self._worker.perform(changed, Connection.log_in, until - time.monotonic())
            except DriverError as error:
                if lost is not None:
                    raise lost from None
                if not isinstance(error, AuthenticationFailed):
                    raise
                old = check_password(target.password.reveal(), target.where)
                self._worker.perform(target, _setting(old), until - time.monotonic())
                raise Refused(
                    f"{target.where}: it took the new password, but lets nobody in with it; the old one was put back; "
                    f"choose one of at most {accounts.SHORT_BYTES} bytes"
                ) from error
        finally:
            self._worker.forget(target)

    @hookimpl
    def self_test(self) -> None:
        """`ConfigurationError` if the installed pyghmi is not one that this driver can use."""
        check_pyghmi()

    @hookimpl
    def close(self) -> None:
        """Close all sessions on the BMCs and end the thread. Happens by itself when the driver or the process goes."""
        self._worker.close()

    def _target(self, bmc: BmcView) -> Target:
        return read_target(bmc, self._settings)
