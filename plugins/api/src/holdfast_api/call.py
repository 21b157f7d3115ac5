"""One call of one command: who asks, for what, and what its handler may use and return."""

import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from holdfast.hooks.service import ServiceContext
from holdfast.hooks.store import Change, Store
from holdfast.model import Account, Event, Json, Moment, Row, Secret, User
from holdfast.settings import Settings

if TYPE_CHECKING:
    from holdfast_api.registry import Command, Registry
    from holdfast_api.stored_settings import StoredSettings

R = TypeVar("R", bound=Row)

ROOT_ADMIN = 1
"""`account.type` of those who may use every command."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks. `is_admin` is all the authority there is: root administrators, and users who see their own."""

    user: User
    account: Account

    @property
    def is_admin(self) -> bool:
        """Whether every command is open to the caller."""
        return self.account.type == ROOT_ADMIN


@dataclass(frozen=True, slots=True)
class Page:
    """Which part of a list is asked for. `limit` None is all of it."""

    offset: int = 0
    limit: int | None = None


@dataclass(frozen=True, slots=True)
class Call:
    """What a handler is given. `parameters` holds the checked values of the parameters that were sent, and no others.

    Values by type: uuid with `of` → the row; uuid → str; list with `of` → rows; list → list[str]; integer, long, short
    → int; float → float; boolean → bool; date → Moment; map → dict[str, str]; string → str, or Secret if `secret`.
    """

    command: "Command"
    caller: Caller
    parameters: Mapping[str, Any]
    context: ServiceContext
    registry: "Registry"
    stored: "StoredSettings"
    page: Page = Page()
    keyword: str = ""
    address: str = ""
    cookies: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def store(self) -> Store:
        """The only memory."""
        return self.context.store

    @property
    def settings(self) -> Settings:
        """The global settings in effect."""
        return self.stored.current()

    def has(self, name: str) -> bool:
        """Whether the parameter was sent."""
        return name in self.parameters

    def text(self, name: str, default: str = "") -> str:
        """A string parameter."""
        return str(self.parameters.get(name, default))

    def secret(self, name: str) -> Secret | None:
        """A string parameter that was declared `secret`."""
        value = self.parameters.get(name)
        assert value is None or isinstance(value, Secret)
        return value

    def whole(self, name: str, default: int = 0) -> int:
        """An integer parameter."""
        return int(self.parameters.get(name, default))

    def flag(self, name: str, default: bool = False) -> bool:
        """A boolean parameter."""
        return bool(self.parameters.get(name, default))

    def moment(self, name: str) -> Moment | None:
        """A date parameter."""
        value = self.parameters.get(name)
        return None if value is None else Moment(float(value))

    def row(self, name: str, record: type[R]) -> R:
        """The row that a required reference names."""
        value = self.parameters[name]
        assert isinstance(value, record)
        return value

    def row_or_none(self, name: str, record: type[R]) -> R | None:
        """The row that an optional reference names, if it was sent."""
        return self.row(name, record) if name in self.parameters else None

    def rows(self, name: str, record: type[R]) -> list[R]:
        """The rows that a list of references names; empty if it was not sent."""
        return [value for value in self.parameters.get(name, []) if isinstance(value, record)]

    def now(self) -> Moment:
        """Wall-clock time, for rows that people read."""
        return Moment(time.time())

    def event(self, type_: str, description: str, *, resource: tuple[str, str] = ("", ""), **more: str) -> Event:
        """An event row of this call, ready to be inserted in the batch of the change it tells of."""
        return Event(
            uuid=new_uuid(),
            type=type_,
            state=more.get("state", "Completed"),
            level=more.get("level", "INFO"),
            description=description,
            user_id=self.caller.user.id,
            account_id=self.caller.account.id,
            resource_type=resource[0],
            resource_id=resource[1],
            evidence=Json(more.get("evidence", "[]")),
            created=self.now(),
        )


@dataclass(frozen=True, slots=True)
class Listing:
    """What a list command returns: the items of the page, and how many there are in all."""

    items: Sequence[Any]
    count: int

    @classmethod
    def of(cls, items: Sequence[Any], page: Page = Page()) -> "Listing":
        """A list that is wholly in hand, cut to `page`."""
        end = None if page.limit is None else page.offset + page.limit
        return cls(items[page.offset : end], len(items))


@dataclass(frozen=True, slots=True)
class Success:
    """What a command returns that only succeeds or fails."""

    displaytext: str = ""


@dataclass(frozen=True, slots=True)
class JobRequest:
    """What an async command returns once everything that can be checked now was checked.

    The framework stores it as an `AsyncJob` whose `job_cmd_info` is the checked parameters with database ids for
    references, overlaid by `info`; None in `info` removes a parameter. `host_id` routes the job to the server that owns
    the host. `instance` is (type, uuid) of what the job is about. `event` tells what was ordered; it is stored with the
    job. A create-async command gives the uuid of its resource as `created`, and in `plan` what inserts it, as
    `change_inventory` takes it: resource and job are one batch, so that no crash leaves the one without the other.
    """

    instance: tuple[str, str] = ("", "")
    host_id: int | None = None
    info: Mapping[str, Any] = field(default_factory=dict)
    created: str = ""
    event: Event | None = None
    plan: Callable[[], Sequence[Change]] | None = None


@dataclass(frozen=True, slots=True)
class Cookies:
    """An outcome that also sets cookies on the client; None deletes one. Only login and logout do."""

    outcome: Any
    cookies: Mapping[str, str | None] = field(repr=False)


def new_uuid() -> str:
    """An identity for a new row."""
    return str(uuid.uuid4())
