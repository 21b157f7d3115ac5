"""Faults that tests found in the engine, each kept as the shortest story that showed it."""

from engine_bed import HOST, STORM, Bed, beat, link, policy, power, ungranted
from holdfast.engine.host import next_due, step
from holdfast.engine.incident import (
    AskActivity,
    CutPower,
    Heard,
    HostHa,
    Judged,
    Moved,
    PowerRead,
    Prepare,
    Prepared,
    ReadPower,
    Recover,
    RecoverDone,
    Silent,
    Tick,
)
from holdfast.engine.verdict import lease_expired
from holdfast.model.evidence import Evidence, Kind, ProofKind
from holdfast.model.states import HAEvent, HAState, Opinion

DEAD, ALIVE = Opinion.DEAD, Opinion.ALIVE


def test_a_refused_declaration_leaves_no_fence_behind() -> None:
    """Declared dead while Available is refused by the table; a stray `Prepared` must then find nothing to cut."""
    bed = Bed().enable()
    bed.declare()
    assert bed.host.state is HAState.AVAILABLE
    assert bed.host.fence is None
    assert step(bed.host, Prepared(bed.host.token), bed.now, bed.policy) == (bed.host, ())


def test_off_readings_of_a_fenced_host_leave_no_fence_behind() -> None:
    """A polled host that is Fenced keeps reading OFF; that begins no second fence record."""
    bed = Bed(poll_every=2.0).enable()
    bed.tell(Silent(link(DEAD, bed.now)))
    bed.lose_power().cut().read_off()
    for _ in range(bed.policy.off_needed + 1):
        bed.to_due()
        bed.health(DEAD)
    assert bed.host.state is HAState.FENCED
    assert bed.host.fence is None


def test_a_resumed_fence_still_looks_for_the_lease() -> None:
    """After a takeover, a dark BMC must not be the only road to a proof: the pools are read there too."""
    bed = Bed(resumed=(HAState.FENCING, {"armed": True, "fence": {"cause": "PowerOffConfirmed", "attempt": 1}}))
    bed.answer(Prepare)
    bed.tell(Silent(link(DEAD, bed.now)))
    bed.tick()
    bed.activity(DEAD, DEAD, lasting=26.0)
    assert bed.proof().kind is ProofKind.LEASE_EXPIRED


def test_disk_activity_contradicts_a_lapsed_lease() -> None:
    """Heartbeats that stopped prove nothing about a host whose disks are seen being written (S1)."""
    written = Evidence(Kind.ACTIVITY, HOST, ALIVE, "neighbour", 100.0, "disk of vm-1 written", pool="p2")
    silent = (beat(DEAD, 100.0, lasting=30.0), ungranted(100.0))
    assert lease_expired(silent, 100.0, 25.0)
    assert not lease_expired((*silent, written), 100.0, 25.0)


def test_a_lapsed_lease_does_not_take_the_place_of_a_declaration() -> None:
    """The admin's word stands while the host is prepared: a late sign of life does not undo it."""
    bed = Bed().enable()
    bed.tell(Heard(armed=True))
    bed.fall_silent()
    bed.declare()
    bed.tick()
    bed.activity(DEAD, lasting=26.0)
    bed.tell(Heard(armed=True))
    bed.answer(Prepare)
    assert bed.proof().kind is ProofKind.DECLARED_DEAD


def test_what_changes_the_cause_of_a_fence_is_written_down() -> None:
    """A declaration during Fencing is stored as a transition, or a crash before `Prepared` would forget it (S8)."""
    bed = Bed().enable().lose_power()
    (moved,) = bed.declare()
    assert isinstance(moved, Moved)
    assert (moved.event, moved.source, moved.target) == (HAEvent.DECLARED_DEAD, HAState.FENCING, HAState.FENCING)
    assert bed.declare() == ()


def test_a_lease_that_runs_out_while_preparing_is_written_down_once() -> None:
    """The change of cause is stored when it happens, not at each reading after it."""
    bed = Bed().enable()
    bed.tell(Heard(armed=True))
    bed.lose_power()
    bed.tick()
    (moved,) = bed.activity(DEAD, lasting=26.0)
    assert isinstance(moved, Moved)
    assert moved.event is HAEvent.LEASE_EXPIRED
    bed.to_due()
    assert bed.activity(DEAD, lasting=27.0) == ()


