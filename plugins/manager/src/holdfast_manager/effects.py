"""Carrying out what the engine decided about a host. Each effect runs alone, in its own bounded pool, with a deadline.

Results go back to the engine as observations with the token they were asked under; what comes late is dropped there.
"""

import logging
from typing import TYPE_CHECKING

from holdfast.engine.incident import (
    ActivitySeen,
    Alarm,
    AskActivity,
    AskHealth,
    CutDone,
    CutPower,
    Decision,
    HealthSeen,
    Moved,
    PowerOn,
    PowerRead,
    Prepare,
    Prepared,
    Proven,
    ReadPower,
    Recover,
    RecoverDone,
    Release,
)
from holdfast.errors import Conflict, HoldfastError, OutcomeUnknown
from holdfast.hooks.provider import ActionOutcome, HaProvider
from holdfast.hooks.store import Change, OwnedBy, Update
from holdfast.model import (
    Evidence,
    HAEvent,
    HAState,
    Host,
    HostStatus,
    Kind,
    Opinion,
    PowerAction,
    ResourceState,
)

from holdfast_manager import returning
from holdfast_manager.census import UNWATCHED
from holdfast_manager.degraded_alert import DegradedAlert
from holdfast_manager.desk import Desk
from holdfast_manager.disks_of_hosts import DisksOfHosts
from holdfast_manager.restart_schedule import schedule_restarts
from holdfast_manager.runs_of_hosts import RunsOfHosts
from holdfast_manager.shared_reads import SharedReads
from holdfast_manager.stuck_alert import StuckAlert
from holdfast_manager.unwatched_alert import UnwatchedAlert

if TYPE_CHECKING:
    from collections.abc import Callable

    from holdfast_manager.actor import HostActor
    from holdfast_manager.hosts import Hosts

log = logging.getLogger("holdfast.manager.effects")

_RETRY_SECONDS = 0.5
_POWER_ON_TRIES = 5
_POWER_ON_SECONDS = 10.0


