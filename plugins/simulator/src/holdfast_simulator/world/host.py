"""One simulated host: chassis power, boot, hang, its agent, its lease keeper and its VMs."""

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from holdfast.model import GuestState

from holdfast_simulator.world.bmc import Bmc
from holdfast_simulator.world.guests import Guest, GuestBook
from holdfast_simulator.world.happenings import What
from holdfast_simulator.world.lease import HostLease
from holdfast_simulator.world.network import STORAGE
from holdfast_simulator.world.outlet import Outlet
from holdfast_simulator.world.timing import Timer

if TYPE_CHECKING:
    from holdfast_simulator.world.world import World


@dataclass(frozen=True, slots=True)
class Size:
    """CPUs, MHz per CPU, bytes of memory."""

    cpus: int = 32
    speed: int = 2400
    ram: int = 128 * 2**30


class Condition(StrEnum):
    """What a host's operating system is doing."""

    OFF = "off"
    BOOTING = "booting"
    UP = "up"
    HUNG = "hung"


def device_key(level: int, index: int) -> str:
    """What a fence device is called among those of its host."""
    return f"{level}.{index}" if index else str(level)


class SimHost:
    """A host. `agent_alive` is the agent; the lease keeper is another process and lives as long as the kernel does.

    An agent that stands still (`agent_frozen`) takes the keeper with it: nothing is heard on any path, and VMs live.
    Change it only through its methods: they settle storage beats, write the journal and tell the chronicle.
    """

    def __init__(self, world: "World", name: str, uuid: str, size: Size) -> None:
        self.world = world
        self.name = name
        self.uuid = uuid
        self.size = size
        self.condition = Condition.UP
        self.boots = 1
        self.boot_due = 0.0
        self.agent_alive = True
        self.agent_frozen = False
        self.agent_life = 1
        self.has_watchdog = True
        self.ha_on = True
        """What its agent was told last of host HA; an agent keeps its orders over restarts."""
        self.start_failure = ""
        self.storage_away = False
        self.clock_rate = 1.0
        self.pools: list[str] = []
        self.book = GuestBook(size.ram)
        self.lease = HostLease(self)
        self.bmcs: dict[str, Bmc] = {}
        self._lost_feed = False
        self._boot_timer: Timer | None = None

    @property
    def powered(self) -> bool:
        """Whether the chassis is on."""
        return self.condition is not Condition.OFF

    @property
    def boot_id(self) -> str:
        """The present boot; '' while it is off."""
        return f"{self.name}-boot-{self.boots}" if self.powered else ""

    @property
    def speaking(self) -> bool:
        """Whether its agent answers."""
        return self.condition is Condition.UP and self.agent_alive and not self.agent_frozen

    def session(self) -> tuple[int, int] | None:
        """What a message to the agent is bound to: the boot, and the storage lease it was sent under."""
        return (self.boots, self.lease.lapses()) if self.powered else None

    def bmc(self, level: str = "1") -> Bmc:
        """One of its BMCs, each of which switches the same chassis, or one of its outlets.

        Called by its level, and where it is not the first of it, its level and index: "1", "2.1".
        """
        found = self.bmcs.get(level)
        if found is None:
            found = self.bmcs[level] = Bmc(self, level)
        return found

    # --- outlets

    def wire(self, level: int, outlets: int) -> None:
        """Let the host be fed by so many switched outlets, which are a fence level. Idempotent."""
        for index in range(outlets):
            key = device_key(level, index)
            if not isinstance(self.bmcs.get(key), Outlet):
                self.bmcs[key] = Outlet(self, key)

    @property
    def fed(self) -> bool:
        """Whether any of its supplies has power: always, if it has no switched outlets.

        An outlet may stand among its devices by mistake, and feed another host.
        """
        outlets = [device for device in self.bmcs.values() if isinstance(device, Outlet) and device.host is self]
        return not outlets or any(outlet.live for outlet in outlets)

    def feeding_changed(self) -> None:
        """An outlet was switched: without any the chassis is off; with the first again it is as it was."""
        if not self.fed:
            self._lost_feed = self.powered
            for device in self.bmcs.values():
                if not isinstance(device, Outlet):
                    device.forget_orders()
            self.power_off("no outlet feeds it")
        elif self._lost_feed:
            self._lost_feed = False
            self.power_on("an outlet feeds it again")

    # --- power

    def power_off(self, why: str) -> None:
        """The chassis loses power, now."""
        if not self.powered:
            return
        self.condition = Condition.OFF
        self._lose_everything(why)
        self.world.tell(What.POWER_CHANGED, host=self.uuid, detail=f"off: {why}")

    def power_on(self, why: str) -> None:
        """The chassis gets power and begins to boot."""
        if self.powered or not self.fed:
            return
        self.world.tell(What.POWER_CHANGED, host=self.uuid, detail=f"on: {why}")
        self._begin_boot()

    def reset(self, why: str) -> None:
        """A hard reset: nothing survives, the chassis stays on."""
        if not self.powered:
            return
        self._lose_everything(why)
        self.world.tell(What.POWER_CHANGED, host=self.uuid, detail=f"reset: {why}")
        self._begin_boot()

    def _lose_everything(self, why: str) -> None:
        if self._boot_timer is not None:
            self._boot_timer.cancel()
        ended = self.book.end_all()
        self.agent_frozen = False
        self.world.agents.forget_backlog(self)
        self.refresh_storage()
        self.save()
        for guest in ended:
            self.world.tell(What.GUEST_ENDED, host=self.uuid, vm=guest.spec.uuid, run_epoch=guest.run_epoch, detail=why)

    def _begin_boot(self) -> None:
        self.condition = Condition.BOOTING
        self.boots += 1
        self.boot_due = self.world.time.wall() + self.world.physics.host_boot
        self.refresh_storage()
        self.save()
        self.await_boot(self.world.physics.host_boot)

    def await_boot(self, seconds: float) -> None:
        """Finish booting after `seconds`."""
        self._boot_timer = self.world.time.call_at(self.world.time.now() + seconds, self._finish_boot, self.boots)

    def _finish_boot(self, boot: int) -> None:
        if self.condition is not Condition.BOOTING or boot != self.boots:
            return
        self.condition = Condition.UP
        self.agent_alive = True
        self.agent_life += 1
        self.lease.begin()
        self.refresh_storage()
        self.save()
        self.world.tell(What.HOST_CHANGED, host=self.uuid, detail="booted")
        self.world.agents.connect_everywhere(self)

    # --- faults

    def hang(self) -> None:
        """The kernel stops; the chassis stays on and the VMs stand still, ready to go on writing."""
        if self.condition is Condition.UP:
            self.condition = Condition.HUNG
            self.refresh_storage()
            self.save()
            self.world.tell(What.HOST_CHANGED, host=self.uuid, detail="hung")

    def unhang(self) -> None:
        """The kernel goes on, with whatever waited for it."""
        if self.condition is Condition.HUNG:
            self.condition = Condition.UP
            self.refresh_storage()
            self.save()
            self.world.tell(What.HOST_CHANGED, host=self.uuid, detail="goes on")
            self.world.agents.work_off_backlog(self)

    def kill_agent(self) -> None:
        """The agent dies; VMs and lease keeper go on."""
        self.agent_alive = False
        self.save()
        self.world.tell(What.HOST_CHANGED, host=self.uuid, detail="agent died")

    def start_agent(self) -> None:
        """The agent is there again, and dials in."""
        if self.condition is Condition.UP and not self.agent_alive:
            self.agent_alive = True
            self.agent_life += 1
            self.save()
            self.world.tell(What.HOST_CHANGED, host=self.uuid, detail="agent started")
            self.world.agents.connect_everywhere(self)

    def freeze_agent(self) -> None:
        """The agent stands still, and its beats with it; VMs go on."""
        if self.condition is Condition.UP and self.agent_alive and not self.agent_frozen:
            self.agent_frozen = True
            self.refresh_storage()
            self.world.tell(What.HOST_CHANGED, host=self.uuid, detail="agent frozen")

    def thaw_agent(self) -> None:
        """The agent goes on, with whatever waited for it."""
        if self.agent_frozen:
            self.agent_frozen = False
            self.refresh_storage()
            self.world.tell(What.HOST_CHANGED, host=self.uuid, detail="agent goes on")
            self.world.agents.work_off_backlog(self)

    def end_guest(self, vm_uuid: str, state: GuestState) -> None:
        """The guest crashes or shuts itself down."""
        guest = self.book.guests.get(vm_uuid)
        if guest is None or not guest.live or self.condition is not Condition.UP:
            return
        guest.state = state
        guest.starting = False
        self.save()
        self.world.tell(
            What.GUEST_ENDED, host=self.uuid, vm=vm_uuid, run_epoch=guest.run_epoch, detail=f"guest {state.value}"
        )
        self.world.agents.report(self, guest)

    def drop_guest(self, guest: Guest, why: str) -> None:
        """Tell that a guest, already out of the book, is gone."""
        self.save()
        if guest.live:
            self.world.tell(What.GUEST_ENDED, host=self.uuid, vm=guest.spec.uuid, run_epoch=guest.run_epoch, detail=why)

    def set_watchdog(self, present: bool) -> None:
        """Give it a watchdog, or take it away; its next beat says so."""
        self.has_watchdog = present
        self.lease.note()
        self.save()
        self.world.tell(What.HOST_CHANGED, host=self.uuid, detail=f"watchdog {'armed' if present else 'gone'}")

    def take_orders(self, ha_on: bool) -> None:
        """Whether host HA is on for it, as its owner says: without it, it never resets itself (S11)."""
        if ha_on is not self.ha_on:
            self.ha_on = ha_on
            self.lease.note()
            self.save()

    # --- storage

    def mount(self, pool_uuid: str) -> None:
        """Use a pool for heartbeats from now on. Idempotent."""
        if pool_uuid not in self.pools:
            self.pools.append(pool_uuid)
            self.world.pool(pool_uuid).prepare(self.uuid, self.beats_on(pool_uuid))
            self.lease.note()
            self.save()

    def unmount(self, pool_uuid: str) -> None:
        """Take no part in a pool's heartbeats any more. Idempotent."""
        if pool_uuid in self.pools:
            self.pools.remove(pool_uuid)
            self.lease.note()
            self.save()

    def reaches(self, pool_uuid: str) -> bool:
        """Whether it can read and write there now."""
        return (
            self.condition is Condition.UP
            and self.world.pool(pool_uuid).up
            and self.world.network.path(STORAGE, self.uuid, pool_uuid).up
        )

    def beats_on(self, pool_uuid: str) -> bool:
        """Whether its beats land there now."""
        return self.reaches(pool_uuid) and not self.agent_frozen

    def refresh_storage(self) -> None:
        """Circumstances changed: settle beats and watches."""
        for pool_uuid in self.pools:
            pool, beats = self.world.pool(pool_uuid), self.beats_on(pool_uuid)
            pool.set_writing(self.uuid, beats)
        for pool in self.world.pools.values():
            pool.set_looking(self.uuid, self.beats_on(pool.uuid))
        self.lease.note()

    # --- journal

    def save(self) -> None:
        """Write it to the journal, before anybody can see the change."""
        self.world.journal.save(self.name, self.dump)

    def dump(self) -> dict[str, Any]:
        """All that must survive the end of the program, as plain data."""
        return {
            "uuid": self.uuid,
            "size": [self.size.cpus, self.size.speed, self.size.ram],
            "condition": self.condition.value,
            "boots": self.boots,
            "boot_due": self.boot_due,
            "agent_alive": self.agent_alive,
            "watchdog": self.has_watchdog,
            "ha": self.ha_on,
            "pools": self.pools,
            "book": self.book.dump(),
            "lost_feed": self._lost_feed,
            "bmcs": {level: bmc.dump() for level, bmc in self.bmcs.items()},
        }

    def load(self, data: dict[str, Any]) -> None:
        """Take over what `dump` gave, with everything that fell due meanwhile."""
        self.uuid = data["uuid"]
        self.condition = Condition(data["condition"])
        self.boots = int(data["boots"])
        self.boot_due = float(data["boot_due"])
        self.agent_alive = bool(data["agent_alive"])
        self.has_watchdog = bool(data.get("watchdog", True))
        self.ha_on = bool(data.get("ha", True))
        self.book.load(data["book"])
        for pool_uuid in data["pools"]:
            self.mount(pool_uuid)
        if self.condition is Condition.BOOTING:
            self.await_boot(max(0.0, self.boot_due - self.world.time.wall()))
        self._lost_feed = bool(data.get("lost_feed", False))
        for level, kept in data["bmcs"].items():
            if kept.get("outlet"):
                self.bmcs[level] = Outlet(self, level)
            self.bmc(level).load(kept)
