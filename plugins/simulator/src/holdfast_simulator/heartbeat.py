"""Storage heartbeat driver `simulator`: beats on simulated pools, through the hosts' own paths."""

from collections.abc import Callable, Mapping
from typing import Any

from holdfast.errors import HoldfastError, Unreachable
from holdfast.hooks.heartbeat import HeartbeatDriver
from holdfast.hooks.markers import hookimpl
from holdfast.model.views import DiskReading, HeartbeatReading, PoolView

from holdfast_simulator.seat import Seat
from holdfast_simulator.world.gateway import Gateway
from holdfast_simulator.world.host import SimHost
from holdfast_simulator.world.storage import Pool


class SimulatorHeartbeat(Seat, HeartbeatDriver):
    """Asks a host's agent to prepare, write or read. Once prepared, a host beats by itself as long as it can write."""

    runs_on = "server"

    def __init__(self, settings: Mapping[str, Any] | None = None, *, gateway: Gateway | None = None) -> None:
        super().__init__(settings, gateway)

    @hookimpl
    def prepare(self, pool: PoolView, writer: str, deadline: float) -> None:
        """Let `writer` beat on the pool from now on."""
        self._on_pool(pool, writer, deadline, lambda host, store: host.mount(store.uuid))

    @hookimpl
    def write(self, pool: PoolView, writer: str, sequence: int, deadline: float) -> None:
        """One explicit beat of `writer`."""
        self._on_pool(pool, writer, deadline, lambda host, store: store.write(host.uuid, sequence))

    @hookimpl
    def read(self, pool: PoolView, subject: str, reader: str, deadline: float) -> HeartbeatReading:
        """What `reader` sees of `subject`'s beats."""
        with self.gateway.world.lock:
            seen = self.gateway.world.host(subject).uuid

        def look(host: SimHost, store: Pool) -> HeartbeatReading:
            return store.read(host.uuid, seen, host.reaches(store.uuid), host.clock_rate)

        reading = self._on_pool(pool, reader, deadline, look)
        assert isinstance(reading, HeartbeatReading)
        return reading

    @hookimpl
    def look_at_disks(self, pool: PoolView, disks: tuple[str, ...], reader: str, deadline: float) -> DiskReading:
        """What `reader` sees of them. A VM that runs writes all the time; its disk is called by its uuid.

        It is there once any host was told to run the VM.
        """
        world = self.gateway.world
        with world.lock:
            books = [host.book for host in world.hosts.values()]
            vms = {vm_uuid for book in books for vm_uuid in (*book.told, *book.guests)}
            disks = tuple(disk for disk in disks if disk.rpartition(".")[0] in vms)

        def writing(disk: str) -> bool:
            vm_uuid = disk.rpartition(".")[0]
            hosts = (host for host in world.hosts.values() if host.reaches(pool.uuid))
            return any((guest := host.book.guests.get(vm_uuid)) is not None and guest.live for host in hosts)

        reading = self._on_pool(
            pool, reader, deadline, lambda host, store: store.look_at_disks(host.uuid, disks, writing)
        )
        assert isinstance(reading, DiskReading)
        return reading

    @hookimpl
    def remove(self, pool: PoolView, subject: str, deadline: float) -> None:
        """Forget the beats of `subject`, and let it beat no more."""
        world = self.gateway.world
        with world.lock:
            if not world.pool(pool.uuid).up:
                raise Unreachable(f"pool {pool.name} does not answer")
            host = world.host(subject)
            host.unmount(pool.uuid)
            world.pool(pool.uuid).remove(host.uuid)

    def _on_pool(self, pool: PoolView, by: str, deadline: float, act: Callable[[SimHost, Pool], Any]) -> Any:
        world = self.gateway.world
        with world.lock:
            machine = world.host(by)
            store = world.pool(pool.uuid)
            store.name = pool.name

        def arrive(host: SimHost, reply: Callable[[Any], object]) -> None:
            if not host.reaches(store.uuid):
                reply(Unreachable(f"{host.name}: pool {store.name} does not answer"))
                return
            world.time.call_at(world.time.now() + store.latency, carry_out, host, reply)

        def carry_out(host: SimHost, reply: Callable[[Any], object]) -> None:
            try:
                answer = act(host, store)
            except HoldfastError as problem:
                answer = problem
            reply(answer)

        return self.gateway.ask_agent(machine, deadline, arrive)
