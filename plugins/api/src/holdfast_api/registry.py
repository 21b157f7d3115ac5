"""The commands there are, as data. CONTRACT for authors of commands:

1. A command is a function with a declaration, in a module of `holdfast_api.commands` that `commands.MODULES` names,
   under a name of its own or in a tuple of them:

       @command("listZones", "Lists zones.", kind="list", responds="zone",
                parameters=(Parameter("id", "uuid", "the zone", of="zone"),))
       def list_zones(call: Call) -> Listing:
           return select_page(call, Zone, equal={"removed": None}, search=("name",))

   `kind` says what the function returns: "list" → `Listing`; "sync" → one item of the response object, or `Success` if
   it responds "success"; "async" → `JobRequest`; "create-async" → `JobRequest` with `created`.
2. Response objects are `ResponseObject` tables in a module of `holdfast_api.responses` that `responses.MODULES` names.
   `responds` and a parameter's `of` give such an object by name; `of` needs one with a `record`. Parts of the cloud
   (zone, pod, cluster, host, storagepool …) can always be referred to.
3. Handlers run in a thread and may block on the store; they touch nothing but `call`. They never act on hosts or VMs:
   that is the job of a management server, which finds the stored `AsyncJob` (`call.JobRequest` says how).
4. Parameters arrive checked and typed (`call.Call`). What only the handler can check it refuses with
   `holdfast.errors.InvalidRequest` (431) naming the parameter, what was found and what is allowed; `NoCapacity` is 533,
   `Conflict` 536, `ApiFault(code, text)` any other. Check everything before the first write.
5. A change and the event that tells of it (`call.event`) are one `store.commit`; then `call.context.bell.ring(topic)`.
6. A finished job's result is rendered by `queryAsyncJobResult` through the same response objects: {"success": true} or
   {"object": "host", "id": 7}; other shapes through `ResponseObject.from_job`.
7. Lists take `page`, `pagesize` and `keyword` by themselves: `paging.select_page`, or `Listing.of(items, call.page)`.
8. A parameter declared `secret` arrives as `Secret` and is never stored in a job.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib import import_module
from types import ModuleType
from typing import Any, Literal

from holdfast.model import Cluster, Host, Network, Pod, Row, ServiceOffering, StoragePool, Template, Vm, Zone

from holdfast_api.call import Call
from holdfast_api.fields import SUCCESS, Field, ResponseObject

Kind = Literal["list", "sync", "async", "create-async"]
ParameterType = Literal[
    "string", "uuid", "boolean", "integer", "long", "short", "float", "date", "list", "map", "object", "tzdate"
]
Handler = Callable[[Call], Any]


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter. `of` names the response object whose row a uuid, or each uuid of a list, refers to.

    `length` bounds the text (0: only the body limit does). An empty value counts as not sent unless `allow_empty`.
    `choices` are the words allowed, letter for letter. `words` are some that are known, of which a filter may name
    others: they arrive as they are written here, in whatever letter case they were sent, since CloudStack's database
    tells none apart. `low` and `high` bound numbers, inclusive.
    """

    name: str
    type: ParameterType
    description: str
    required: bool = False
    of: str = ""
    length: int = 255
    since: str = ""
    choices: tuple[str, ...] = ()
    words: tuple[str, ...] = ()
    low: float | None = None
    high: float | None = None
    allow_empty: bool = False
    secret: bool = False


@dataclass(frozen=True, slots=True)
class Command:
    """One command and its handler. `access` "user" opens it to plain users, "anyone" to callers who are nobody yet."""

    name: str
    description: str
    kind: Kind
    parameters: tuple[Parameter, ...]
    responds: str
    handler: Handler
    since: str = ""
    access: Literal["admin", "user", "anyone"] = "admin"
    paged: bool = True
    changes: bool = True

    @property
    def is_async(self) -> bool:
        """Whether the answer is a job."""
        return self.kind in ("async", "create-async")

    @property
    def envelope(self) -> str:
        """The answer's one top-level key."""
        return f"{self.name.lower()}response"


