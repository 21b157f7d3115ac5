"""What the hosts' agents do with messages, and the beats they send to every attached listener."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from holdfast.errors import Refused, StorageAway, Unreachable
from holdfast.hooks.hypervisor import HostListener
from holdfast.model import GuestState
from holdfast.model.views import Beat, LifeGrant, VmSpec

from holdfast_simulator.world.guests import Guest
from holdfast_simulator.world.happenings import MOVED, What
from holdfast_simulator.world.host import Condition, SimHost
from holdfast_simulator.world.network import AGENT, Path

if TYPE_CHECKING:
    from holdfast_simulator.world.gateway import Gateway
    from holdfast_simulator.world.world import World

Reply = Callable[[Any], object]
_PHASES = 20


@dataclass(slots=True)
class Attachment:
    """One listener's connection to one host.

    `session` numbers the connection that it was last told of: the host's boot, its agent's life, the path's generation.
    """

    gateway: "Gateway"
    listener: HostListener
    path: Path
    session: tuple[int, int, int] = (0, 0, 0)


@dataclass(frozen=True, slots=True)
class Start:
    """Start a VM under a run epoch."""

    server: str
    spec: VmSpec
    run_epoch: int


@dataclass(frozen=True, slots=True)
class Stop:
    """End every run up to an epoch."""

    server: str
    vm_uuid: str
    run_epoch: int
    graceful: bool


@dataclass(frozen=True, slots=True)
class Move:
    """Move a running VM to another host, where it runs under a new epoch."""

    server: str
    spec: VmSpec
    run_epoch: int
    target: SimHost


class Agents:
    """The agents of all hosts."""

    def __init__(self, world: "World") -> None:
        self._world = world
        self._attached: dict[str, dict[str, Attachment]] = {}
        self._backlog: dict[str, list[tuple[tuple[int, int], Callable[..., object], tuple[Any, ...]]]] = {}
        self._sequence: dict[str, int] = {}
        self._phases: dict[int, list[SimHost]] = {}

    # --- connections and beats

    def attach(self, host: SimHost, gateway: "Gateway", listener: HostListener) -> None:
        """Deliver what the host says to `listener`, in place of an earlier one of that server."""
        path = self._world.network.path(AGENT, host.uuid, gateway.server)
        self._attached.setdefault(host.uuid, {})[gateway.server] = Attachment(gateway, listener, path)
        self._join_phase(host)
        self.connect_everywhere(host)

    def detach(self, host_uuid: str, gateway: "Gateway") -> None:
        """Stop delivering to that gateway's listener."""
        kept = self._attached.get(host_uuid, {}).get(gateway.server)
        if kept is not None and kept.gateway is gateway:
            del self._attached[host_uuid][gateway.server]

    def detach_all(self, gateway: "Gateway") -> None:
        """Stop delivering anything to a gateway."""
        for host_uuid in list(self._attached):
            self.detach(host_uuid, gateway)

    def connect_everywhere(self, host: SimHost) -> None:
        """The agent dials every server that listens for it, now."""
        if host.speaking and self._attached.get(host.uuid):
            self._send_beats(host, beat=False)

    def _join_phase(self, host: SimHost) -> None:
        phase = len(self._sequence) % _PHASES
        if host.uuid in self._sequence:
            return
        self._sequence[host.uuid] = 0
        members = self._phases.setdefault(phase, [])
        members.append(host)
        if len(members) == 1:
            interval = self._world.physics.beat_interval
            first = self._world.time.now() + interval * (phase + 1) / _PHASES
            self._world.time.call_at(first, self._tick, phase, first)

    def _tick(self, phase: int, planned: float) -> None:
        for host in self._phases[phase]:
            if host.speaking and self._attached.get(host.uuid):
                self._send_beats(host, beat=True)
        following = max(planned, self._world.time.now() - 1.0) + self._world.physics.beat_interval
        self._world.time.call_at(following, self._tick, phase, following)

    def _send_beats(self, host: SimHost, beat: bool) -> None:
        self._sequence[host.uuid] += 1
        boot_id = host.boot_id
        message = self._beat(host, boot_id) if beat else None
        for attachment in tuple(self._attached[host.uuid].values()):
            path = attachment.path
            session = (host.boots, host.agent_life, path.generation)
            if path.faultless:
                self._hear(attachment, host, session, boot_id, message)
            else:
                self._world.network.send(path, self._hear, attachment, host, session, boot_id, message)

    def _beat(self, host: SimHost, boot_id: str) -> Beat:
        sequence, adrift = self._sequence[host.uuid], host.lease.adrift
        if adrift:
            host.lease.sending(sequence)
        return Beat(host.uuid, boot_id, sequence, host.lease.armed, adrift)

    def _hear(
        self, attachment: Attachment, host: SimHost, session: tuple[int, int, int], boot_id: str, beat: Beat | None
    ) -> None:
        gateway, listener = attachment.gateway, attachment.listener
        if not gateway.alive:
            self.detach_all(gateway)
            return
        if session < attachment.session:
            return
        if session > attachment.session:
            attachment.session = session
            size = host.size
            gateway.deliver(listener.on_connected, host.uuid, boot_id, size.cpus, size.speed, size.ram)
        if beat is not None:
            gateway.deliver(listener.on_beat, beat)

    def report(self, host: SimHost, guest: Guest) -> None:
        """Tell every listener that a VM changed state."""
        if not host.speaking:
            return
        for server, attachment in list(self._attached.get(host.uuid, {}).items()):
            path = self._world.network.path(AGENT, host.uuid, server)
            args = (attachment.listener.on_vm, host.uuid, guest.report())
            self._world.network.send(path, attachment.gateway.deliver, *args)

    # --- messages

    def receive(self, session: tuple[int, int] | None, host: SimHost, act: Callable[..., object], *args: Any) -> None:
        """A message arrives. It is lost if the host booted or lost its lease since it was sent, and waits if it hangs.

        The first of `args` is where the answer goes.
        """
        if session is None or session != host.session():
            return
        if host.condition is Condition.HUNG or host.agent_frozen:
            self._backlog.setdefault(host.uuid, []).append((session, act, args))
        elif host.condition is Condition.UP:
            if host.agent_alive:
                act(host, *args)
            else:
                args[0](Unreachable(f"agent of {host.name}: connection refused"))

    def forget_backlog(self, host: SimHost) -> None:
        """What waited is lost."""
        self._backlog.pop(host.uuid, None)

    def work_off_backlog(self, host: SimHost) -> None:
        """What waited while the host hung is done now."""
        for session, act, args in self._backlog.pop(host.uuid, []):
            self.receive(session, host, act, *args)

    def pending_starts(self) -> list[tuple[str, str, int]]:
        """Host, VM and epoch of each start that waits in a hung host."""
        return [
            (host_uuid, args[1].spec.uuid, args[1].run_epoch)
            for host_uuid, entries in self._backlog.items()
            for _, act, args in entries
            if act == self.start
        ]

    # --- what the agent does

    def start(self, host: SimHost, reply: Reply, order: Start) -> None:
        """Start a VM; answers once the guest runs."""
        world, spec = self._world, order.spec
        facts = {"host": host.uuid, "vm": spec.uuid, "run_epoch": order.run_epoch, "server": order.server}
        world.tell(What.START_ARRIVED, **facts)
        try:
            if host.lease.lapsed():
                raise Refused(f"{host.name} does not hold its storage lease: it starts nothing")
            if host.storage_away:
                raise StorageAway(f"{host.name}: its storage does not answer")
            if host.start_failure:
                raise Refused(f"{host.name}: {host.start_failure}")
            guest = host.book.admit(spec, order.run_epoch)
        except Refused as refusal:
            reply(refusal)
            return
        if guest is None:
            reply(None)
            return
        host.save()
        world.tell(What.GUEST_BEGAN, **facts)
        world.time.call_at(world.time.now() + world.physics.vm_start, self._started, host, guest, reply)

    def _wait_for_kernel(self, host: SimHost, reply: Reply, go_on: Callable[[], None]) -> bool:
        """Put off what a hung host was in the middle of; whether it was put off."""
        session = host.session()
        if session is None or not (host.condition is Condition.HUNG or host.agent_frozen):
            return False
        self._backlog.setdefault(host.uuid, []).append((session, lambda _host, _reply: go_on(), (reply,)))
        return True

    def _started(self, host: SimHost, guest: Guest, reply: Reply) -> None:
        if host.book.guests.get(guest.spec.uuid) is not guest or not guest.live:
            reply(Refused(f"run {guest.run_epoch} of {guest.spec.name} was ended while it started"))
        elif not self._wait_for_kernel(host, reply, lambda: self._started(host, guest, reply)):
            guest.starting = False
            host.save()
            self.report(host, guest)
            reply(None)

    def stop(self, host: SimHost, reply: Reply, order: Stop) -> None:
        """End runs up to an epoch and refuse them for ever; answers once that is certain."""
        world, boot = self._world, host.boots
        facts = {"host": host.uuid, "vm": order.vm_uuid, "run_epoch": order.run_epoch, "server": order.server}
        world.tell(What.STOP_ARRIVED, **facts)
        present = host.book.guests.get(order.vm_uuid)
        if order.graceful and present is not None and present.run_epoch <= order.run_epoch and not present.starting:
            world.time.call_at(world.time.now() + world.physics.vm_graceful_stop, self._end, host, reply, order, boot)
        else:
            self._end(host, reply, order, boot)

    def _end(self, host: SimHost, reply: Reply, order: Stop, boot: int) -> None:
        if self._wait_for_kernel(host, reply, lambda: self._end(host, reply, order, boot)):
            return
        if host.condition is not Condition.UP or host.boots != boot:
            return
        ended = host.book.revoke(order.vm_uuid, order.run_epoch)
        host.save()
        if ended is not None:
            host.drop_guest(ended, "stopped")
        world = self._world
        world.time.call_at(world.time.now() + (world.physics.vm_stop if ended else 0.0), reply, None)

    def orders(self, host: SimHost, reply: Reply, ha_on: bool) -> None:
        """Standing orders of the host's owner."""
        host.take_orders(ha_on)
        reply(None)

    def granted(self, host: SimHost, grant: LifeGrant) -> None:
        """The owner's grant arrives. One of another boot is nobody's."""
        if host.speaking and grant.boot_id == host.boot_id:
            host.lease.grant(grant.sequence, grant.owner_epoch)

    def inventory(self, host: SimHost, reply: Reply) -> None:
        """Every VM the host has."""
        reply(tuple(guest.report() for guest in host.book.guests.values()))

    def reboot(self, host: SimHost, reply: Reply, vm_uuid: str, run_epoch: int) -> None:
        """Reboot a guest within its run."""
        guest = host.book.guests.get(vm_uuid)
        if guest is None or guest.run_epoch != run_epoch or guest.state is not GuestState.RUNNING:
            reply(Refused(f"{host.name}: run {run_epoch} of {vm_uuid} does not run here"))
        else:
            self._world.tell(What.GUEST_REBOOTED, host=host.uuid, vm=vm_uuid, run_epoch=run_epoch)
            self._world.time.call_at(self._world.time.now() + self._world.physics.vm_start, reply, None)

    def migrate(self, host: SimHost, reply: Reply, order: Move) -> None:
        """Move a running guest; answers once it runs there and not here."""
        guest = host.book.guests.get(order.spec.uuid)
        if guest is None or not guest.live or guest.starting:
            reply(Refused(f"{host.name}: {order.spec.name} does not run here"))
            return
        at = self._world.time.now() + self._world.physics.vm_migrate
        self._world.time.call_at(at, self._switch_over, host, reply, order, guest)

    def _switch_over(self, host: SimHost, reply: Reply, order: Move, guest: Guest) -> None:
        target, run_epoch = order.target, order.run_epoch
        if host.book.guests.get(guest.spec.uuid) is not guest or not guest.live or host.condition is not Condition.UP:
            reply(Unreachable(f"{host.name}: the migration of {guest.spec.name} was cut short"))
            return
        try:
            if not target.speaking or target.lease.lapsed():
                raise Refused(f"{target.name} cannot take {guest.spec.name} now")
            if run_epoch <= guest.run_epoch:
                raise Refused(f"run {run_epoch} of {guest.spec.name} is not newer than the one that moves")
            moved = target.book.admit(guest.spec, run_epoch)
        except Refused as refusal:
            reply(refusal)
            return
        host.book.revoke(guest.spec.uuid, guest.run_epoch)
        host.drop_guest(guest, f"moved to {target.name}")
        if moved is not None:
            moved.starting = False
            target.save()
            facts = {"host": target.uuid, "vm": guest.spec.uuid, "run_epoch": run_epoch, "server": order.server}
            self._world.tell(What.GUEST_BEGAN, **facts, detail=MOVED)
            self.report(target, moved)
        reply(None)
