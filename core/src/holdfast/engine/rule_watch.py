"""A second opinion on the engine: watches the steps of one host from outside and says which safety rule one breaks.

It shares no deciding code with the engine: it reads the observations itself and counts for itself, so that a fault in
the engine does not blind it too. Property tests, the mutation tests and the simulator use it. Pure, like the engine.
"""

from math import floor, inf

from holdfast.engine import incident as of
from holdfast.engine.brake import Domain
from holdfast.engine.host import next_due
from holdfast.engine.incident import Decision, HostHa, Observation, Stage
from holdfast.engine.policy import HostPolicy
from holdfast.engine.transitions import target
from holdfast.model.evidence import Evidence, Kind, ProofKind
from holdfast.model.states import HAEvent, HAState, Opinion

_ANSWERS: dict[type, type] = {
    of.HealthSeen: of.AskHealth,
    of.ActivitySeen: of.AskActivity,
    of.RecoverDone: of.Recover,
    of.Prepared: of.Prepare,
    of.CutDone: of.CutPower,
    of.PowerRead: of.ReadPower,
}
_ASKS = frozenset(_ANSWERS.values())
_WAITS_FOR_NOTHING = frozenset({None, HAState.AVAILABLE, HAState.INELIGIBLE, HAState.DISABLED, HAState.FENCED})
_SPEAKING = frozenset({Kind.LINK, Kind.AGENT})
_WRITING = frozenset({Kind.HEARTBEAT, Kind.ACTIVITY})


def says(piece: Evidence, opinion: Opinion, now: float) -> bool:
    """Whether the piece carries that opinion at `now`; stale and future-dated pieces carry none (S2)."""
    return piece.opinion is opinion and 0.0 <= now - piece.at <= piece.max_age