class Effects:
    """The hands of the manager, for hosts."""

    def __init__(self, desk: Desk, hosts: "Hosts", kick_restarts: "Callable[[], None]") -> None:
        self._desk = desk
        self._hosts = hosts
        self._kick_restarts = kick_restarts
        self._runs = RunsOfHosts(desk)
        self._rows: SharedReads[Host] = SharedReads(desk, Host, "id")
        self._disks = DisksOfHosts(desk, self._runs)
        self._degraded = DegradedAlert(desk)
        self._stuck = StuckAlert(desk)
        self.unwatched = UnwatchedAlert(desk, self._runs)

    # --- in the same batch as the decision ----------------------------------------------------------------------

    async def together_with(self, actor: "HostActor", decisions: tuple[Decision, ...]) -> list[Change]:
        """What has to be stored in the very batch that stores these decisions."""
        changes = await self._degraded.together_with(actor, decisions)
        changes += await self._stuck.together_with(actor, decisions)
        changes += await self.unwatched.together_with(actor, decisions)
        for decision in decisions:
            if isinstance(decision, Prepare):
                changes += await self._quarantine(actor)
            elif isinstance(decision, Release):
                survived = any(isinstance(one, Moved) and one.target is HAState.AVAILABLE for one in decisions)
                changes += await self._release(actor, decision, survived)
            elif isinstance(decision, Proven):
                changes += await self._proven(actor, decision)
            elif isinstance(decision, PowerOn):
                actor.keep["power_on"] = True
            elif isinstance(decision, CutPower):
                text = f"cut the power of host {actor.host.name}, attempt {decision.attempt}"
                evidence = actor.record.fence.reads if actor.record.fence else ()
                changes.append(
                    self._desk.journal.event(
                        "HA.FENCE", text, resource=actor.host.uuid, level="WARN", evidence=evidence
                    )
                )
            elif isinstance(decision, Moved):
                changes += self._status(actor, decision)
        return changes

    def _status(self, actor: "HostActor", move: Moved) -> list[Change]:
        """Disconnected once it is suspected, Up once it is back. What the row said when it was last read does not count
        for a host in doubt: it may have gone and come since."""
        was = actor.record.state
        if move.target is HAState.SUSPECT:
            status = HostStatus.DISCONNECTED
        elif move.target is HAState.AVAILABLE and was is not None and self._answers(actor, move):
            status = HostStatus.UP
        else:
            return []
        settled = was in UNWATCHED and actor.host.status == status
        if settled or actor.host.status == HostStatus.CONNECTING:
            return []
        return [Update(Host, actor.host.id, {"status": status, "mgmt_server_id": self._desk.msid})]

    def _answers(self, actor: "HostActor", move: Moved) -> bool:
        """Available says that host HA is on and nothing is suspected yet, which a silent host may well be."""
        heard = self._desk.links.heard_within(actor.host.uuid, self._desk.silent_after())
        return heard or move.event is HAEvent.HEALTH_CHECK_PASSED

    async def _quarantine(self, actor: "HostActor") -> list[Change]:
        """No starts on this host from here on. `alloc_version` makes any start that is being planned fail (S8)."""
        found = await self._rows.of(actor.host.id)
        if not found:
            return []
        fresh = found[0]
        if fresh.resource_state != ResourceState.MAINTENANCE:
            actor.keep["quarantined_from"] = fresh.resource_state
        values = {"resource_state": ResourceState.MAINTENANCE, "alloc_version": fresh.alloc_version + 1}
        return [Update(Host, fresh.id, values, {"alloc_version": fresh.alloc_version})]

    async def _release(self, actor: "HostActor", decision: Release, survived: bool) -> list[Change]:
        before = actor.keep.pop("quarantined_from", None)
        actor.keep.pop("roster", None)
        event = self._desk.journal.event(
            "HA.FENCE", f"host {actor.host.name} is released: {decision.reason}", resource=actor.host.uuid
        )
        if not isinstance(before, str):
            return [event]
        # Released because HA was switched off, it may well be dead: nothing is to be started there.
        lives = survived or self._desk.links.heard_within(actor.host.uuid, self._desk.silent_after())
        status = HostStatus.UP if lives else HostStatus.DISCONNECTED
        return [Update(Host, actor.host.id, {"resource_state": before, "status": status}), event]

    async def _proven(self, actor: "HostActor", decision: Proven) -> list[Change]:
        """Fenced, runs ended and restarts scheduled: one batch, so that no crash can come between them."""
        changes = await schedule_restarts(self._desk, self._runs, actor.host, decision.proof)
        actor.keep.pop("roster", None)
        returning.note(actor, actor.keep.pop("quarantined_from", None), decision.proof)
        now = self._desk.journal.now()
        # Had somebody lifted the quarantine by hand meanwhile, a run might have slipped in: then prepare afresh.
        still = {"resource_state": ResourceState.MAINTENANCE}
        changes.append(Update(Host, actor.host.id, {"status": HostStatus.DOWN, "disconnected": now}, still))
        text = f"host {actor.host.name} is fenced ({decision.proof.kind}); its HA VMs are restarted elsewhere"
        changes.append(self._desk.journal.alert("ALERT.HA.ACTION", text, text, actor.host))
        return changes

    # --- afterwards ------------------------------------------------------------------------------------------

    def notify(self, actor: "HostActor", moves: list[Moved], alarms: list[Alarm]) -> None:
        """Tell the outside what was just stored."""
        for move in moves:
            log.info(
                "host %s: %s -> %s (%s): %s",
                actor.host.name,
                move.source or "new",
                move.target,
                move.event,
                move.reason,
            )
            self._hosts.notices(actor.host, "event", "HA.STATE.TRANSITION", f"{move.target}: {move.reason}")
        for alarm in alarms:
            log.warning("host %s: %s: %s", actor.host.name, alarm.name, alarm.text)

    def carry_out(self, actor: "HostActor", decision: Decision) -> None:
        """Start what the decision asks for; returns at once."""
        spawn = self._desk.spawn
        if isinstance(decision, AskHealth):
            spawn(self._ask_health(actor, decision.token))
        elif isinstance(decision, AskActivity):
            spawn(self._ask_activity(actor, decision.token))
        elif isinstance(decision, Recover):
            spawn(self._recover(actor, decision.token))
        elif isinstance(decision, Prepare):
            spawn(self._prepare(actor, decision.token))
        elif isinstance(decision, CutPower):
            spawn(self._cut(actor, decision.token))
        elif isinstance(decision, ReadPower):
            spawn(self._read_power(actor, decision.token))
        elif isinstance(decision, Proven):
            self._kick_restarts()
        elif isinstance(decision, PowerOn):
            spawn(self.power_on(actor))
        elif isinstance(decision, Moved) and decision.target is HAState.SUSPECT:
            spawn(self._desk.usage.warm(actor.host.data_center_id))

    def _may_act(self, actor: "HostActor") -> bool:
        return not actor.gone and self._desk.membership.owns(actor.host.uuid)

    async def _observe(
        self, actor: "HostActor", pool: str, setting: str, method: str, kind: Kind, with_disks: bool = False
    ) -> tuple[Evidence, ...]:
        """One look through the provider; what goes wrong is `unknown` evidence (S2)."""
        provider = self._provider(actor)
        deadline = self._desk.inventory.settings.number(setting, cluster=actor.host.cluster_id)
        try:
            if provider is None:
                raise HoldfastError(f"HA provider {actor.row.provider!r} cannot be used")
            disks = await self._disks.of(actor.host) if with_disks else {}
            view, probes = self._desk.inventory.host_view(actor.host), self._desk.probes(actor.host, disks=disks)
            found = await self._desk.pool(pool).call(deadline, getattr(provider, method), view, probes)
        except Exception as problem:
            if not isinstance(problem, HoldfastError):
                log.exception("HA provider %s failed in %s", actor.row.provider, method)
            return (self._unknown(actor, kind, f"{method}: {type(problem).__name__}"),)
        return found if isinstance(found, tuple) else (found,)

    def _unknown(self, actor: "HostActor", kind: Kind, text: str) -> Evidence:
        source = actor.row.provider or "no provider"
        return Evidence(kind, actor.host.uuid, Opinion.UNKNOWN, source, self._desk.clock.monotonic(), text)

    def _provider(self, actor: "HostActor") -> HaProvider | None:
        return self._desk.provider(actor.row.provider) if actor.row.provider else None

    async def _ask_health(self, actor: "HostActor", token: int) -> None:
        found = await self._observe(actor, "health", "kvm.ha.health.check.timeout", "check_health", Kind.AGENT)
        actor.tell(HealthSeen(token, found))

    async def _ask_activity(self, actor: "HostActor", token: int) -> None:
        found = await self._observe(
            actor, "activity", "kvm.ha.activity.check.timeout", "check_activity", Kind.HEARTBEAT, with_disks=True
        )
        # Not for want of an answer about disks: a neighbour that has only begun to watch them answers the next time.
        beats = {piece.opinion for piece in found if piece.kind is Kind.HEARTBEAT}
        if Opinion.UNKNOWN in beats and not any(piece.opinion is Opinion.ALIVE for piece in found):
            self._desk.ask_others(actor.host)
        actor.tell(ActivitySeen(token, (*found, self._ungranted(actor))))

    def _ungranted(self, actor: "HostActor") -> Evidence:
        """For how long nobody can have granted the host life (see `life_grants`): since it was heard or taken over."""
        desk, link = self._desk, self._desk.links.links.get(actor.host.uuid)
        lasting = desk.clock.monotonic() - link.heard_at if link is not None else 0.0
        opinion = Opinion.DEAD if link is not None and lasting >= desk.silent_after() else Opinion.UNKNOWN
        text = f"no owner can have granted it life for {lasting:.1f} s"
        return Evidence(
            Kind.GRANT, actor.host.uuid, opinion, desk.name, desk.clock.monotonic(), text, max_age=5.0, lasting=lasting
        )

    async def _read_power(self, actor: "HostActor", token: int) -> None:
        if not self._may_act(actor):
            return
        (found, *_) = await self._observe(actor, "fence", "kvm.ha.power.check.timeout", "read_back", Kind.POWER)
        actor.tell(PowerRead(token, found))

    async def _act(self, actor: "HostActor", token: int, pool: str, setting: str, method: str) -> ActionOutcome:
        """One attempt through the provider. Nothing more is sent once the engine has moved on from it."""
        provider = self._provider(actor)
        usual = self._desk.inventory.settings.number(setting, cluster=actor.host.cluster_id)
        deadline = self._desk.fence_seconds(actor.host, usual)
        if provider is None:
            return ActionOutcome(False, f"HA provider {actor.row.provider!r} cannot be used")
        try:
            view = self._desk.inventory.host_view(actor.host)
            probes = self._desk.probes(actor.host, lambda: actor.record.token == token)
            found: ActionOutcome = await self._desk.pool(pool).call(deadline, getattr(provider, method), view, probes)
        except HoldfastError as problem:
            return ActionOutcome(False, f"{method}: {problem}")
        except Exception:
            log.exception("HA provider %s failed in %s", actor.row.provider, method)
            return ActionOutcome(False, f"the HA provider failed in {method}")
        return found

    async def _recover(self, actor: "HostActor", token: int) -> None:
        if not self._may_act(actor):
            return
        outcome = await self._act(actor, token, "recovery", "kvm.ha.recover.timeout", "recover")
        actor.tell(RecoverDone(token, outcome.accepted, outcome.detail))

    async def _cut(self, actor: "HostActor", token: int) -> None:
        if not self._may_act(actor):
            return
        outcome = await self._act(actor, token, "fence", "kvm.ha.fence.timeout", "fence")
        actor.tell(CutDone(token, outcome.accepted, outcome.detail))

    async def _prepare(self, actor: "HostActor", token: int) -> None:
        """Write down which runs were on the host, now that no other can join them (S8)."""
        while self._may_act(actor) and actor.record.token == token:
            try:
                live = await self._runs.permits(actor.host.id)
                actor.keep["roster"] = sorted([permit.vm_id, permit.run_epoch] for permit in live)
                if not await actor.remember(*await self._quarantine_again(actor), token=token):
                    return
            except (Conflict, OutcomeUnknown) as problem:
                log.warning("host %s: the roster was not stored: %s", actor.host.name, problem)
                await self._hosts.reread(actor)
                return
            except HoldfastError as problem:
                log.warning("host %s: the store does not take the roster: %s", actor.host.name, problem)
                await self._hosts.pause(_RETRY_SECONDS)
                continue
            actor.tell(Prepared(token))
            return

    async def _quarantine_again(self, actor: "HostActor") -> list[Change]:
        """After a crash the quarantine may have been lifted by hand; without it there is no roster to trust."""
        fresh = await self._desk.memory.get(Host, actor.host.id)
        if fresh is None or fresh.resource_state == ResourceState.MAINTENANCE:
            return []
        return await self._quarantine(actor)

    async def power_on(self, actor: "HostActor") -> None:
        """Power a fenced host on again, unless an operator ordered it off; then forget that it was to be done."""
        devices = self._desk.inventory.fence_devices.get(actor.host.id, ())
        deadline = self._desk.fence_seconds(actor.host, _POWER_ON_SECONDS)
        for _ in range(_POWER_ON_TRIES):
            if not self._may_act(actor) or actor.record.state is not HAState.FENCED:
                return
            if not devices or any(row.ordered_state == "Off" for row in devices):
                break
            probes = self._desk.probes(actor.host)
            try:
                outcome = await self._desk.pool("fence").call(deadline, probes.switch_power, PowerAction.ON)
            except HoldfastError as problem:
                outcome = ActionOutcome(False, str(problem))
            if outcome.accepted:
                break
            log.info("host %s was not powered on again: %s", actor.host.name, outcome.detail)
            await self._hosts.pause(5.0)
        actor.keep.pop("power_on", None)
        try:
            await actor.remember(OwnedBy(actor.host.id, actor.epoch))
        except HoldfastError as problem:
            log.info("host %s: the end of the power-on was not stored: %s", actor.host.name, problem)
