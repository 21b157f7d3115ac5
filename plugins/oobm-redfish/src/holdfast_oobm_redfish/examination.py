"""Whether a BMC would let an OFF through: what can be seen of that without switching anything.

What a BMC does not tell is no finding: many hide accounts and roles from users who may switch power all the same.
"""

import datetime
import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from holdfast.errors import Refused
from holdfast.model.readiness import Readiness
from holdfast.model.states import PowerAction, PowerState

from holdfast_oobm_redfish import systems
from holdfast_oobm_redfish.accounts import account_of
from holdfast_oobm_redfish.answers import path_in
from holdfast_oobm_redfish.bmc import Bmc
from holdfast_oobm_redfish.deadline import Deadline
from holdfast_oobm_redfish.resets import ORDER, choose
from holdfast_oobm_redfish.sockets import TimedTlsSocket, open_connection
from holdfast_oobm_redfish.target import Target
from holdfast_oobm_redfish.trust import Contexts

POWER_PRIVILEGE: Final = "ConfigureComponents"
"""What the standard's privilege registry wants of a user who resets a system."""

POWERLESS_ROLES: Final = frozenset({"ReadOnly", "NoAccess", "None"})
_DAY: Final = 86_400.0

Certificate = Mapping[str, Any]


def examine(bmc: Bmc, target: Target, contexts: Contexts, warning_days: float, deadline: Deadline) -> Readiness:
    """A login with `bmc`, which is not logged in yet. Raises as a reading of the power does."""
    problems: list[str] = []
    warnings = list(_certificates(target, contexts, warning_days, deadline))
    system = systems.read(bmc, target, deadline)
    if system.state not in (PowerState.ON, PowerState.OFF):
        problems.append(f"{target.where}: system {system.name} tells no plain power state; a fence could not be proven")
    # Some list only what is possible in their present state, so a system that is off says nothing of OFF.
    elif system.state is PowerState.ON and not choose(PowerAction.OFF, system.allowed, system.state):
        offered = ", ".join(sorted(system.allowed or ())) or "nothing"
        problems.append(
            f"{target.where}: system {system.name} has no reset for OFF: it takes {offered}, and Holdfast would use "
            f"{' or '.join(ORDER[PowerAction.OFF])}"
        )
    try:
        account = account_of(bmc, target.username, deadline)[1]
    except Refused:
        return Readiness(tuple(problems), tuple(warnings))  # it has none, or does not show them to this user
    problems += _account_problems(bmc, target, account, deadline)
    warnings += _password_expiry(target, account, warning_days)
    return Readiness(tuple(problems), tuple(warnings))


def _account_problems(bmc: Bmc, target: Target, account: Mapping[str, Any], deadline: Deadline) -> Iterator[str]:
    user = repr(target.username)
    if account.get("PasswordChangeRequired") is True:
        yield f"{target.where}: the user {user} must change the password before anything else is allowed: change it"
    if account.get("Enabled") is False:
        yield f"{target.where}: the account of {user} is disabled; enable it on the BMC"
    if account.get("Locked") is True:
        yield f"{target.where}: the account of {user} is locked; unlock it on the BMC"
    role = str(account.get("RoleId") or "")
    privileges = _privileges(bmc, target, account, deadline)
    if role in POWERLESS_ROLES if privileges is None else POWER_PRIVILEGE not in privileges:
        yield (
            f"{target.where}: the user {user} may not switch power: its role {role or '(unnamed)'} lacks the privilege "
            f"{POWER_PRIVILEGE}; give it the role Operator or Administrator"
        )


def _privileges(bmc: Bmc, target: Target, account: Mapping[str, Any], deadline: Deadline) -> frozenset[str] | None:
    """What the account's role may do; None where the BMC does not say."""
    links = account.get("Links")
    link = links.get("Role") if isinstance(links, Mapping) else None
    if not link:
        return None
    try:
        assigned = bmc.get(path_in(link, target.where), deadline).get("AssignedPrivileges")
    except Refused:
        return None
    return frozenset(str(one) for one in assigned) if isinstance(assigned, list) else None


def _password_expiry(target: Target, account: Mapping[str, Any], warning_days: float) -> Iterator[str]:
    text = account.get("PasswordExpiration")
    if not isinstance(text, str) or not text:
        return
    try:
        moment = datetime.datetime.fromisoformat(text)
    except ValueError:
        return
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=datetime.UTC)
    days = (moment.timestamp() - time.time()) / _DAY
    if days <= warning_days:
        yield f"{target.where}: the password of {target.username!r} {_runs_out(days, moment)}; change it"


def _certificates(target: Target, contexts: Contexts, warning_days: float, deadline: Deadline) -> Iterator[str]:
    """Certificates that are good now and soon will not be. A pinned one stays good whatever its dates are."""
    if target.scheme != "https" or not target.trust.checks_authority:
        return
    connection = open_connection(target, contexts, deadline)
    try:
        assert isinstance(connection, TimedTlsSocket)
        shown: Certificate = connection.getpeercert() or {}
        authorities = [one for one in connection.context.get_ca_certs() if one.get("subject") == shown.get("issuer")]
    finally:
        connection.close()
    yield from _expiry(shown, warning_days, lambda said: f"{target.where}: its certificate {said}; renew it on the BMC")
    # Several authorities of one name: the one that lasts longest is as good as any.
    authorities.sort(key=_ends)
    yield from _expiry(
        authorities[-1] if authorities else {},
        warning_days,
        lambda said: f"{target.where}: the CA certificate that vouches for it {said}; renew it, and `ca_file`",
    )


def _ends(certificate: Certificate) -> float:
    return float(ssl.cert_time_to_seconds(str(certificate["notAfter"])))


def _expiry(certificate: Certificate, warning_days: float, tell: Callable[[str], str]) -> Iterator[str]:
    if "notAfter" in certificate:
        ends = _ends(certificate)
        days = (ends - time.time()) / _DAY
        if days <= warning_days:
            yield tell(_runs_out(days, datetime.datetime.fromtimestamp(ends, datetime.UTC)))


def _runs_out(days: float, moment: datetime.datetime) -> str:
    """Stays the same for a day: whoever stores it should not see a change at each look."""
    date = moment.astimezone(datetime.UTC).date().isoformat()
    if days <= 0:
        return f"ran out on {date}"
    return f"runs out on {date}, in less than {int(days) + 1} day{'s' if days >= 1 else ''}"