def test_one_reading_reported_twice_counts_once() -> None:
    """A read-back that nobody asked for, or a second copy of one, is dropped (S3)."""
    bed = Bed().enable().lose_power().cut()
    bed.read(DEAD)
    host, decisions = step(bed.host, PowerRead(bed.host.token, power(DEAD, bed.now)), bed.now, bed.policy)
    assert (host, decisions) == (bed.host, ())
    assert ReadPower not in bed.in_flight


def test_a_recovery_answer_that_nobody_waits_for_is_dropped() -> None:
    """The second copy of a failed attempt's answer does not pass for the next attempt's."""
    bed = Bed(policy(recovery_attempts=2)).enable().hang()
    bed.answer(Recover, False, "no route")
    assert step(bed.host, RecoverDone(bed.host.token, True), bed.now, bed.policy) == (bed.host, ())


def test_the_brake_holds_a_second_recovery() -> None:
    """The brake holds recovery as well as fencing, at every attempt (S7)."""
    bed = Bed(policy(recovery_attempts=2)).enable().hang()
    bed.answer(Recover, False, "no route")
    bed.domains = STORM
    bed.to_due()
    assert Recover not in bed.in_flight
    assert "ALERT.HA.BRAKE" in bed.alarms()
    assert next_due(bed.host) > bed.now
    bed.domains = ()
    bed.to_due()
    assert Recover in bed.in_flight


def test_a_crash_in_the_last_attempt_does_not_swallow_the_alert() -> None:
    """Taken over with the attempts used up, the host is still reported as stuck before that many more are made."""
    numbers = policy(fence_max_attempts=2)
    bed = Bed(numbers, resumed=(HAState.FENCING, {"fence": {"cause": "PowerOffConfirmed", "attempt": 2}}))
    bed.answer(Prepare)
    bed.listen()
    for _ in range(2):
        bed.answer(CutPower, False, "no route to the BMC")
        bed.read(Opinion.UNKNOWN)
        bed.to_due()
        bed.witness()
        while CutPower not in bed.in_flight:
            if AskActivity in bed.in_flight:
                bed.activity()
            bed.to_due()
            bed.witness()
    assert bed.alarms() == ["ALERT.HA.FENCE.STUCK"]


def test_a_check_in_flight_at_the_end_of_degraded_still_condemns() -> None:
    """The sample that completes the run is not lost because the host was suspected afresh while it was taken."""
    bed = Bed(policy(alive_needed=1, dead_needed=1)).enable().fall_silent()
    bed.activity(ALIVE)
    assert bed.host.state is HAState.DEGRADED
    bed.now = bed.host.since + bed.policy.degraded_max - 0.1
    bed.tell(Tick())
    assert AskActivity in bed.in_flight
    bed.now += 1.0
    bed.tell(Tick())
    bed.activity(DEAD)
    assert bed.host.state is HAState.FENCING


def test_a_record_without_a_state_is_left_alone() -> None:
    """A host that has no state yet is neither suspected nor fenced, whatever is seen of it."""
    bare = HostHa(HOST)
    after, decisions = step(bare, Silent(link(DEAD, 1.0)), 1.0, policy())
    assert decisions == ()
    assert after.state is None


def test_a_host_that_was_silent_before_it_was_eligible_is_suspected_with_its_evidence() -> None:
    """Its silence was told while nobody watched it: the suspicion that follows says what it rests on (S8)."""
    bed = Bed().enable()
    bed.tell(Judged(False, "no other host of its cluster is Up"))
    bed.tell(Silent(link(DEAD, bed.now)))
    assert bed.host.state is HAState.INELIGIBLE
    bed.tell(Judged(True))
    (moved,) = [one for one in bed.tell(Tick()) if isinstance(one, Moved) and one.target is HAState.SUSPECT]
    assert moved.evidence
    assert moved.reason == "link dead"
