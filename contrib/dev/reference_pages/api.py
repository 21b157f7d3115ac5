"""api.md: the HTTP API's commands, from the registry that answers `listApis`."""

from collections.abc import Iterator

from holdfast_api.registry import Command, Parameter, Registry

from reference_pages.markdown import code, page, table

KINDS = {
    "list": "answers with a list",
    "sync": "answers at once",
    "async": "answers with a job",
    "create-async": "answers with the new object's id and a job",
}
ACCESS = {"admin": "administrators", "user": "every user", "anyone": "everybody, before logging in too"}


def write() -> str:
    """The page."""
    registry = Registry.collect()
    commands = sorted(registry.commands.values(), key=lambda one: one.name)
    intro = (
        "The API is CloudStack's: `GET` or `POST /client/api?command=…&response=json`, signed with the caller's keys "
        "or sent within a session. `listApis` says the same as this page, from a running server."
    )
    overview = table(
        ("command", "meaning"), ((f"[{one.name}](#{one.name.lower()})", one.description) for one in commands)
    )
    return page("API commands", intro, overview, *(block for one in commands for block in _command(registry, one)))


def _command(registry: Registry, one: Command) -> Iterator[str]:
    yield f"## {one.name}"
    since = f" New in {one.since}." if one.since else ""
    yield f"{one.description} It {KINDS[one.kind]}, and is open to {ACCESS[one.access]}.{since}"
    if one.parameters:
        yield table(
            ("parameter", "type", "required", "meaning"),
            ((code(p.name), p.type, "yes" if p.required else "", _meaning(p)) for p in one.parameters),
        )
    fields = ", ".join(code(field.name) for field in registry.fields(one))
    yield f"Answers `{one.responds}`: {fields}."


def _meaning(parameter: Parameter) -> str:
    choices = f" ({', '.join(parameter.choices)})" if parameter.choices else ""
    return f"{parameter.description}{choices}"
