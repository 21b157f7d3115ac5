"""One job on its way: what handlers are given."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from holdfast.errors import HoldfastError, InvalidRequest
from holdfast.hooks.store import Query, Update
from holdfast.model import AsyncJob, Host, JobStatus, Vm

from holdfast_manager.desk import Desk

if TYPE_CHECKING:
    from holdfast_manager.manager import Manager


class JobFailed(HoldfastError):
    """A job cannot be done; `code` is the API's error code."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code


@dataclass(frozen=True, slots=True)
class Job:
    """A job row with its parameters read."""

    manager: "Manager"
    row: AsyncJob
    info: dict[str, Any]

    @property
    def desk(self) -> Desk:
        """The manager's shared state."""
        return self.manager.desk

    async def host(self, key: str = "hostid") -> Host:
        """The host that a parameter names, as stored now."""
        found = await self.desk.memory.get(Host, int(self.info[key]))
        if found is None or found.removed is not None:
            raise InvalidRequest(f"host {found.name if found else self._named(key)} was removed")
        return found

    async def vm(self, key: str = "id") -> Vm:
        """The VM that a parameter names, as stored now; without that parameter the one that the job is about."""
        if key in self.info:
            found = await self.desk.memory.get(Vm, int(self.info[key]))
        else:
            query = Query(equal={"uuid": self.row.instance_uuid}, limit=1)
            found = next(iter(await self.desk.memory.select(Vm, query)), None)
        if found is None or found.removed is not None:
            raise InvalidRequest(f"virtual machine {found.name if found else self._named(key)} was removed")
        return found

    def _named(self, key: str) -> str:
        """What names a row that is not there at all."""
        return self.row.instance_uuid or str(self.info.get(key, ""))

    async def pending(self, *commands: str, **equal: Any) -> list[AsyncJob]:
        """Jobs with one of these commands that have not ended, perhaps this one among them; `equal` as in a `Query`."""
        query = Query(equal={"job_status": JobStatus.PENDING, **equal}, among={"job_cmd": commands})
        return await self.desk.memory.select(AsyncJob, query)

    async def hand_over(self, host: Host) -> None:
        """Every effect on a host is its owner's: let that server go on. The handler returns None after this."""
        values = {"host_id": host.id, "mgmt_server_id": None, "last_updated": self.desk.journal.now()}
        await self.desk.memory.commit([Update(AsyncJob, self.row.id, values)])


Handler = Callable[[Job], Awaitable[dict[str, Any] | None]]
"""Carries out a job; returns what to show, or None if another server goes on with it. Raises a `HoldfastError`."""
