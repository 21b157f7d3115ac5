"""The alerts about a VM that does not run: it waits for a host or its storage, its starts failed, it crashed too often.

One at a time says that it waits, however long and for whatever; all are closed once it runs, or nobody wants it to.
"""

from holdfast.hooks.store import Change
from holdfast.model import Alert, Vm

from holdfast_manager.desk import Desk
from holdfast_manager.shared_reads import SharedReads

WAITING = "ALERT.HA.RESTART.WAITING"
FAILED = "ALERT.HA.RESTART.FAILED"
CRASH_LOOP = "ALERT.HA.CRASH.LOOP"


class VmAlerts:
    """Rows for the batches of VMs. Event loop only."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._open: SharedReads[Alert] = SharedReads(
            desk, Alert, "resource_id", among={"name": (WAITING, FAILED, CRASH_LOOP)}, equal={"resolved": None}
        )

    async def waits(self, vm: Vm, subject: str, text: str) -> list[Change]:
        """Say that it waits, unless that is said already. Raises what the store raises."""
        if any(alert.name == WAITING for alert in await self._open.of(vm.uuid)):
            return []
        return [self._desk.journal.alert(WAITING, subject, text, vm=vm)]

    async def over(self, vm: Vm) -> list[Change]:
        """The end of whatever is open. Raises what the store raises."""
        return [*self._desk.journal.closed(await self._open.of(vm.uuid))]
