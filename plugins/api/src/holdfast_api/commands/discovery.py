"""What this server can do: listApis, from which clients generate their code, and listCapabilities."""

from importlib.metadata import version

from holdfast.errors import InvalidRequest

from holdfast_api.call import Call, Caller, Listing
from holdfast_api.envelope import VERSION
from holdfast_api.fields import Answer, Field
from holdfast_api.registry import Command, Parameter, Registry, command


@command(
    "listApis",
    "Lists the commands that the caller may use.",
    kind="list",
    responds="api",
    access="user",
    paged=False,
    since="4.1.0",
    parameters=(Parameter("name", "string", "name of one command"),),
)
def list_apis(call: Call) -> Listing:
    """All of them, by name; not paged, because clients generate code from the whole."""
    usable = [one for one in call.registry.commands.values() if _may_use(call.caller, one)]
    if call.has("name"):
        usable = [one for one in usable if one.name == call.text("name")]
        if not usable:
            raise InvalidRequest(f"parameter name: there is no command {call.text('name')[:60]!r} that you may use")
    return Listing.of([described(call.registry, one) for one in sorted(usable, key=lambda one: one.name)])


@command(
    "listCapabilities",
    "Lists what this cloud offers.",
    kind="sync",
    responds="capability",
    access="user",
    changes=False,
)
def list_capabilities(call: Call) -> Answer:
    """Clients read the version from here."""
    return {
        "cloudstackversion": VERSION,
        "holdfastversion": version("holdfast-api"),
        "securitygroupsenabled": False,
        "dynamicrolesenabled": False,
        "supportELB": "false",
        "userpublictemplateenabled": False,
        "projectinviterequired": False,
        "allowusercreateprojects": False,
        "customdiskofferingminsize": 1,
        "customdiskofferingmaxsize": 1024,
        "regionsecondaryenabled": False,
        "kvmsnapshotenabled": False,
        "allowuserviewdestroyedvm": False,
        "allowuserexpungerecovervm": False,
        "defaultuipagesize": min(20, call.settings.whole("default.page.size")),
    }


def _may_use(caller: Caller, one: Command) -> bool:
    return one.access != "anyone" and (caller.is_admin or one.access == "user")


def described(registry: Registry, one: Command) -> Answer:
    """One command as listApis shows it."""
    return {
        "name": one.name,
        "description": one.description,
        "since": one.since or None,
        "isasync": one.is_async,
        "related": ",".join(registry.responding(one.responds, besides=one.name)),
        "params": [_parameter(registry, parameter) for parameter in one.parameters],
        "response": [_field(field) for field in registry.fields(one)],
    }


def _parameter(registry: Registry, parameter: Parameter) -> Answer:
    return {
        "name": parameter.name,
        "description": parameter.description,
        "type": parameter.type,
        "length": parameter.length or 2_097_152,
        "required": parameter.required,
        "related": ",".join(registry.responding(parameter.of)) if parameter.of else None,
        "since": parameter.since or None,
    }


def _field(field: Field) -> Answer:
    return {
        "name": field.name,
        "description": field.description,
        "type": field.type,
        "since": field.since or None,
        "response": [_field(inner) for inner in field.fields] or None,
    }
