"""Grants of life: the owner's word to hosts whose storage answers nobody, so that they do not reset themselves.

A host whose beats get through to no pool says in its beats that it is adrift. Left alone, it resets itself rather than
risk that its VMs run twice. Its owner, who hears it, knows better, and says so by a grant.

What makes it safe (decision 0031): a grant names a beat that was heard *before* a renewal of this server's lease was
asked for, and is given only once the coordinator has confirmed that renewal. So that beat was sent while this server
was the owner, by everybody's clock and however late the grant comes; and it renews the host's lease from when it was
sent. A later owner counts from its takeover, and this one from the last beat that it heard: see `Effects`.

What it is for: an outage of all storage. A host that alone has lost its pools, while a neighbour reaches them and sees
its beats stand still, is left to reset itself, and its VMs start where the storage answers.
"""

import logging
from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING

from holdfast.errors import HoldfastError
from holdfast.model import Opinion
from holdfast.model.views import LifeGrant

from holdfast_manager.adrift_story import AdriftStory, Turn
from holdfast_manager.desk import Desk

if TYPE_CHECKING:
    from holdfast_manager.actor import HostActor
    from holdfast_manager.hosts import Hosts

log = logging.getLogger("holdfast.manager.grants")

_LOOK_SECONDS = 2.0
_LOOK_EVERY = 2.0
_FIRST_WORD = 1.5
"""Seconds for which the first look may delay the first grant. By then half of the host's lease is left, or less."""
_TELL_AFTER = 3.0
"""Seconds of grants before anybody is told: a pool that was slow for a moment is no outage."""
_PATIENCE = 60.0
"""After an outage for everybody, hosts find back to their storage one by one; so long after the first, the last is one
that alone has no way to it."""


@dataclass(slots=True)
class _Spell:
    """One host's time adrift. Times are monotonic seconds of this server."""

    since: float
    next_look: float = -inf
    looking: bool = False
    alone: bool = False
    """By the newest look: a neighbour reaches one of its pools, and sees its beat stand still there."""
    shared_at: float = -inf
    """When a look last said otherwise."""
    told: Turn = Turn.OVER

    def is_left_alone(self, now: float) -> bool:
        """Whether the host is the only one of those around it without storage."""
        return self.alone and now - self.shared_at >= _PATIENCE

    def is_judged(self, now: float) -> bool:
        """Whether enough is known to grant: a look has ended, or takes too long."""
        return self.alone or self.shared_at > -inf or now - self.since >= _FIRST_WORD


class LifeGrants:
    """Of all hosts of this server. Event loop only."""

    def __init__(self, desk: Desk, hosts: "Hosts") -> None:
        self._desk = desk
        self._hosts = hosts
        self._spells: dict[str, _Spell] = {}
        self._story = AdriftStory(desk)

    def heard(self) -> tuple[LifeGrant, ...]:
        """The newest beat of each host that is adrift. To be called before the renewal of the lease is asked for."""
        links, epochs = self._desk.links, self._desk.membership.epochs
        found = []
        for uuid in list(links.adrift):
            link, epoch = links.links.get(uuid), epochs.get(uuid, 0)
            beat = link.adrift_beat if link is not None else None
            if beat is not None and epoch:
                found.append(LifeGrant(uuid, beat.boot_id, beat.sequence, epoch))
        return tuple(found)

    def give(self, heard: tuple[LifeGrant, ...]) -> None:
        """The renewal that was asked for after `heard` is confirmed: grant what is wanted. Returns at once."""
        now = self._desk.clock.monotonic()
        self._follow(now)
        for grant in heard:
            actor, spell = self._hosts.actors.get(grant.host_uuid), self._spells.get(grant.host_uuid)
            if actor is None or spell is None or not self._may_grant(actor, grant):
                continue
            if not spell.looking and now >= spell.next_look:
                spell.looking = True
                self._desk.spawn(self._look(actor, spell))
            if spell.is_left_alone(now):
                self._tell(actor, spell, Turn.LEFT)
            elif spell.is_judged(now):
                if now - spell.since >= _TELL_AFTER:
                    self._tell(actor, spell, Turn.GRANTED)
                self._send(actor, grant)

    def words(self, uuid: str) -> tuple[str, ...]:
        """What there is to say of a host that is adrift, for an explanation; () of any other.

        Of a host in doubt as well: whatever its last beat said, it is granted nothing.
        """
        spell, actor = self._spells.get(uuid), self._hosts.actors.get(uuid)
        if spell is None or actor is None or uuid not in self._desk.links.adrift:
            return ()
        if not self._desk.is_undoubted(actor.host):
            return ()
        return () if spell.told is Turn.OVER else (f"its storage: {spell.told}",)

    def _may_grant(self, actor: "HostActor", grant: LifeGrant) -> bool:
        """Still owned under that epoch, and not in doubt: a host that is suspected or fenced is not kept alive."""
        owned = self._desk.membership.epochs.get(grant.host_uuid) == grant.owner_epoch == actor.epoch
        return owned and not actor.gone and self._desk.is_undoubted(actor.host)

    def _tell(self, actor: "HostActor", spell: _Spell, turn: Turn) -> None:
        if spell.told is not turn:
            spell.told = turn
            self._story.tell(actor.host, turn)

    def _send(self, actor: "HostActor", grant: LifeGrant) -> None:
        try:
            self._desk.hypervisor(actor.host).grant_life(grant)
        except Exception as problem:
            log.warning("host %s was not granted life: %s", actor.host.name, problem)

    # --- whose storage is out ------------------------------------------------------------------------------------

    def _follow(self, now: float) -> None:
        """Spells begin and end with what the beats say."""
        adrift = self._desk.links.adrift
        for uuid in [uuid for uuid in self._spells if uuid not in adrift]:
            spell, actor = self._spells.pop(uuid), self._hosts.actors.get(uuid)
            if actor is not None:
                self._tell(actor, spell, Turn.OVER)
        for uuid in list(adrift):
            self._spells.setdefault(uuid, _Spell(now))
        actors = (self._hosts.actors.get(uuid) for uuid, spell in self._spells.items() if spell.told is Turn.GRANTED)
        self._story.still_away(actor.host.cluster_id for actor in actors if actor is not None)

    async def _look(self, actor: "HostActor", spell: _Spell) -> None:
        """Let neighbours look at its pools. Whoever cannot look says nothing against it."""
        desk = self._desk
        try:
            found = await desk.pool("adrift").call(_LOOK_SECONDS, desk.probes(actor.host).heartbeats)
        except HoldfastError:
            found = ()
        now = desk.clock.monotonic()
        spell.alone = any(piece.read_at(now) is Opinion.DEAD for piece in found)
        if not spell.alone:
            spell.shared_at = now
            desk.ask_others(actor.host)  # these may never have seen its beat move
        spell.looking, spell.next_look = False, now + _LOOK_EVERY
