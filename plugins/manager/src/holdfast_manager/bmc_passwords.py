"""Changing the password of a BMC, and finding out which one is in force where the outcome of a change is not known.

The new one waits in the device's row until it is in force: then it takes the place of the old one.
"""

from dataclasses import replace
from enum import StrEnum

from holdfast.errors import AuthenticationFailed, HoldfastError, Refused, Unsupported
from holdfast.hooks.oobm import OobmDriver
from holdfast.hooks.store import Query, Update
from holdfast.model import AsyncJob, Host, JobStatus, Oobm
from holdfast.model.views import BmcView

from holdfast_manager.desk import Desk

COMMAND = "changeOutOfBandManagementPassword"
_LOOK_SECONDS = 5.0


class InForce(StrEnum):
    """Which of two passwords a BMC takes."""

    OLD = "old"
    NEW = "new"
    UNKNOWN = "unknown"


class BmcPasswords:
    """For the owner of a host. Whatever is raised names no password."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._waiting: dict[int, int] = {}
        """Row id -> its update count when a password was last seen waiting there."""

    async def change(self, host: Host, row: Oobm, seconds: float) -> None:
        """Put `row.new_password` into the BMC. Raises what the driver raised; the row says what is in force then.

        If a crash came between an earlier attempt and its end, the new one may be in force already.
        """
        new = row.new_password
        assert new is not None
        driver, bmc = self._driver(row), self._desk.inventory.bmc_view(host, row)
        if await self._takes(driver, replace(bmc, password=new)) is InForce.NEW:
            await self._settle(row, InForce.NEW)
            return
        try:
            await self._desk.pool("oobm-jobs").call(seconds, driver.set_password, bmc, new.reveal(), seconds)
        except AuthenticationFailed:
            # Wrong from the start; or changed without an answer, and then the old one was tried once more.
            found = await self._takes(driver, replace(bmc, password=new))
            await self._settle(row, found)
            if found is not InForce.NEW:
                raise
        except (Refused, Unsupported):
            await self._settle(row, InForce.OLD)
            raise
        except HoldfastError:
            found = await self._which(driver, bmc, replace(bmc, password=new))
            await self._settle(row, found)
            if found is not InForce.NEW:
                raise
        else:
            await self._settle(row, InForce.NEW)

    async def look_again(self, host: Host, row: Oobm, refused: bool) -> None:
        """The BMC has just taken the old password, or `refused` it, while a new one waits: settle which it is.

        Nothing is done while a change is on its way.
        """
        asked = Query(equal={"host_id": host.id, "job_cmd": COMMAND, "job_status": JobStatus.PENDING}, limit=1)
        if self._waiting.get(row.id) != row.update_count:
            # It may have been written a moment ago, and the job that is to put it there not yet.
            self._waiting[row.id] = row.update_count
            return
        if row.new_password is None or await self._desk.memory.select(AsyncJob, asked):
            return
        if not refused:
            await self._settle(row, InForce.OLD)
            return
        bmc = replace(self._desk.inventory.bmc_view(host, row), password=row.new_password)
        if await self._takes(self._driver(row), bmc) is InForce.NEW:
            await self._settle(row, InForce.NEW)

    def _driver(self, row: Oobm) -> OobmDriver:
        found: OobmDriver = self._desk.plugins.driver("oobm", row.driver)
        return found

    async def _which(self, driver: OobmDriver, old: BmcView, new: BmcView) -> InForce:
        found = await self._takes(driver, new)
        if found is InForce.OLD:
            # It refuses the new one; the old one is in force if it takes that.
            return InForce.OLD if await self._takes(driver, old) is InForce.NEW else InForce.UNKNOWN
        return found

    async def _takes(self, driver: OobmDriver, bmc: BmcView) -> InForce:
        """NEW if the BMC lets the view's password in, OLD if it refuses it."""
        try:
            await self._desk.pool("oobm-jobs").call(_LOOK_SECONDS, driver.power_state, bmc, _LOOK_SECONDS)
        except AuthenticationFailed:
            return InForce.OLD
        except Exception:
            return InForce.UNKNOWN
        return InForce.NEW

    async def _settle(self, row: Oobm, found: InForce) -> None:
        if found is InForce.UNKNOWN:
            return
        values: dict[str, object] = {"new_password": None}
        if found is InForce.NEW:
            # Counted as a change of the configuration: what was found with the old one is looked at again.
            values |= {"password": row.new_password, "update_count": row.update_count + 1}
        await self._desk.memory.commit([Update(Oobm, row.id, values, expect={"update_count": row.update_count})])
