"""When VMs that wait for a host are tried before their time: hosts began to take starts, or have more room than before.

Thousands may wait, and VMs end all the time. So news are collected, all that wait are planned together, and that is
done for no more than a tenth of the time; for those that find nothing this time, nothing is written.
"""

import asyncio
from collections.abc import Callable, Collection, Iterable, Sequence

from holdfast.hooks.store import Change, Update
from holdfast.model import Vm, Work

from holdfast_manager.desk import Desk

_SHARE_OF_TIME = 10.0
_LONGEST_PAUSE = 10.0
"""Where planning all that wait takes long, it is done so much less often that this takes 1/10 of the time."""
_WHERE = frozenset({"host_id", "last_host_id"})


class RoomNews:
    """What this server knows of room that was not there when its VMs were last planned. Event loop only."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._opened = self._freed = False
        self._waiting = False
        self._heed_at = 0.0
        self._lost_races: set[int] = set()
        self._looked_at: object = None
        self._usable: set[object] = set()
        self._reading: asyncio.Task[None] | None = None
        self.kick: Callable[[], None] = lambda: None
        desk.usage.on_freed = self.freed

    # --- what brings news ----------------------------------------------------------------------------------------

    def stored(self, changes: Sequence[Change]) -> None:
        """A batch of this server was written: runs that ended, or went elsewhere, leave their room."""
        left: set[int] = set()
        reached: set[int] = set()
        for change in changes:
            if isinstance(change, Update) and change.record is Vm and change.values.keys() >= _WHERE:
                here, before = change.values["host_id"], change.values["last_host_id"]
                if before is not None and before != here:
                    left.add(before)
                    reached |= set() if here is None else {here}
        for host_id in left | reached:
            if (host := self._desk.inventory.hosts.get(host_id)) is not None:
                self._desk.usage.forget(host)
        if left:
            self.freed(left)

    def freed(self, host_ids: Collection[int]) -> None:
        """These hosts have more room than they had."""
        hosts = self._desk.inventory.hosts
        if self._freed or not any(host_id in hosts and self._takes_starts(host_id) for host_id in host_ids):
            return
        self._freed = True
        if self._waiting and self._may_heed():
            self.kick()

    def tables_read(self) -> None:
        """There are news in the tables: whatever waits for room is looked at."""
        if self._waiting:
            self.kick()

    def lost_race(self, works: Iterable[Work]) -> None:
        """These had found a place, and others were first: they are tried again at the next look."""
        self._lost_races |= {work.id for work in works}

    # --- what is made of them ------------------------------------------------------------------------------------

    def early(self, scheduled: Collection[Work]) -> set[int]:
        """Ids of the work, of `scheduled`, that is to be tried now, whatever its time. What was news is none any more.

        What waits for a start that failed, or for its storage, is not helped by room that became free.
        """
        again, self._lost_races = self._lost_races, set()
        waiting = [work for work in scheduled if work.investigations > 0]
        self._waiting = bool(waiting)
        self._opened |= bool(scheduled) and self._is_opened()
        if not waiting:
            self._opened = self._freed = False
            return again
        self._keep_reading(waiting)
        if not self._may_heed():
            return again
        if self._opened:
            again |= {work.id for work in waiting}
        elif self._freed:
            again |= {work.id for work in waiting if work.excluded in ("", "[]")}
        self._opened = self._freed = False
        return again

    def heeded(self, seconds: float) -> None:
        """It took so long to plan what was tried early, and to write what came of it."""
        pause = min(seconds * (_SHARE_OF_TIME - 1), _LONGEST_PAUSE)
        self._heed_at = self._desk.clock.monotonic() + pause

    def _may_heed(self) -> bool:
        return self._desk.clock.monotonic() >= self._heed_at

    def _takes_starts(self, host_id: int) -> bool:
        host = self._desk.inventory.hosts[host_id]
        return self._desk.inventory.room(host).enabled and self._desk.is_calm(host)

    def _is_opened(self) -> bool:
        """Whether hosts began to take starts, or offer something else than before.

        They do when they come up, when they, their cluster or their zone are opened, and when their tags, their size
        or `ha.tag` change.
        """
        inventory = self._desk.inventory
        if inventory is self._looked_at:
            return False
        self._looked_at, before = inventory, self._usable
        self._usable = {inventory.settings.text("ha.tag")}
        for host in inventory.hosts.values():
            room = inventory.room(host)
            if room.enabled and self._desk.is_calm(host):
                self._usable.add((host.id, room.tags, room.total_cpu, room.total_ram))
        return bool(self._usable - before)

    def _keep_reading(self, waiting: Iterable[Work]) -> None:
        """Other servers end runs too, and people do in the tables: a look at the zone, as often as it may be read."""
        if self._reading is not None and not self._reading.done():
            return
        hosts = self._desk.inventory.hosts
        zones = {hosts[work.host_id].data_center_id for work in waiting if work.host_id in hosts}
        self._reading = self._desk.spawn(self._read(sorted(zones)))

    async def _read(self, zone_ids: Iterable[int]) -> None:
        for zone_id in zone_ids:
            await self._desk.usage.warm(zone_id)
