"""OOBM driver `redfish`."""

import secrets
import threading
import weakref
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any, ClassVar
from uuid import UUID

from holdfast.errors import ConfigurationError, DriverError, HoldfastError, Refused, Unreachable
from holdfast.hooks.markers import hookimpl
from holdfast.model.readiness import Readiness
from holdfast.model.secret import Secret
from holdfast.model.states import PowerAction, PowerState
from holdfast.model.views import BmcView
from holdfast.options import Option

from holdfast_oobm_redfish import accounts, power, systems
from holdfast_oobm_redfish.bmc import Bmc
from holdfast_oobm_redfish.deadline import Deadline
from holdfast_oobm_redfish.examination import examine
from holdfast_oobm_redfish.sockets import TimedTlsSocket
from holdfast_oobm_redfish.sweep import Sweep
from holdfast_oobm_redfish.target import AUTHENTICATIONS, PER_BMC, SCHEMES, Target, read_target
from holdfast_oobm_redfish.trust import Contexts, Trust, read_fingerprints

CLOSING_THREADS = 16
EXIT_SECONDS = 3.0


def _uuid_complaint(text: str) -> str:
    try:
        UUID(text)
    except ValueError:
        return "give the UUID of the system, as Redfish shows it"
    return ""


def _fingerprint_complaint(text: str) -> str:
    try:
        read_fingerprints(text)
    except ValueError as error:
        return str(error)
    return ""


def _check_bmcs(tables: Mapping[str, Any]) -> str:
    for address, table in tables.items():
        if not isinstance(table, Mapping):
            return f'"{address}" must be a table'
        unknown = sorted(set(table) - PER_BMC)
        if unknown:
            return f'"{address}" has the unknown key {unknown[0]}; known are {", ".join(sorted(PER_BMC))}'
        try:
            read_fingerprints(str(table.get("certificate_fingerprint", "")))
        except ValueError as error:
            return f'"{address}".certificate_fingerprint cannot be used: {error}'
    return ""


