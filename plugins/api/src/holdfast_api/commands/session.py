"""login and logout."""

from dataclasses import replace

from holdfast.hooks.store import Insert
from holdfast.model import Secret

from holdfast_api.authentication import Authenticator
from holdfast_api.call import Call, Cookies
from holdfast_api.domains import ROOT_UUID, is_root
from holdfast_api.faults import UNAUTHORIZED, ApiFault
from holdfast_api.registry import Parameter, command
from holdfast_api.sessions import Sessions

_DENIED = "failed to authenticate: the user name, the password or the domain is wrong, or the user is not enabled"


@command(
    "login",
    "Logs a user in. The session key of the answer goes with each later call, beside the cookies.",
    kind="sync",
    responds="login",
    access="anyone",
    parameters=(
        Parameter("username", "string", "name of the user", required=True),
        Parameter("password", "string", "password of the user", required=True, length=1024, secret=True),
        Parameter("domain", "string", "path of the domain, / by default"),
        Parameter("domainId", "string", "UUID of the domain, instead of its path"),
    ),
)
def login(call: Call) -> Cookies:
    """Open a session. 401 says nothing about which part was wrong."""
    sessions = Sessions(call.store)
    password = call.secret("password") or Secret("")
    caller = Authenticator(call.store, call.stored, sessions).login(call.text("username"), password)
    if caller is None or not is_root(call.text("domain")) or call.text("domainId", ROOT_UUID) != ROOT_UUID:
        raise ApiFault(UNAUTHORIZED, _DENIED)
    idle = call.settings.number("api.session.timeout")
    told = replace(call, caller=caller).event(
        "USER.LOGIN",
        f"the user {caller.user.username} logged in from {call.address}",
        resource=("User", caller.user.uuid),
    )
    ticket = sessions.open(caller.user.id, idle, Insert(told))
    answer = {
        "username": caller.user.username,
        "userid": caller.user.uuid,
        "domainid": ROOT_UUID,
        "timeout": int(idle),
        "account": caller.account.account_name,
        "firstname": caller.user.firstname,
        "lastname": caller.user.lastname,
        "type": str(caller.account.type),
        "timezone": caller.user.timezone or None,
        "timezoneoffset": "0.0",
        "registered": "false",
        "sessionkey": ticket.key,
        "is2faenabled": "false",
        "is2faverified": "true",
        "providerfor2fa": "",
    }
    return Cookies(answer, {"JSESSIONID": ticket.session, "sessionkey": ticket.key})


@command("logout", "Ends the session of the caller.", kind="sync", responds="logout", access="user")
def logout(call: Call) -> Cookies:
    """End the session on every management server."""
    Sessions(call.store).close(call.cookies.get("JSESSIONID", ""))
    return Cookies({"description": "success"}, {"JSESSIONID": None, "sessionkey": None})
