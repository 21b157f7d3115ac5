"""The database driver: what it costs per statement, and how long writing stands still when the primary is lost.

    python tests/bench/bench_database.py [--full]

Two MariaDB servers replicate to each other, in network namespaces so that a cable can be pulled (needs root). Beside
the driver: a plain SQLAlchemy engine over PyMySQL for the cost, and nothing for the failover unless `java` and
MariaDB Connector/J (Debian `libmariadb-java`) are there.
"""

import argparse
import itertools
import logging
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import sqlalchemy as sa

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "plugins" / "mysqlfailover" / "tests"))
sys.path.insert(0, str(Path(__file__).resolve().parent))

from failover_site import PASSWORD, USER, FailoverSite
from holdfast.hooks.store import Insert
from holdfast_conformance.mariadb import MariaDb, MariaDbLab
from holdfast_conformance.mariadb_network import CableNetwork
from holdfast_conformance.mariadb_replication import replica_status, wait_caught_up, wait_connected
from holdfast_conformance.store_rows import event
from measuring import show

THREADS = 16


def plain_engine(server: MariaDb) -> sa.Engine:
    """What the driver is compared with: the same dialect, pool and session, without failover."""
    url = sa.URL.create("mysql+pymysql", USER, PASSWORD, server.host, server.port, "cloud")
    return sa.create_engine(url, pool_size=30, isolation_level="READ COMMITTED")


def statements(engine: sa.Engine, count: int, latencies: list[float]) -> None:
    """Reads of one row by its key, one connection held."""
    with engine.connect() as connection:
        for _ in range(count):
            began = time.perf_counter()
            connection.exec_driver_sql("SELECT text FROM note WHERE id = 1").all()
            latencies.append(time.perf_counter() - began)


def batches(engine: sa.Engine, count: int, latencies: list[float]) -> None:
    """Transactions of ten inserts."""
    for _ in range(count):
        began = time.perf_counter()
        with engine.connect() as connection, connection.execution_options(holdfast_retry_safe=True).begin():
            for _ in range(10):
                connection.exec_driver_sql("INSERT INTO note (text) VALUES ('x')")
        latencies.append(time.perf_counter() - began)


def in_threads(work: Callable[[sa.Engine, int, list[float]], None], engine: sa.Engine, count: int) -> list[float]:
    """All latencies of 16 threads."""
    latencies: list[list[float]] = [[] for _ in range(THREADS)]
    threads = [threading.Thread(target=work, args=(engine, count, each)) for each in latencies]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return [latency for each in latencies for latency in each]


def overhead(site: FailoverSite, rounds: int) -> list[dict[str, str]]:
    """Rounds by turns, so that whatever else the machine does falls on both alike."""
    driver, plain = site.driver().engine(), plain_engine(site.servers[0])
    with driver.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE note (id BIGINT AUTO_INCREMENT PRIMARY KEY, text VARCHAR(20))")
        connection.exec_driver_sql("INSERT INTO note (text) VALUES ('one')")
    rows = []
    for name, work, count, threads in (
        ("read by key, 1 thread", statements, 500, 1),
        (f"read by key, {THREADS} threads", statements, 100, THREADS),
        ("10 inserts and commit, 1 thread", batches, 20, 1),
    ):
        taken: dict[str, list[float]] = {"plain": [], "driver": []}
        for number in range(rounds):
            turns = [("plain", plain), ("driver", driver)]
            for who, engine in turns if number % 2 else reversed(turns):
                if threads == 1:
                    work(engine, count, taken[who])
                else:
                    taken[who] += in_threads(work, engine, count)
        row = {"what": name}
        for label, measure in (("median", statistics.median), ("p99", _p99)):
            ours, theirs = measure(taken["driver"]), measure(taken["plain"])
            row[label] = f"{ours * 1e6:.0f} µs, plain {theirs * 1e6:.0f} µs ({(ours / theirs - 1) * 100:+.1f} %)"
        rows.append(row)
    plain.dispose()
    return rows


def _heal(site: FailoverSite) -> None:
    """Both replicate; the first is built anew if it was lost with what it had not sent."""
    first, second = site.servers
    for each in site.servers:
        while not replica_status(each).get("Last_SQL_Errno") and not _connected(each):
            time.sleep(0.05)
    if any(replica_status(each).get("Last_SQL_Errno") for each in site.servers):
        site.rebuild(first, second)
    for each, other in ((first, second), (second, first)):
        wait_connected(each)
        wait_caught_up(each, other)


def _connected(server: MariaDb) -> bool:
    status = replica_status(server)
    return bool(status.get("Slave_IO_Running") == status.get("Slave_SQL_Running") == "Yes")


def _p99(values: Sequence[float]) -> float:
    return sorted(values)[int(len(values) * 0.99)]


def failover(site: FailoverSite, network: CableNetwork, how: str, rounds: int) -> dict[str, str]:
    """From the loss of the primary under write load to the first batch acknowledged elsewhere."""
    first, _second = site.servers
    driver = site.driver(secondsBeforeRetryMaster=1)
    store = site.store(driver)
    taken = []
    for _ in range(rounds):
        _heal(site)
        while driver._pilot.standing.host is None or driver._pilot.standing.host.number != 0:
            time.sleep(0.05)
        acknowledged: list[float] = []
        stop = threading.Event()

        def write(acknowledged: list[float] = acknowledged, stop: threading.Event = stop) -> None:
            while not stop.is_set():
                store.commit([Insert(event())])
                acknowledged.append(time.perf_counter())
                stop.wait(0.01)

        writers = [threading.Thread(target=write) for _ in range(4)]
        for writer in writers:
            writer.start()
        time.sleep(0.5)
        lost = time.perf_counter()
        first.kill() if how == "kill -9" else network.cut(first.host)
        while driver._pilot.standing.host is None or driver._pilot.standing.host.number == 0:
            time.sleep(0.005)
        time.sleep(0.3)
        stop.set()
        for writer in writers:
            writer.join()
        # A write that was under way may still have been acknowledged by the lost host: the longest gap is what counts.
        moments = sorted(moment for moment in acknowledged if moment >= lost - 0.2)
        gaps = [later - earlier for earlier, later in itertools.pairwise(moments)]
        taken.append(max(gaps))
        first.start() if how == "kill -9" else network.mend(first.host)
    return {
        "lost by": how,
        "writing stood still, p50": f"{statistics.median(taken):.3f} s",
        "worst": f"{max(taken):.3f} s of {rounds}",
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--full", action="store_true", help="20 losses of each kind instead of 3")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    logging.getLogger("holdfast_mysqlfailover").setLevel(logging.ERROR)
    folder = Path(tempfile.mkdtemp())
    with CableNetwork() as network, MariaDbLab(folder) as lab:
        site = FailoverSite(folder, [lab.server(**network.place()) for _ in range(2)])
        site.prepare()
        show("overhead per statement", overhead(site, 40 if arguments.full else 10))
        losses = 20 if arguments.full else 3
        show("losses of the primary", [failover(site, network, how, losses) for how in ("kill -9", "silence")])
        site.close()


if __name__ == "__main__":
    main()
