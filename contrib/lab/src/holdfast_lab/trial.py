"""One trial: what was so before the strike, what became of it, and whether it is what had to become of it."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from holdfast_cli.client import Answer, ApiError
from holdfast_cli.explain import explain_host, explain_vm
from holdfast_cli.waiting import WaitedInVain

from holdfast_lab.sightings import Life
from holdfast_lab.site import BOOT_SECONDS, Site

SETTLE_SECONDS = 4.0
_LOOK = 0.1


@dataclass(slots=True)
class Trial:
    """`victims` are names of hosts. Moments are seconds since 1970."""

    site: Site
    victims: tuple[str, ...]
    title: str = ""
    struck: float = 0.0
    before: dict[str, Life] = field(default_factory=dict)
    on_victims: tuple[str, ...] = ()
    marks: list[tuple[float, str]] = field(default_factory=list)
    running: dict[str, tuple[float, str]] = field(default_factory=dict)
    faults_found: list[str] = field(default_factory=list)

    def begin(self, title: str) -> None:
        """Remember what is so now; the strike follows at once."""
        site = self.site
        self.before = site.until("every guest writes to its disk", BOOT_SECONDS, site.all_alive)
        self.on_victims = tuple(name for name, vm in site.vms().items() if vm.get("hostname") in self.victims)
        self.title, self.struck = title, time.time()
        self.mark(title)

    def mark(self, text: str) -> None:
        """Something that was done to the lab, now."""
        self.marks.append((time.time(), text))
        self.site.say(text)

    # --- waiting for outcomes --------------------------------------------------------------------------------------

    def until_moved(self, seconds: float) -> None:
        """Until every VM of the victims writes in a new life, and the API says that it runs elsewhere."""
        self._until("every VM runs again on another host", seconds, lambda: self._again(elsewhere=True))

    def until_back(self, seconds: float) -> None:
        """Until every VM writes to its disk anew, in whatever life, and the API says that it runs."""
        since = time.time()
        self._until("every VM runs again", seconds, lambda: self._again(elsewhere=False, since=since))

    def until_restarted(self, seconds: float) -> None:
        """Until one VM of the victims writes in a new life, and all of them write."""

        def look() -> bool:
            new = [name for name, old in self.before.items() if self.site.life(name) not in (old, None)]
            return bool(new) and self._again(elsewhere=False, since=self.struck + 0.5)

        self._until("the VM that was struck runs again", seconds, look)

    def until_resumed(self, seconds: float) -> None:
        """Until every VM writes to its disk anew, in the life that it was in before the strike."""
        since, had = time.time(), self.before
        self._until(
            "every VM goes on",
            seconds,
            lambda: all((life := self.site.life(name)) is not None and life.last_seen > since for name in had),
        )
        self.untouched(0.0)

    def wait(self, seconds: float) -> None:
        """Until so many seconds after the strike."""
        end = self.struck + seconds
        self._until("the time is up", seconds + 5, lambda: time.time() >= end)

    def untouched(self, seconds: float) -> None:
        """Watch for so long; every VM must be in the life it was in, and must still write at the end."""
        end = time.time() + seconds
        self._until("the time is up", seconds + 5, lambda: time.time() >= end)
        for name, life in self.before.items():
            lives = self.site.lives(name)
            now = self.site.life(name)
            if now is None:
                self.faults_found.append(f"{name} does not write to its disk any more; it should have been left alone")
            elif now is not life or lives[-1] is not life:
                self.faults_found.append(f"{name} was in {life} and is in {now}; it should have been left alone")

    def settle(self) -> None:
        """Watch on for a while: a second copy may come late. Then judge what the disks said."""
        end = time.time() + SETTLE_SECONDS
        self._until("the time is up", SETTLE_SECONDS + 5, lambda: time.time() >= end)
        with self.site.watch.lock:
            self.faults_found += [f"DOUBLE RUN: {overlap}" for overlap in self.site.watch.seen.overlaps]
            self.faults_found += [f"NOT PROVEN: {text}" for text in self.site.watch.seen.unproven()]

    def _until(self, what: str, seconds: float, look: Callable[[], object]) -> None:
        try:
            self.site.until(what, seconds, lambda: self._look_with_api(look), _LOOK)
        except WaitedInVain as problem:
            self.faults_found.append(str(problem))

    def _look_with_api(self, look: Callable[[], object]) -> bool:
        if self.site.watch.seen.overlaps:
            return True  # the worst has happened; settle() tells
        return bool(look())

    def _again(self, elsewhere: bool, since: float = 0.0) -> bool:
        vms = self.site.vms()
        for name in self.cloud_vms:
            life, vm = self.site.life(name), vms.get(name, {})
            moved = (
                not elsewhere
                or name not in self.on_victims
                or (life is not None and life is not self.before[name] and vm.get("hostname") not in self.victims)
            )
            if life is None or not moved or life.last_seen < since or vm.get("state") != "Running":
                continue
            self.running.setdefault(name, (time.time(), str(vm.get("hostname"))))
        return len(self.running) == len(self.cloud_vms)

    @property
    def cloud_vms(self) -> tuple[str, ...]:
        """Names of all VMs."""
        return tuple(self.site.cloud.vms)

    # --- what came of it -------------------------------------------------------------------------------------------

    @property
    def holds(self) -> bool:
        """Whether all became as it had to."""
        return not self.faults_found

    def hosts_explained(self) -> dict[str, Answer]:
        """What the API explains of the victims."""
        return {name: explain_host(self.site.client, self.site.cloud.hosts[name]) for name in self.victims}

    def vms_explained(self) -> dict[str, Answer]:
        """What the API explains of the VMs that were on the victims."""
        found = {}
        for name in self.on_victims:
            try:
                found[name] = explain_vm(self.site.client, self.site.cloud.vms[name])
            except ApiError as problem:
                self.faults_found.append(f"{name} cannot be explained: {problem}")
        return found

    def stages(self) -> dict[str, float]:
        """Seconds from the strike to each stage that was reached; from the stored events and the guests' own words."""
        found: dict[str, float] = {}
        names = {"Suspect": "suspect", "Fencing": "fencing", "Fenced": "fenced"}
        for told in self.hosts_explained().values():
            for move in told.get("story", []):
                if move.get("at", 0.0) >= self.struck and move["hastate"] in names:
                    found[names[move["hastate"]]] = max(
                        found.get(names[move["hastate"]], 0.0), move["at"] - self.struck
                    )
        permits = [
            permit["at"] - self.struck
            for told in self.vms_explained().values()
            for permit in told.get("permits", [])
            if permit.get("at", 0.0) >= self.struck
        ]
        if permits:
            found["restart begun"] = min(permits)
            found["last restart begun"] = max(permits)
        started = [
            work["finishedat"] - self.struck
            for told in self.vms_explained().values()
            for work in told.get("work", [])
            if work.get("at", 0.0) >= self.struck and work.get("step") == "Done" and work.get("finishedat")
        ]
        if started:
            found["last VM running"] = max(started)
        firsts = [
            life.first_seen - self.struck
            for name in self.cloud_vms
            for life in self.site.lives(name)
            if life.first_seen > self.struck
        ]
        if firsts:
            found["first guest writes"] = min(firsts)
            found["last guest writes"] = max(firsts)
        return found
