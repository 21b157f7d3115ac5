"""One owned host: feeds the engine, writes down what it decides, and only then carries it out.

Invariant kept here: a decision has effect only after the batch that records it was committed under the present owner
epoch (S5, S8). If the batch is refused or its fate is unknown, the decision never happened, and the host is taken up
again from what the store says.
"""

import asyncio
import logging
from collections import deque
from dataclasses import replace
from math import inf
from operator import is_
from typing import TYPE_CHECKING

from holdfast.engine.brake import Domain
from holdfast.engine.explain import waiting_for
from holdfast.engine.host import next_due, step
from holdfast.engine.incident import (
    Alarm,
    AskActivity,
    AskHealth,
    CutPower,
    Decision,
    Heard,
    HostHa,
    Judged,
    Moved,
    Observation,
    ReadPower,
    Recover,
    Samples,
    Switched,
    Tick,
)
from holdfast.engine.policy import HostPolicy
from holdfast.engine.resumption import memory, resume
from holdfast.errors import Conflict, HoldfastError, OutcomeUnknown
from holdfast.hooks.store import Change, OwnedBy, Update
from holdfast.model import MAINTENANCE_STATES, HaConfig, HAEvent, HAState, Host, Json

from holdfast_manager import degraded_alert, returning, stuck_alert
from holdfast_manager.journal import as_json, from_json

if TYPE_CHECKING:
    from holdfast_manager.hosts import Hosts

log = logging.getLogger("holdfast.manager.host")

_KEPT = ("quarantined_from", "power_on", "roster", returning.KEPT, degraded_alert.KEPT, stuck_alert.KEPT)
_LIGHT = frozenset({HAEvent.PERFORM_ACTIVITY_CHECK, HAEvent.TOO_FEW_SAMPLES})
_EVENTFUL = frozenset(
    {HAState.SUSPECT, HAState.DEGRADED, HAState.RECOVERING, HAState.RECOVERED, HAState.FENCING, HAState.FENCED}
)
_REASONED = frozenset({HAState.INELIGIBLE, HAState.FENCED})
"""States that may last, whose reason is what people look for: a new one is stored although the state stays."""
_LIGHT_ROWS = 40
_LIGHT_SECONDS = 60.0
_RETRY_SECONDS = 0.5
_LOOKS = (AskHealth, AskActivity, ReadPower)
"""Decisions that only look: they need not be written down before they are carried out."""
_NEWEST_COUNTS = (Heard, Tick, Judged, Switched)
"""Observations of which an older one says nothing more once a newer one waits."""