class RedfishOobm:
    """Switches hosts through the Redfish service of their BMCs.

    One login is kept for each BMC and set of credentials, for the next question; a new one is made when it has gone.
    Thread-safe; calls for one BMC do not wait for each other.
    """

    SETTINGS: ClassVar[Mapping[str, Option]] = {
        "scheme": Option(str, "https", "http sends the password in the clear", choices=tuple(SCHEMES)),
        "authentication": Option(
            str, "auto", "auto opens a session, or uses basic where there is none", choices=AUTHENTICATIONS
        ),
        "ca_file": Option(str, "", "certificates (PEM) of the CAs of BMCs; empty means those of the system"),
        "insecurely_accept_any_certificate": Option(
            bool, False, "gives the passwords to whoever answers; pin certificates instead"
        ),
        "system": Option(str, "", "id of the system, where every BMC has several and calls them alike"),
        "retries": Option(int, 2, "how often a question, or OFF, is sent again within its deadline", low=0, high=10),
        "sessions": Option(int, 4096, "how many BMCs to stay logged in to", low=1, high=100_000),
        "threads": Option(int, 32, "how many BMCs to read at once in a sweep over many", low=1, high=512),
        "certificate_warning_days": Option(
            float, 30.0, "how long before a certificate or password runs out that is told", low=0, high=3650
        ),
        "bmcs": Option(dict, {}, "options of single BMCs by address", check=_check_bmcs),
    }

    BMC_OPTIONS: ClassVar[Mapping[str, Option]] = {
        "scheme": SETTINGS["scheme"],
        "authentication": SETTINGS["authentication"],
        "ca_file": SETTINGS["ca_file"],
        "insecurely_accept_any_certificate": SETTINGS["insecurely_accept_any_certificate"],
        "system": Option(str, "", "id of the host's system, where several are behind the BMC"),
        "uuid": Option(
            str, "", "UUID of the host's system: finds it, and refuses a BMC that has another", check=_uuid_complaint
        ),
        "certificate_fingerprint": Option(
            str,
            "",
            "SHA-256 of the BMC's own certificate, or several; no CA counts then",
            check=_fingerprint_complaint,
        ),
        "certificate_name": Option(str, "", "name in the BMC's certificate, where it is not the address"),
    }

    MACHINE_OPTIONS: ClassVar[Sequence[str]] = ("system", "uuid")

    def __init__(self, settings: Mapping[str, Any]) -> None:
        self._settings = {key: option.default for key, option in self.SETTINGS.items()} | dict(settings)
        self._salt = secrets.token_bytes(32)
        self._contexts = Contexts()
        self._lock = threading.Lock()
        self._bmcs: OrderedDict[bytes, Bmc] = OrderedDict()
        self._sweep = Sweep(self.power_state, self._settings["threads"])
        self._at_exit = weakref.finalize(self, _leave, self._bmcs)

    @hookimpl
    def power_state(self, bmc: BmcView, deadline: float) -> PowerState:
        """Ask the BMC now. Anything but a plain On or Off is `UNKNOWN`."""
        limit, target = Deadline(deadline), read_target(bmc, self._settings)
        return systems.read(self._bmc(target), target, limit).state

    @hookimpl
    def power_states(self, bmcs: Sequence[BmcView], deadline: float) -> dict[str, PowerState | HoldfastError]:
        """Read many at once in a bounded pool. BMCs that were dark last time are first seen to take a connection."""
        return self._sweep.ask(bmcs, deadline)

    @hookimpl
    def readiness(self, bmc: BmcView, deadline: float) -> Readiness:
        """By a connection and a login of its own, logged out again; see `examination`."""
        limit, target = Deadline(deadline), read_target(bmc, self._settings)
        fresh = self._fresh(target)
        try:
            return examine(fresh, target, self._contexts, self._settings["certificate_warning_days"], limit)
        finally:
            _part(fresh)

    @hookimpl
    def power_action(self, bmc: BmcView, action: PowerAction, deadline: float) -> str:
        """Ask for the reset that stands for `action`. CYCLE and RESET of a system that is off are `Refused`."""
        limit, target = Deadline(deadline), read_target(bmc, self._settings)
        return power.act(self._bmc(target), target, action, limit)

    @hookimpl
    def set_password(self, bmc: BmcView, new_password: str, deadline: float) -> None:
        """Change the password through the AccountService, then log in with the new one to see that it counts."""
        limit, target = Deadline(deadline), read_target(bmc, self._settings)
        if not new_password:
            raise Refused(f"{target.where}: an empty password is no password; nothing was changed")
        broken: DriverError | None = None
        later = False
        try:
            later = accounts.change_password(self._bmc(target), new_password, limit)
        except Unreachable as error:
            broken = error  # it may have been changed all the same
        if later:
            accounts.await_change(lambda: self._fresh(target), limit)
        renewed = replace(target, password=Secret(new_password))
        try:
            accounts.confirm_password(self._bmc(renewed), broken, limit)
        except accounts.NotTaken:
            # It may take a moment; then the old one still counts now, and will not soon.
            if later or not accounts.await_change(lambda: self._fresh(target), limit.within(accounts.SLOW_SECONDS)):
                raise
            accounts.confirm_password(self._bmc(renewed), broken, limit)
        self._forget(target)

    @hookimpl
    def self_test(self) -> None:
        """`ConfigurationError` if the CA file that every BMC is checked against cannot be used."""
        try:
            self._contexts.of(Trust(ca_file=self._settings["ca_file"]), "oobm.redfish", TimedTlsSocket)
        except Refused as error:
            raise ConfigurationError(f"{error}; correct oobm.redfish.ca_file") from error

    @hookimpl
    def close(self) -> None:
        """Log out everywhere. What is asked afterwards logs in again."""
        self._sweep.close()
        with self._lock:
            kept = list(self._bmcs.values())
            self._bmcs.clear()
        if kept:
            with ThreadPoolExecutor(CLOSING_THREADS, "redfish-farewell") as pool:
                list(pool.map(Bmc.close, kept))

    def _bmc(self, target: Target) -> Bmc:
        key = target.key(self._salt)
        with self._lock:
            found = self._bmcs.get(key)
            if found is None:
                found = self._bmcs[key] = self._fresh(target)
            self._bmcs.move_to_end(key)
            surplus = [self._bmcs.popitem(last=False)[1] for _ in range(len(self._bmcs) - self._settings["sessions"])]
        for old in surplus:
            _part(old)
        return found

    def _fresh(self, target: Target) -> Bmc:
        return Bmc(target, self._contexts, self._settings["retries"])

    def _forget(self, target: Target) -> None:
        with self._lock:
            old = self._bmcs.pop(target.key(self._salt), None)
        if old is not None:
            _part(old)


def _part(bmc: Bmc) -> None:
    """Log out without keeping the caller, whose deadline runs."""
    threading.Thread(target=bmc.close, name="redfish-farewell", daemon=True).start()


def _leave(bmcs: OrderedDict[bytes, Bmc]) -> None:
    """At the end of the process, log out of as many BMCs as a moment allows; the others drop idle sessions."""
    limit = Deadline(EXIT_SECONDS)
    while bmcs and limit.remaining() > 0:
        bmcs.popitem()[1].close(min(1.0, limit.remaining()))
