"""The storage watch of a real host: beats on its pools, keeps the lease, feeds the watchdog while it may be fed."""

import logging
import math
import os
import threading
import time
from collections.abc import Callable

from holdfast.errors import HoldfastError
from holdfast.hooks.heartbeat import HeartbeatDriver
from holdfast.model.views import HostOrders, VmSpec

from holdfast_agent.storage.claim import Claim
from holdfast_agent.storage.feeding import is_adrift, may_feed, to_stop, why_no_start
from holdfast_agent.storage.lease import OWNER, StorageLease, uptime
from holdfast_agent.storage.pool_beats import PoolBeats
from holdfast_agent.storage.terms import LeaseTerms, is_endangered, read_terms, too_slow
from holdfast_agent.storage.watch import HostVms
from holdfast_agent.storage.watchdog import Watchdog

log = logging.getLogger("holdfast.agent.storage")

_LONGEST_TICK = 1.0
_STOP_SECONDS = 5.0
_REAL_TIME_PRIORITY = 10


class Guardian:
    """`StorageWatch` with threads: one per pool that beats, and one that feeds. Nothing here runs on the event loop."""

    def __init__(
        self,
        host_uuid: str,
        heartbeat: Callable[[str], HeartbeatDriver],
        watchdog: Watchdog,
        clock: Callable[[], float] = uptime,
    ) -> None:
        self._host = host_uuid
        self._heartbeat = heartbeat
        self._watchdog = watchdog
        self._clock = clock
        self._lock = threading.RLock()
        self._terms = LeaseTerms()
        self._lease = StorageLease(self._terms.lease)
        self._beats: dict[str, PoolBeats] = {}
        self._vms: HostVms | None = None
        self._able = False
        self._begun = math.inf
        """When it began to beat on pools, having had none before."""
        self._claim = Claim()
        self._standing_down = False
        self._told: dict[str, str] = {}
        self._wake = threading.Event()
        self._released = threading.Event()
        self._ending = False
        self._stopping: threading.Thread | None = None
        self._feeder = threading.Thread(target=self._feed_on, name="watchdog", daemon=True)

    # --- StorageWatch ------------------------------------------------------------------------------------------------

    def start(self, vms: HostVms) -> None:
        """Begin to beat and to feed."""
        with self._lock:
            self._vms = vms
            if self._watchdog.counting:
                # An agent before this one promised it; what the owner says from now on is said knowing that.
                self._claim.owner_says(True, claimed=False)
            self._obey(self._terms)
        self._feeder.start()

    def stop(self) -> None:
        """End the beats. The watchdog is disarmed if no VM of concern may run here, and otherwise counts on.

        The owner believes that this host will be reset, and counts on it: a VM that ran on behind an ended agent, with
        the watchdog at rest, could be started a second time. The next agent takes the watchdog over.
        """
        with self._lock:
            if self._ending:
                return
            self._ending = True
            beats, self._beats = self._beats, {}
        self._wake.set()
        if self._feeder.is_alive():
            self._feeder.join(_LONGEST_TICK * 2)
        for each in beats.values():
            each.stop()
        with self._lock:
            running = self._endangered()
            if not self._claim.stands or not running:
                self._rest("the agent stops")
            elif self._watchdog.armed:
                log.critical(
                    "the agent stops, but the watchdog stays armed, since the owner counts on it and these VMs may run "
                    "here: %s. The agent has to be back within %d s, or this host is reset",
                    ", ".join(running),
                    self._terms.watchdog_seconds,
                )

    def stand_down(self, seconds: float) -> None:
        """Say in the beats that the watchdog is not armed, and wait until the owner has taken that in."""
        with self._lock:
            self._standing_down = True
            self._able = False
        until = time.monotonic() + seconds
        while self._claim.stands and self._watchdog.armed and self._endangered() and time.monotonic() < until:
            self._released.wait(until - time.monotonic())
            self._released.clear()

    def orders_given(self, orders: HostOrders) -> None:
        """Take them at once."""
        terms = read_terms(orders)
        with self._lock:
            self._claim.owner_says(orders.counts_on_watchdog, claimed=self._able)
            if terms != self._terms:
                self._terms = terms
                if self._vms is not None and not self._ending:
                    self._obey(terms)
        self._wake.set()
        self._released.set()

    def may_start(self, vm: VmSpec) -> str:
        """Empty while the lease is held."""
        with self._lock:
            now = self._clock()
            return why_no_start(self._terms, self._lease, vm, now, now)

    def admit(self, vm: VmSpec, ordered: float) -> str:
        """Empty if the lease was held ever since the order, and the watchdog counts if it was promised to."""
        with self._lock:
            why_not = why_no_start(self._terms, self._lease, vm, ordered, self._clock())
            if why_not or not is_endangered(vm) or not (self._able or self._claim.stands):
                return why_not
            try:
                if not self._watchdog.armed:
                    self._watchdog.arm(self._terms.watchdog_seconds)
            except HoldfastError as problem:
                self._able = False
                self._tell("watchdog", f"not armed, so this host cannot be proven dead by its lease: {problem}")
                return f"the owner counts on this host's watchdog, and it cannot be armed: {problem}"
            return ""

    def watchdog_armed(self) -> bool:
        """Whether the promise is made: what the beats say. It is armed whenever a VM of concern may run here."""
        if self._able and not self._standing_down:
            self._claim.made()
            return True
        return False

    def is_adrift(self) -> bool:
        """Whether it asks for grants. Without the lock: beats must not wait for whoever has it.

        Where an agent before this one has left the watchdog counting, there is no time to wait for a first beat.
        """
        return is_adrift(self._terms, self._lease, -math.inf if self._claim.stands else self._begun, self._clock())

    def owner_granted(self, asked_at: float) -> None:
        """The lease is renewed from then on, and the watchdog is fed at the next step."""
        self._lease.renew(OWNER, asked_at, self._clock())

    # --- for those who look at it from outside ------------------------------------------------------------------------

    def problems(self) -> dict[str, str]:
        """What is wrong now, in words, by what it is about: "lease", "watchdog", or a pool's name."""
        with self._lock:
            found = {each.pool.name: each.problem for each in self._beats.values() if each.problem}
            return found | {about: text for about, text in self._told.items() if text}

    @property
    def lease(self) -> StorageLease:
        """The lease."""
        return self._lease

    def _endangered(self) -> list[str]:
        """Names of the VMs that may run here and that another host could run."""
        return [vm.name for vm in self._vms.running() if is_endangered(vm)] if self._vms is not None else []

    # --- orders -------------------------------------------------------------------------------------------------------

    def _obey(self, terms: LeaseTerms) -> None:
        """Under the lock. Pools come and go; the others go on undisturbed."""
        wanted = {pool.uuid: pool for pool in terms.pools}
        if wanted and not self._beats:
            self._begun = self._clock()
        self._lease.seconds = terms.lease
        self._lease.keep_only(frozenset(wanted) | {OWNER})
        for uuid, beats in list(self._beats.items()):
            beats.interval = terms.interval
            if wanted.get(uuid) != beats.pool:
                beats.stop(leave=uuid not in wanted)
                del self._beats[uuid]
        for uuid, pool in wanted.items():
            if uuid not in self._beats:
                driver = lambda name=pool.heartbeat: self._heartbeat(name)  # noqa: E731
                beats = PoolBeats(pool, self._host, driver, self._lease, terms.interval, self._clock, self._wake.set)
                self._beats[uuid] = beats
                beats.start()
        self._tell("terms", terms.problem, "the terms of the storage lease fit together")
        # Other times may be more than the device can do, so it is tried again.
        self._able = False

    # --- feeding ------------------------------------------------------------------------------------------------------

    def _feed_on(self) -> None:
        _prefer_this_thread()
        while True:
            with self._lock:
                if self._ending:
                    return
                pause = min(_LONGEST_TICK, self._terms.watchdog_seconds / 4)
            try:
                self._step()
            except Exception:
                # Whatever it was: not feeding is the safe side of it, and the next step tries again.
                log.exception("the watchdog was not fed")
            self._wake.wait(pause)
            self._wake.clear()

    def _step(self) -> None:
        with self._lock:
            terms, now = self._terms, self._clock()
            running = self._vms.running() if self._vms is not None else ()
            self._see_to_speed(terms)
            if not self._able and terms.wants_watchdog and not self._standing_down and self._lease.held(now):
                self._try(terms)
            if not terms.wants_watchdog or self._standing_down:
                self._able = False
            concern = [vm.name for vm in running if is_endangered(vm)]
            self._count_or_rest(terms, concern, now)
            if self._watchdog.armed:
                self._feed_or_not(terms, running, now)
            self._stop_vms(to_stop(terms, self._lease, running, now))

    def _try(self, terms: LeaseTerms) -> None:
        """Arm it once, to see whether it can be promised to."""
        try:
            self._watchdog.arm(terms.watchdog_seconds)
        except HoldfastError as problem:
            self._tell("watchdog", f"not armed, so this host cannot be proven dead by its lease: {problem}")
            return
        self._able = True
        self._tell("watchdog", "")
        log.info("the watchdog works: it resets this host %d s after it was fed last", terms.watchdog_seconds)

    def _count_or_rest(self, terms: LeaseTerms, concern: list[str], now: float) -> None:
        """It counts while there is something to end, and somebody to count on it. An idle host is never reset (S11).

        What an agent before this one left counting is taken over only under a lease: opening the device feeds it, and
        an agent that crashes again and again would otherwise keep it from ever firing.
        """
        if not terms.ha or not concern or not (self._able or self._claim.stands):
            self._rest("nothing runs here that another host could run" if terms.ha else "host HA is off")
        elif not self._watchdog.armed and self._lease.held(now):
            try:
                self._watchdog.arm(terms.watchdog_seconds)
            except HoldfastError as problem:
                self._able = False
                self._tell(
                    "watchdog", f"it cannot be armed any more, though {', '.join(concern)} may run here: {problem}"
                )

    def _feed_or_not(self, terms: LeaseTerms, running: tuple[VmSpec, ...], now: float) -> None:
        if may_feed(self._lease, running, now):
            self._watchdog.feed()
            self._tell("lease", "", "the storage lease is renewed again, and the watchdog is fed")
            granted = self._lease.held(now) and not self._lease.held_on_storage(now)
            said = "no pool takes this host's beats: its owner's grants alone keep the watchdog from resetting it"
            self._tell("storage", said if granted else "", "this host is not kept by its owner's grants any more")
            return
        if self._lease.ends_at() == float("-inf"):
            return  # just started: there was no lease yet that could lapse, and the first beat is on its way
        names = ", ".join(vm.name for vm in running if is_endangered(vm))
        self._tell(
            "lease",
            f"it has lapsed on every pool while {names} may run here: the watchdog is not fed any more and resets this "
            f"host within {terms.watchdog_seconds} s",
        )

    def _rest(self, why: str) -> None:
        """Disarm it; where the device cannot be, it is fed on."""
        if not self._watchdog.armed and not self._watchdog.counting:
            return
        try:
            if not self._watchdog.armed:
                # An agent before this one left it counting.
                self._watchdog.arm(self._terms.watchdog_seconds)
            left = self._watchdog.disarm()
        except HoldfastError as problem:
            left = str(problem)
        self._tell("rest", f"{why}, but the watchdog counts on: {left}" if left else "")

    def _see_to_speed(self, terms: LeaseTerms) -> None:
        found = [text for each in self._beats.values() if (text := too_slow(terms, each.pool.name, each.slowest))]
        key = "; ".join(sorted(text.split(":", 1)[0] for text in found))
        if key != self._told.get("speed", ""):
            for text in found:
                log.error("%s", text)
        self._told["speed"] = key

    def _tell(self, about: str, problem: str, good: str = "") -> None:
        before = self._told.get(about, "")
        if problem != before:
            if problem:
                log.error("%s: %s", about, problem)
            elif good and before:
                log.info("%s", good)
        self._told[about] = problem

    # --- stopping VMs -------------------------------------------------------------------------------------------------

    def _stop_vms(self, vms: tuple[VmSpec, ...]) -> None:
        """In a thread of its own, one at a time: a hypervisor that hangs must not keep the watchdog hungry."""
        if not vms or (self._stopping is not None and self._stopping.is_alive()) or self._vms is None:
            return
        host = self._vms
        names = ", ".join(vm.name for vm in vms)
        log.error("the heartbeats on their pools fail: stopping %s (ha.self.fence.action = stop)", names)

        def stop() -> None:
            gone = host.stop_all(tuple(vm.uuid for vm in vms), _STOP_SECONDS)
            left = [vm.name for vm in vms if vm.uuid not in gone]
            if left:
                log.error("still not stopped: %s", ", ".join(left))
                time.sleep(_LONGEST_TICK)

        self._stopping = threading.Thread(target=stop, name="stop-vms", daemon=True)
        self._stopping.start()


def _prefer_this_thread() -> None:
    """A busy host must not starve the one thread that keeps it from being reset."""
    try:
        os.sched_setscheduler(threading.get_native_id(), os.SCHED_RR, os.sched_param(_REAL_TIME_PRIORITY))
    except OSError as problem:
        log.warning("the watchdog's thread has no real-time priority: %s", problem.strerror)