class RuleWatch:
    """Give it the record at the start (with what `resume` decided), then each step; `saw` returns the broken rules."""

    def __init__(self, host: HostHa, decisions: tuple[Decision, ...] = ()) -> None:
        self._asked: dict[type, int] = {}
        self._silent, self._armed, self._terms = host.silent, host.armed, host.lease
        # What an earlier process stored was judged then: a fence or recovery that it began goes on.
        self._condemned = host.state in (HAState.RECOVERING, HAState.FENCING)
        self._cause = host.fence.cause if host.fence else None
        self._declared = self._cause is HAEvent.DECLARED_DEAD
        self._outcome_open = host.fence is not None and host.fence.attempt > 0
        self._off_run, self._off_at, self._dead_run = 0, -inf, 0
        self._lease = self._prepared = False
        self._reads = self._untold = 0
        self._note(decisions, host.token)

    def saw(
        self,
        before: HostHa,
        observation: Observation,
        now: float,
        policy: HostPolicy,
        *,
        domains: tuple[Domain, ...],
        after: HostHa,
        decisions: tuple[Decision, ...],
    ) -> list[str]:
        """The rules that this step breaks, each as `S<n>: what is wrong`; empty if it is in order."""
        asked = _ANSWERS.get(type(observation))
        if asked is not None:
            if self._asked.get(asked) != observation.token:  # type: ignore[union-attr]
                same = after == before and not decisions
                return [] if same else [f"S5: {observation} answers nothing that is asked, yet it had an effect"]
            del self._asked[asked]
        self._learn(before, observation, now, policy)
        broken = [text for decision in decisions for text in self._judge(decision, now, policy, domains, after)]
        if after.token != before.token:
            self._asked = {}
        self._note(decisions, after.token)
        return broken + self._standing(before, after, decisions)

    def _note(self, decisions: tuple[Decision, ...], token: int) -> None:
        for decision in decisions:
            if type(decision) in _ASKS and decision.token == token:  # type: ignore[union-attr]
                self._asked[type(decision)] = token

    # --- what the observations tell --------------------------------------------------------------------------------

    def _learn(self, before: HostHa, observation: Observation, now: float, policy: HostPolicy) -> None:
        if isinstance(observation, of.Heard):
            self._armed, self._terms = observation.armed, observation.lease
            self._life(before)
        elif isinstance(observation, of.Silent):
            self._silent = True
        elif isinstance(observation, of.HealthSeen):
            self._learn_health(before, observation.evidence, now, policy)
        elif isinstance(observation, of.ActivitySeen):
            self._learn_activity(observation.evidence, now, policy)
        elif isinstance(observation, of.Prepared):
            self._prepared = True
        elif isinstance(observation, of.CutDone):
            self._reads = 0
        elif isinstance(observation, of.PowerRead):
            self._reads = self._reads + 1 if says(observation.evidence, Opinion.DEAD, now) else 0
        elif isinstance(observation, of.Declared):
            self._declared = True

    def _life(self, before: HostHa) -> None:
        self._silent = self._lease = False
        self._off_run = self._dead_run = 0
        waiting = before.fence is not None and before.fence.stage in (Stage.WAITING, Stage.LOOKING)
        if not self._outcome_open or waiting:
            self._condemned = False

    def _learn_health(self, before: HostHa, evidence: tuple[Evidence, ...], now: float, policy: HostPolicy) -> None:
        words = [piece for piece in evidence if piece.kind in _SPEAKING]
        chassis = [piece for piece in evidence if piece.kind is Kind.POWER]
        if any(says(piece, Opinion.ALIVE, now) for piece in words):
            self._life(before)
            return
        dead = any(says(piece, Opinion.DEAD, now) for piece in words)
        self._silent = self._silent or dead
        off = dead and bool(chassis) and all(says(piece, Opinion.DEAD, now) for piece in chassis)
        if off:
            recent = now - self._off_at <= policy.power_max_interval
            self._off_run, self._off_at = (self._off_run + 1 if recent else 1), now
        else:
            self._off_run = 0

    def _learn_activity(self, evidence: tuple[Evidence, ...], now: float, policy: HostPolicy) -> None:
        untold = [p for p in evidence if p.kind is Kind.ACTIVITY and p.opinion is Opinion.UNKNOWN and not p.answerable]
        pools = [piece for piece in evidence if piece.kind in _WRITING and piece not in untold]
        dead = bool(pools) and all(says(piece, Opinion.DEAD, now) for piece in pools)
        self._dead_run = self._dead_run + 1 if dead else 0
        beats = [piece for piece in pools if piece.kind is Kind.HEARTBEAT]
        lapsed = bool(beats) and all(
            says(piece, Opinion.DEAD, now) and piece.lasting > max(policy.dead_by_lease_after, self._terms.needs)
            for piece in beats
        )
        lapsed = lapsed and self._terms.pools <= {piece.pool for piece in beats}
        lapsed = lapsed and self._ungranted(evidence, now, policy)
        if lapsed and self._armed and self._silent and not any(says(piece, Opinion.ALIVE, now) for piece in pools):
            self._lease = True

    def _ungranted(self, evidence: tuple[Evidence, ...], now: float, policy: HostPolicy) -> bool:
        """Whether no owner can have granted the host life for as long as a lease proof takes."""
        words = [piece for piece in evidence if piece.kind is Kind.GRANT]
        shortest = min((piece.lasting if says(piece, Opinion.DEAD, now) else 0.0 for piece in words), default=0.0)
        return shortest > max(policy.dead_by_lease_after, self._terms.needs)

    # --- what the decisions may be ---------------------------------------------------------------------------------

    def _judge(
        self, decision: Decision, now: float, policy: HostPolicy, domains: tuple[Domain, ...], after: HostHa
    ) -> list[str]:
        if isinstance(decision, of.Moved):
            return self._judge_move(decision, policy, domains)
        if isinstance(decision, of.Alarm) and decision.name == "ALERT.HA.FENCE.STUCK":
            self._untold = 0
        if isinstance(decision, of.Recover):
            held = ["S7: a recovery while the brake holds"] if _brake_holds(domains, policy) else []
            return held + ([] if self._condemned else ["S4: a recovery of a host that nothing condemned"])
        if isinstance(decision, of.Prepare) and not (self._condemned or self._declared):
            if self._cause is HAEvent.LEASE_EXPIRED:
                return ["S1: a fence was begun on a lease that has not lapsed everywhere under an armed watchdog"]
            return ["S4: a fence was begun without two independent witnesses"]
        if isinstance(decision, of.CutPower):
            return self._judge_cut(policy, domains, after)
        if isinstance(decision, of.Proven):
            return self._judge_proof(decision, now, policy)
        return []

    def _judge_move(self, moved: of.Moved, policy: HostPolicy, domains: tuple[Domain, ...]) -> list[str]:
        broken = []
        if target(moved.source, moved.event) is not moved.target:
            broken.append(f"S8: {moved.source} -{moved.event}-> {moved.target} is not in the table")
        if moved.event is HAEvent.OVER_THRESHOLD:
            self._condemned = self._silent and self._dead_run >= policy.dead_needed
            if _brake_holds(domains, policy):
                broken.append("S7: a host was condemned by its pools while the brake holds")
        if moved.target is HAState.FENCING and moved.source is not HAState.FENCING:
            self._enter_fence(moved.event, policy)
        if moved.target not in (HAState.RECOVERING, HAState.RECOVERED, HAState.FENCING):
            self._condemned = self._outcome_open = False
        return broken

    def _enter_fence(self, cause: HAEvent, policy: HostPolicy) -> None:
        self._cause = cause
        off = self._silent and self._off_run >= policy.off_needed and cause is HAEvent.POWER_OFF_CONFIRMED
        exhausted = self._condemned and cause is HAEvent.RECOVERY_THRESHOLD_EXCEEDED
        self._condemned = off or exhausted or (self._lease and cause is HAEvent.LEASE_EXPIRED)
        self._prepared = self._outcome_open = False
        self._reads = self._untold = 0

    def _judge_cut(self, policy: HostPolicy, domains: tuple[Domain, ...], after: HostHa) -> list[str]:
        broken = []
        if after.state is not HAState.FENCING:
            broken.append(f"S8: power was cut in state {after.state}")
        if not self._prepared:
            broken.append("S8: power was cut before the quarantine and the list of VMs were stored")
        if not self._condemned:
            broken.append("S4: power was cut although the host showed life, or nothing condemned it")
        if self._cause is not HAEvent.POWER_OFF_CONFIRMED and _brake_holds(domains, policy):
            broken.append("S7: power was cut while the brake holds")
        self._untold += 1
        if self._untold > policy.fence_max_attempts:
            broken.append(f"S10: {self._untold - 1} fence attempts failed and nobody was told")
        self._outcome_open, self._reads = True, 0
        return broken

    def _judge_proof(self, proven: of.Proven, now: float, policy: HostPolicy) -> list[str]:
        proof, broken = proven.proof, []
        if not self._prepared:
            broken.append("S8: proof of death before the quarantine and the list of VMs were stored")
        if proof.kind is ProofKind.CHASSIS_OFF:
            if self._reads < policy.fence_off_needed:
                broken.append(f"S3: proof by chassis after {self._reads} OFF read-backs in a row since the cut")
            if len([p for p in proof.evidence if says(p, Opinion.DEAD, now)]) < policy.fence_off_needed:
                broken.append("S3: proof by chassis does not carry its read-backs")
        elif proof.kind is ProofKind.LEASE_EXPIRED:
            if not self._lease:
                broken.append("S1: proof by lease without every lease lapsed under an armed watchdog")
        elif proof.kind is not ProofKind.DECLARED_DEAD or not self._declared:
            broken.append(f"S1: proof by {proof.kind} that nothing bears out")
        return broken

    # --- how the host stands after the step ------------------------------------------------------------------------

    def _standing(self, before: HostHa, after: HostHa, decisions: tuple[Decision, ...]) -> list[str]:
        broken = []
        # A declaration is an act of one moment: refused where the host is not in doubt, it is not kept for later.
        self._declared = self._declared and after.state is HAState.FENCING
        kinds = {type(decision) for decision in decisions}
        moves = [decision for decision in decisions if isinstance(decision, of.Moved)]
        path = [before.state, *(moved.target for moved in moves)]
        if path[:-1] != [moved.source for moved in moves] or path[-1] is not after.state:
            broken.append(f"S8: the state went from {before.state} to {after.state} without a stored transition each")
        if (after.fence is not None) != (after.state is HAState.FENCING):
            broken.append(f"S8: a fence record {'in' if after.fence else 'is missing in'} state {after.state}")
        if any(moved.event is HAEvent.FENCED for moved in moves) != (of.Proven in kinds):
            broken.append("S1: Fenced and proof of death do not come together")
        left = before.state is HAState.FENCING and after.state not in (HAState.FENCING, HAState.FENCED)
        if left and of.Release not in kinds:
            broken.append("S10: the fence ended without proof and the host was left in quarantine")
        if after.held and not before.held and of.Alarm not in kinds:
            broken.append("S10: the brake holds and nobody was told")
        return broken + self._progress(after)

    def _progress(self, after: HostHa) -> list[str]:
        quiet = after.state in _WAITS_FOR_NOTHING and not (after.state is HAState.AVAILABLE and after.silent)
        if quiet or self._asked or next_due(after) < inf:
            return []
        return [f"S10: {after.state} waits for nothing that will ever come"]


def _brake_holds(domains: tuple[Domain, ...], policy: HostPolicy) -> bool:
    return any(
        domain.silent > max(policy.brake_min_hosts, floor(policy.brake_fraction * domain.total)) for domain in domains
    )