PAGING = (
    Parameter("keyword", "string", "part of a name to look for, letter case aside"),
    Parameter("page", "integer", "number of the page, from 1; goes with pagesize; -1 is all", low=-1),
    Parameter("pagesize", "integer", "length of a page, at most the setting default.page.size; -1 is all", low=-1),
)
"""Parameters of every list command."""


def command(
    name: str,
    description: str,
    *,
    kind: Kind,
    responds: str,
    parameters: tuple[Parameter, ...] = (),
    since: str = "",
    access: Literal["admin", "user", "anyone"] = "admin",
    paged: bool = True,
    changes: bool | None = None,
) -> Callable[[Handler], Command]:
    """Declare the decorated function as the handler of `name`. `changes` is taken from `kind` unless given."""

    def declare(handler: Handler) -> Command:
        extra = PAGING if kind == "list" and paged else ()
        return Command(
            name=name,
            description=description,
            kind=kind,
            parameters=parameters + extra,
            responds=responds,
            handler=handler,
            since=since,
            access=access,
            paged=kind == "list" and paged,
            changes=kind != "list" if changes is None else changes,
        )

    return declare


_REFERABLE: dict[str, type[Row]] = {
    "zone": Zone,
    "pod": Pod,
    "cluster": Cluster,
    "host": Host,
    "storagepool": StoragePool,
    "serviceoffering": ServiceOffering,
    "template": Template,
    "network": Network,
    "virtualmachine": Vm,
}
"""What any command may refer to, whether or not the module that shows it is installed."""


class Registry:
    """All commands and response objects by name. Refuses, when made, declarations that do not fit each other."""

    def __init__(self, commands: Iterable[Command], objects: Iterable[ResponseObject]) -> None:
        """`ValueError` names the first declaration that is doubled or dangling: a fault of the program."""
        self.objects: dict[str, ResponseObject] = _by_name((SUCCESS, *objects))
        self.commands: dict[str, Command] = _by_name(commands)
        for one in self.commands.values():
            self._check(one)

    def _check(self, one: Command) -> None:
        if one.responds not in self.objects:
            raise ValueError(f"{one.name} responds with {one.responds!r}, which no module of responses declares")
        _by_name(one.parameters)
        for parameter in one.parameters:
            if parameter.of and self.record_of(parameter.of) is None:
                raise ValueError(f"{one.name}: {parameter.name} refers to {parameter.of!r}, which has no record")

    def record_of(self, name: str) -> type[Row] | None:
        """The record that `of` refers to by this name."""
        found = self.objects.get(name)
        return found.record if found and found.record else _REFERABLE.get(name)

    def responding(self, name: str, *, besides: str = "") -> list[str]:
        """Names of the commands that answer with this object."""
        return sorted(one.name for one in self.commands.values() if one.responds == name and one.name != besides)

    def fields(self, one: Command) -> tuple[Field, ...]:
        """The fields of a command's answer, those of its job included."""
        own = self.objects[one.responds].fields
        if not one.is_async:
            return own
        job = (
            Field("jobid", "string", "the UUID of the job that carries it out"),
            Field("jobstatus", "integer", "0 pending, 1 succeeded, 2 failed"),
        )
        taken = {field.name for field in own}
        return own + tuple(field for field in job if field.name not in taken)

    @classmethod
    def collect(cls) -> "Registry":
        """The registry of everything that this distribution declares."""
        from holdfast_api import commands, responses

        declared = _members(commands.MODULES, Command)
        return cls(declared, _members(responses.MODULES, ResponseObject))


def _members(modules: Iterable[str], kind: type[Any]) -> list[Any]:
    found: list[Any] = []
    for name in modules:
        module: ModuleType = import_module(name)
        for value in vars(module).values():
            several = value if isinstance(value, tuple) else (value,)
            found += [one for one in several if isinstance(one, kind) and one is not SUCCESS]
    return found


def _by_name(items: Iterable[Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for item in items:
        if found.setdefault(item.name, item) is not item:
            raise ValueError(f"{item.name!r} is declared twice")
    return found