class HostActor:
    """The running side of one `HostHa` record."""

    def __init__(self, hosts: "Hosts", host: Host, row: HaConfig, epoch: int) -> None:
        self.hosts = hosts
        self.desk = hosts.desk
        self.host = host
        self.row = row
        self.row_at = self.desk.clock.monotonic()
        """By then `row` was known: an inventory whose reading began earlier says nothing against it."""
        self.epoch = epoch
        self.gone = False
        self.stored_state: str | None = row.ha_state
        self.keep: dict[str, object] = {}
        """Further persisted facts that are not the engine's: where the quarantine came from, a power-on to do."""
        self.due = 0.0
        self._queue: deque[Observation] = deque()
        self._busy = False
        self._writing = asyncio.Lock()
        self._changed = asyncio.Event()
        self._script: str | None = None
        self._polling: tuple[float, str] | None = None
        self._judged: tuple[object, ...] = ()
        self._record = HostHa(host.uuid)
        self._light: list[Moved] = []
        self._light_flush_at = 0.0
        self._light_kept = 0
        self._light_again_at = 0.0
        self._words = Json("[]")
        """What the batch that is being written says that the host waits for."""

    @property
    def busy(self) -> bool:
        """Whether something is being worked off."""
        return self._busy

    # --- what the outside sees ---------------------------------------------------------------------------------

    @property
    def record(self) -> HostHa:
        """The engine's record of the host, as of its last committed step."""
        return self._record

    def policy(self) -> HostPolicy:
        """The policy in effect for the host."""
        provider = self.desk.provider(self.row.provider) if self.row.provider else None
        defaults = None
        if provider is not None:
            try:
                defaults = provider.defaults_for(self.desk.inventory.host_view(self.host))
            except Exception:
                log.exception("HA provider %s failed in defaults_for; the settings alone count", self.row.provider)
        return self.hosts.policy(self.host, defaults)

    def domains(self) -> tuple[Domain, ...]:
        """The host's failure domains."""
        return self.hosts.census.domains(self.host)

    def waiting_for(self) -> tuple[str, ...]:
        """What the host waits for, in words, now."""
        said = waiting_for(self._record, self.desk.clock.monotonic(), self.policy(), self.domains())
        return said + self.hosts.words_of_return(self, True)

    def take_up(self) -> None:
        """Go on from what the store says."""
        kept = from_json(self.row.incident)
        self.keep = {key: value for key, value in kept.items() if key in _KEPT}
        state = _state(self.row.ha_state)
        self._record, decisions = resume(self.host.uuid, state, kept, self.desk.clock.monotonic(), self.policy())
        if state in _REASONED:
            in_maintenance = self.host.resource_state in MAINTENANCE_STATES
            self._record = self._record._replace(reason=self.row.reason, maintenance=in_maintenance)
        elif self._record.state is HAState.FENCING:
            self._record = self._record._replace(reason=self.row.reason)
        self.stored_state = self.row.ha_state
        self._light = []
        self._publish()
        for decision in decisions:
            self.hosts.effects.carry_out(self, decision)
        self._schedule()

    def set_polling(self, seconds: float, revision: str) -> None:
        """Whether the host's provider wants to be asked about health at every poll (0: no), and under which script.

        A new script starts the host's counters afresh.
        """
        self._polling = (seconds, revision)
        if not self._writing.locked():
            self._take_polling()

    def _take_polling(self) -> None:
        """Never while a step is being stored: the record that it leads to would undo this."""
        if self._polling is None:
            return
        (seconds, revision), self._polling = self._polling, None
        fresh = self._script is not None and revision != self._script
        self._script = revision
        if fresh:
            self._record = self._record._replace(samples=Samples(), recoveries=0)
        if self._record.poll_every != seconds:
            due = self.desk.clock.monotonic() if seconds else inf
            self._record = self._record._replace(poll_every=seconds, health_due=due, health_busy=False)
            self._schedule()

    def note_judged(self, neighbours: int) -> None:
        """With so many neighbours, and by the present inventory, there is nothing to tell of the host's eligibility."""
        self._judged = (self.desk.inventory, self.row, self._record, neighbours)

    def is_judged(self, neighbours: int) -> bool:
        """Whether nothing has changed since that was noted."""
        now = (self.desk.inventory, self.row, self._record, neighbours)
        return len(self._judged) == len(now) and all(map(is_, self._judged, now))

    async def idle(self) -> None:
        """Return once nothing that was told is left to be worked off."""
        while self._busy and not self.gone:
            await self.next_change(1.0)

    async def next_change(self, seconds: float) -> None:
        """Return when the host has taken a step, or after `seconds`."""
        waker = asyncio.get_running_loop().call_later(max(0.0, seconds), self._changed.set)
        self._changed.clear()
        await self._changed.wait()
        waker.cancel()

    def tell(self, observation: Observation) -> None:
        """Hand the engine an observation; it is worked off in order, on the event loop."""
        if self.gone:
            return
        if self._queue and isinstance(observation, _NEWEST_COUNTS):
            self._queue = deque(one for one in self._queue if type(one) is not type(observation))
        self._queue.append(observation)
        if not self._busy:
            self._busy = True
            self.desk.spawn(self._work())

    # --- the loop ----------------------------------------------------------------------------------------------

    async def _work(self) -> None:
        try:
            while self._queue and not self.gone:
                await self._one(self._queue.popleft())
        finally:
            self._busy = False
            self._changed.set()

    async def _one(self, observation: Observation) -> None:
        if not self.desk.membership.owns(self.host.uuid):
            self._queue.clear()  # late news of a host that is not ours any more (S5)
            return
        async with self._writing:
            self._take_polling()
            decisions = await self._decide(observation)
            self._take_polling()
        if decisions is None:
            # Nothing was decided, for nothing was written (S6). What was seen still counts, for as long as it is fresh.
            self._queue.appendleft(observation)
            await self.hosts.pause(_RETRY_SECONDS)
            return
        if self.gone or not self.desk.membership.owns(self.host.uuid):
            return
        for decision in decisions:
            self.hosts.effects.carry_out(self, decision)

    async def _decide(self, observation: Observation) -> tuple[Decision, ...] | None:
        """One step, written down. Empty if nothing was decided or another was first; None if the store is away."""
        now = self.desk.clock.monotonic()
        after, decisions = step(self._record, observation, now, self.policy(), self.domains())
        kept = dict(self.keep)
        try:
            if any(isinstance(decision, (CutPower, Recover)) for decision in decisions):
                # Hosts of other servers may have fallen silent since the tables were polled (S7).
                await self.hosts.count_others()
                now = self.desk.clock.monotonic()
                after, decisions = step(self._record, observation, now, self.policy(), self.domains())
            if decisions:
                await self._write(after, decisions)
        except (Conflict, OutcomeUnknown) as problem:
            log.warning("host %s: a step was not stored, taking it up again: %s", self.host.name, problem)
            self.desk.spawn(self.hosts.reread(self))
            return ()
        except HoldfastError as problem:
            log.warning("host %s: the store does not take a step: %s", self.host.name, problem)
            self.keep = kept
            return None
        self._record = after
        if decisions:
            self._publish()
        elif self._is_told_otherwise():
            self.desk.spawn(self._tell_reason())
        self._schedule()
        return decisions

    def _is_told_otherwise(self) -> bool:
        """Whether the row says what is so no more of a host that stays where it is, and whose words tell no time."""
        known = self._record
        if known.state not in _REASONED or self.stored_state != known.state:
            return False
        return (self.row.reason, self.row.waiting_for) != (known.reason, self._waiting(known))

    def _publish(self) -> None:
        self.desk.states[self.host.id] = self._record.state
        self.hosts.census.note(self.host.id, self._record.state)

    def _schedule(self) -> None:
        self.due = next_due(self._record)
        if self._light:
            self.due = min(self.due, self._light_flush_at)
        self.hosts.schedule(self)

    def on_due(self) -> None:
        """The time that the engine asked for has come."""
        if self._light and self.desk.clock.monotonic() >= self._light_flush_at:
            self._light_flush_at = inf
            self.desk.spawn(self._flush_light())
        self.tell(Tick())

    # --- writing -----------------------------------------------------------------------------------------------

    async def _write(self, after: HostHa, decisions: tuple[Decision, ...]) -> None:
        moves = [decision for decision in decisions if isinstance(decision, Moved)]
        alarms = [decision for decision in decisions if isinstance(decision, Alarm)]
        looks = all(isinstance(decision, (Moved, *_LOOKS)) for decision in decisions)
        if looks and all(move.event in _LIGHT for move in moves):
            self._keep_light(moves)
            return
        more = await self.hosts.effects.together_with(self, decisions)
        alarms = await self.hosts.domain_alarms.news(self, alarms)
        changes: list[Change] = [*self._state_change(after), *self._rows([*self._light, *moves]), *more]
        changes += [self.hosts.domain_alarms.row(self.host, alarm) for alarm in alarms]
        try:
            await self.desk.memory.commit(changes)
        except HoldfastError:
            self.hosts.domain_alarms.forget(alarms)
            raise
        self._light, self._light_kept = [], 0
        self.hosts.effects.notify(self, moves, alarms)
        self._stored(after)

    def _keep_light(self, moves: list[Moved]) -> None:
        """Keep flips for the story, but not for ever: hosts that stay undecided (a brake, a dark pool) would write
        rows without end. After the first ones, one pair a minute shows that it still looks."""
        now = self.desk.clock.monotonic()
        if not moves or (self._light_kept >= _LIGHT_ROWS and now < self._light_again_at):
            return
        if not self._light:
            self._light_flush_at = now + 1.0
        self._light += moves
        self._light_kept += len(moves)
        self._light_again_at = now + _LIGHT_SECONDS

    def _state_change(self, after: HostHa) -> list[Change]:
        self._words = self._waiting(after)
        values = {
            "ha_state": after.state, "update_count": self.row.update_count + 1, "update_time": self.desk.journal.now(),
            "reason": after.reason, "waiting_for": self._words,
            "incident": as_json({**memory(after), **self.keep}), "mgmt_server_id": self.desk.msid,
        }  # fmt: skip
        expect = {"update_count": self.row.update_count, "ha_state": self.stored_state, "enabled": self.row.enabled}
        return [OwnedBy(self.host.id, self.epoch), Update(HaConfig, self.row.id, values, expect)]

    def _waiting(self, record: HostHa) -> Json:
        said = waiting_for(record, self.desk.clock.monotonic(), self.policy(), self.domains())
        # Those that tell of the return say nothing of how far it is: that would be another text each time.
        return as_json([*said, *(self.hosts.words_of_return(self, False) if record.state is HAState.FENCED else ())])

    def _rows(self, moves: list[Moved]) -> list[Change]:
        rows: list[Change] = [self.desk.journal.transition(self.host.id, move, self.epoch) for move in moves]
        for move in moves:
            if move.target in _EVENTFUL and move.event not in _LIGHT:
                text = f"host {self.host.name}: {move.source or 'new'} -> {move.target} ({move.event}): {move.reason}"
                level = "INFO" if move.target in (HAState.SUSPECT, HAState.RECOVERED) else "WARN"
                rows.append(
                    self.desk.journal.event(
                        "HA.STATE.TRANSITION", text, resource=self.host.uuid, level=level, evidence=move.evidence
                    )
                )
        return rows

    def _stored(self, after: HostHa) -> None:
        self.row = replace(
            self.row, ha_state=after.state, update_count=self.row.update_count + 1, reason=after.reason,
            waiting_for=self._words, incident=as_json({**memory(after), **self.keep}),
        )  # fmt: skip
        self.stored_state = after.state

    async def remember(self, *more: Change, token: int | None = None) -> bool:
        """Store the present record and `keep`, with further changes, in one batch. Raises what the store raises.

        False, and nothing is stored, if the host is given up or has moved on from the generation of `token`.
        """
        async with self._writing:
            if self.gone or token not in (None, self._record.token):
                return False
            await self.desk.memory.commit([*self._state_change(self._record), *more])
            self._stored(self._record)
            return True

    async def _tell_reason(self) -> None:
        """Store why the host is still where it is. Losing that loses no safety, only what is shown."""
        try:
            if self._is_told_otherwise():  # else it was told together with something else meanwhile
                await self.remember()
        except HoldfastError as problem:
            self._not_stored("why it is where it is", problem)

    async def _flush_light(self) -> None:
        """Store the Suspect-Checking flips that piled up. Losing them loses no safety, only lines of the story."""
        async with self._writing:
            moves, self._light = self._light, []
            if not moves or self.gone:
                return
            try:
                await self.desk.memory.commit([*self._state_change(self._record), *self._rows(moves)])
                self._stored(self._record)
            except HoldfastError as problem:
                self._not_stored("transitions", problem)

    def _not_stored(self, what: str, problem: HoldfastError) -> None:
        log.info("host %s: not stored: %s: %s", self.host.name, what, problem)
        if isinstance(problem, (Conflict, OutcomeUnknown)):
            self.desk.spawn(self.hosts.reread(self))


def _state(text: str | None) -> HAState | None:
    try:
        return HAState(text) if text else None
    except ValueError:
        return None
