"""Strikes a replicated pair with random faults while a store writes to it, then reads all servers and checks.

    python tests/integration/database/fault_run.py --faults 200 --seed 1 --chain 2

The servers are made to replicate by `holdfast db setup-replication`: the pair, and a chain behind it if one is wished.

Every write carries a number of its own. Afterwards each server is read by itself: a number that was acknowledged and
replicated must be there once, one whose commit was refused must not be there, and none may be there twice.
"""

import argparse
import logging
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "plugins" / "mysqlfailover" / "tests"))

from failover_site import PASSWORD, USER, FailoverSite, start_as_copy
from holdfast.errors import OutcomeUnknown, StoreUnavailable
from holdfast.hooks.store import Insert
from holdfast_conformance.mariadb import MariaDb, MariaDbLab
from holdfast_conformance.mariadb_network import CableNetwork
from holdfast_conformance.mariadb_replication import PASSWORD as REPLICATION_PASSWORD
from holdfast_conformance.mariadb_replication import SEMI_SYNC, follow, is_streaming, replica_status, wait_caught_up
from holdfast_conformance.mariadb_replication import USER as REPLICATION_USER
from holdfast_conformance.store_rows import event
from holdfast_store.store import SqlStore

OPTIONS = {**SEMI_SYNC, "rpl-semi-sync-master-timeout": "500", "rpl-semi-sync-master-wait-no-slave": "OFF"}
"""Acknowledged means received by the replica, unless that has been gone for half a second."""
STRICT = {**SEMI_SYNC, "rpl-semi-sync-master-timeout": "30000", "rpl-semi-sync-master-wait-no-slave": "ON"}
"""Acknowledged means received by the other one of the pair: no fault keeps that away for half a minute. For no longer,
because a server that is writer no more keeps the rows of commits locked that wait for an answer which never comes."""
KINDS = ("kill", "stop", "freeze", "cut")
HEAL_SECONDS = 120.0
ADMIN, ADMIN_PASSWORD = "warden", "Warden-Of-Tests-1"  # made up for these tests
_LOOK_SECONDS = 0.05
_PACE_SECONDS = 0.05
"""Between two writes of one writer: a replica applies with one thread, and must be able to keep up."""


@dataclass
class Tally:
    """Numbers by what their writers were told."""

    acknowledged: set[int] = field(default_factory=set)
    refused: set[int] = field(default_factory=set)
    unknown: set[int] = field(default_factory=set)
    faults: Counter[str] = field(default_factory=Counter)
    rebuilt: int = 0
    only_on_the_lost: set[int] = field(default_factory=set)
    longest_gap: float = 0.0


class FaultRun:
    """One pair, one driver, several writing threads. `strike` one fault after the other, then `check`."""

    def __init__(
        self,
        lab: MariaDbLab,
        folder: Path,
        seed: int,
        network: CableNetwork | None,
        writers: int = 4,
        chain: int = 0,
        strict: bool = False,
        kinds: Collection[str] = KINDS,
    ) -> None:
        """`chain`: how many more servers replicate in a row behind the second of the pair. `strict`: see `STRICT`.
        `kinds`: which faults strike."""
        self.tally = Tally()
        self._kinds = kinds
        self._strict = strict
        self._dice = random.Random(seed)
        self._network = network
        places = [network.place() if network else {} for _ in range(2)]
        self.site = FailoverSite(folder, [lab.server(options=OPTIONS, **place) for place in places])
        places = [network.place() if network else {} for _ in range(chain)]
        # What the chain acknowledged would not be on the other one of the pair.
        silent = {**OPTIONS, "rpl-semi-sync-slave-enabled": "OFF"}
        self.chain = [lab.server(options=silent, **place) for place in places]
        self._set_up()
        if strict:
            for each in self.site.servers:
                each.options |= STRICT
                each.run(*(f"SET GLOBAL {name.replace('-', '_')} = {STRICT[name]}" for name in STRICT))
        self._driver = self.site.driver({"connect_seconds": 1.0}, secondsBeforeRetryMaster=2)
        self._store: SqlStore = self.site.store(self._driver)
        self._stop = threading.Event()
        self._number = 0
        self._guard = threading.Lock()
        self._last = time.monotonic()
        self._threads = [threading.Thread(target=self._write, daemon=True) for _ in range(writers)]
        for thread in self._threads:
            thread.start()

    def strike(self) -> str:
        """One fault, and healing: afterwards both servers replicate and have everything."""
        faults: dict[str, Callable[[MariaDb, float], None]] = {
            "kill": self._kill,
            "stop": self._stop_cleanly,
            "freeze": self._freeze,
            "cut": self._cut,
        }
        name = self._dice.choice(sorted(name for name in self._kinds if self._network or name != "cut"))
        on_writer = self._dice.random() < 0.8
        victim = self._writer() if on_writer else next(each for each in self.site.servers if each != self._writer())
        faults[name](victim, self._dice.uniform(0.0, 3.0))
        what = f"{name} of the {'writer' if on_writer else 'replica'}"
        self.tally.faults[what] += 1
        self._heal()
        if self._dice.random() < 0.5:
            self._go_back()
        return what

    def finish(self) -> None:
        """Stop writing, and let both servers have everything."""
        self._stop.set()
        for thread in self._threads:
            thread.join(60)
            assert not thread.is_alive(), "a writer hangs"
        self._heal()

    def check(self) -> list[str]:
        """What is wrong with either server, empty if nothing is."""
        wrong = []
        gone = sorted(self.tally.acknowledged & self.tally.only_on_the_lost)
        if self._strict and gone:
            wrong.append(f"acknowledged by both, and lost: {gone[:20]}")
        for server in (*self.site.servers, *self.chain):
            rows = Counter(int(row[0]) for row in server.run("SELECT resource_id FROM cloud.event"))
            twice = sorted(number for number, times in rows.items() if times > 1)
            lost = sorted(self.tally.acknowledged - set(rows) - self.tally.only_on_the_lost)
            undead = sorted(self.tally.refused & set(rows))
            for name, numbers in (("twice", twice), ("lost", lost), ("refused and yet written", undead)):
                if numbers:
                    wrong.append(f"server {server.number}: {name}: {numbers[:20]}")
        return wrong

    # --- the writers ----------------------------------------------------------------------------------------------

    def _write(self) -> None:
        while not self._stop.is_set():
            with self._guard:
                self._number += 1
                number = self._number
            try:
                self._store.commit([Insert(event(resource_id=str(number)))])
            except OutcomeUnknown:
                told = self.tally.unknown
            except StoreUnavailable:
                told = self.tally.refused
            else:
                told = self.tally.acknowledged
                now = time.monotonic()
                with self._guard:
                    self.tally.longest_gap = max(self.tally.longest_gap, now - self._last)
                    self._last = now
            with self._guard:
                told.add(number)
            self._stop.wait(_PACE_SECONDS)

    # --- the faults -----------------------------------------------------------------------------------------------

    def _kill(self, victim: MariaDb, seconds: float) -> None:
        victim.kill()
        time.sleep(seconds)
        victim.start()

    def _stop_cleanly(self, victim: MariaDb, seconds: float) -> None:
        victim.stop()
        time.sleep(seconds)
        victim.start()

    def _freeze(self, victim: MariaDb, seconds: float) -> None:
        victim.freeze()
        time.sleep(seconds)
        victim.thaw()

    def _cut(self, victim: MariaDb, seconds: float) -> None:
        assert self._network is not None
        self._network.cut(victim.host)
        time.sleep(seconds)
        self._network.mend(victim.host)

    # --- healing --------------------------------------------------------------------------------------------------

    def _writer(self) -> MariaDb:
        now = self._driver._pilot.standing.host
        return self.site.servers[now.number if now is not None else 0]

    def _heal(self) -> None:
        until = time.monotonic() + HEAL_SECONDS
        while True:
            broken = [each for each in self.site.servers if replica_status(each).get("Last_SQL_Errno")]
            if broken:
                self._rebuild()
            elif all(_is_current(each, other) for each, other in self._streams()):
                return
            assert time.monotonic() < until, [replica_status(each) for each in (*self.site.servers, *self.chain)]
            time.sleep(_LOOK_SECONDS)

    def _rebuild(self) -> None:
        """As an operator does when a server has what no other has: everything anew from the one that is written to."""
        epochs = {each: each.run("SELECT epoch, server_id FROM cloud.holdfast_writer")[0] for each in self.site.servers}
        newest = max(epochs.values())
        good = next(each for each in self.site.servers if each.number == newest[1])
        broken = next(each for each in self.site.servers if each != good)
        there = {int(row[0]) for row in broken.run("SELECT resource_id FROM cloud.event")}
        here = {int(row[0]) for row in good.run("SELECT resource_id FROM cloud.event")}
        self.tally.only_on_the_lost |= there - here
        self.tally.rebuilt += 1
        self.site.rebuild(broken, good)
        if self.chain:
            self._rebuild_chain(good)

    def _rebuild_chain(self, good: MariaDb) -> None:
        """They followed a server that is another one now."""
        good.stop()
        for each in self.chain:
            each.stop()
            each.copy_from(good)
        good.start()
        for each, source in zip(self.chain, [self.site.servers[1], *self.chain], strict=False):
            start_as_copy(each)
            if source is not good:
                wait_caught_up(source, good)
            follow(each, source)

    def _streams(self) -> list[tuple[MariaDb, MariaDb]]:
        """(replica, source) of all servers."""
        first, second = self.site.servers
        sources = [second, *self.chain]
        return [(first, second), (second, first), *zip(self.chain, sources, strict=False)]

    def _set_up(self) -> None:
        """All streams, by the command, from the first server with the database on it."""
        servers = [*self.site.servers, *self.chain]
        for each in servers:
            with each.connect() as connection, connection.cursor() as cursor:
                cursor.execute("SET sql_log_bin = 0")
                cursor.execute(f"CREATE USER {ADMIN}@'%' IDENTIFIED BY '{ADMIN_PASSWORD}'")
                cursor.execute(f"GRANT ALL ON *.* TO {ADMIN}@'%' WITH GRANT OPTION")
        servers[0].run("CREATE DATABASE cloud CHARACTER SET utf8mb4", "CREATE TABLE cloud.made_before (id INT)")
        servers[0].make_user(USER, PASSWORD)
        addresses = [f"{each.host}:{each.port}" for each in servers]
        passwords = {"HOLDFAST_DB_PASSWORD": ADMIN_PASSWORD, "HOLDFAST_REPLICATION_PASSWORD": REPLICATION_PASSWORD}
        done = subprocess.run(
            [sys.executable, "-m", "holdfast", "db", "setup-replication", "--user", ADMIN, "--replication-user",
             REPLICATION_USER, "--server", *addresses],
            env=os.environ | passwords, check=False, capture_output=True, text=True,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        for each, options in zip(servers, [("2", "1"), ("2", "2")], strict=False):
            each.options |= dict(zip(("auto-increment-increment", "auto-increment-offset"), options, strict=True))

    def _go_back(self) -> None:
        until = time.monotonic() + HEAL_SECONDS
        while self._writer() != self.site.servers[0]:
            assert time.monotonic() < until, f"it does not go back: {self._driver.describe()}"
            time.sleep(_LOOK_SECONDS)


def _is_current(replica: MariaDb, source: MariaDb) -> bool:
    status = replica_status(replica)
    if not is_streaming(status):
        return False
    position = source.value("@@gtid_binlog_pos")
    return bool(replica.value(f"MASTER_GTID_WAIT('{position}', 5)") == 0)


def main() -> int:
    """Run, print the tally, and return 1 if anything is wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--faults", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--strict", action="store_true", help="acknowledge nothing that only one of the pair has")
    parser.add_argument("--chain", type=int, default=0, help="servers in a row behind the pair")
    parser.add_argument("--kinds", nargs="+", default=KINDS, choices=KINDS, help="which faults strike")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(message)s")
    folder = Path(tempfile.mkdtemp())
    with CableNetwork() as network, MariaDbLab(folder) as lab:
        run = FaultRun(
            lab, folder, arguments.seed, network, chain=arguments.chain, strict=arguments.strict, kinds=arguments.kinds
        )
        for number in range(arguments.faults):
            print(number + 1, run.strike(), len(run.tally.acknowledged), flush=True)
        run.finish()
        wrong = run.check()
        tally = run.tally
        run.site.close()
    print(f"faults: {dict(tally.faults)}, rebuilt {tally.rebuilt} times")
    print(f"acknowledged {len(tally.acknowledged)}, refused {len(tally.refused)}, unknown {len(tally.unknown)}")
    lost = len(tally.only_on_the_lost & tally.acknowledged)
    print(f"acknowledged, but only on a server that was lost before it had sent them: {lost}")
    print("\n".join(wrong) or "nothing lost, nothing twice")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
