"""The database driver: what it costs per statement, and how long writing stands still when the primary is lost.

    python tests/bench/bench_database.py [--full] [--only overhead|reads|kill|silence|kill-java|silence-java]

Each part takes less than five minutes, with --full as well. Two MariaDB servers replicate to each other, in network
namespaces so that a cable can be pulled (needs root). Beside the driver: a plain SQLAlchemy engine over PyMySQL for the
cost, and MariaDB Connector/J for all of it where a JDK and Debian's `libmariadb-java` are installed.

Cost is compared in pairs: rounds by turns, a ratio for each pair, and the median and the quartiles of the ratios, so
that what else the machine does falls on both alike. Whether a figure is more than noise the quartiles tell, and the row
"plain twice", in which the plain engine is compared with another one of its kind.
"""

import argparse
import gc
import itertools
import logging
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "plugins" / "mysqlfailover" / "tests"))
sys.path.insert(0, str(Path(__file__).resolve().parent))

from connector_j import ConnectorJ, ConnectorWriters, is_here
from failover_site import PASSWORD, USER, FailoverSite
from holdfast.hooks.store import Insert
from holdfast_conformance.mariadb import MariaDb, MariaDbLab
from holdfast_conformance.mariadb_network import CableNetwork
from holdfast_conformance.mariadb_replication import is_streaming, replica_status
from holdfast_conformance.store_rows import event
from measuring import show

THREADS = 16
Clock = Callable[[], float]
Part = Callable[[FailoverSite, CableNetwork, bool], None]


def plain_engine(server: MariaDb) -> sa.Engine:
    """What the driver is compared with: the same dialect, pool and session, without failover."""
    url = sa.URL.create("mysql+pymysql", USER, PASSWORD, server.host, server.port, "cloud")
    return sa.create_engine(url, pool_size=30, isolation_level="READ COMMITTED")


def statements(engine: sa.Engine, count: int, latencies: list[float], clock: Clock = time.perf_counter) -> None:
    """Reads of one row by its key, one connection held."""
    with engine.connect() as connection:
        for _ in range(count):
            began = clock()
            connection.exec_driver_sql("SELECT text FROM note WHERE id = 1").all()
            latencies.append(clock() - began)


def inserts(engine: sa.Engine, count: int, latencies: list[float], clock: Clock = time.perf_counter) -> None:
    """Inserts in one transaction, after its first statement: the guard and the token are not among them."""
    with engine.connect() as connection, connection.execution_options(holdfast_retry_safe=True).begin():
        connection.exec_driver_sql("INSERT INTO note (text) VALUES ('x')")
        for _ in range(count):
            began = clock()
            connection.exec_driver_sql("INSERT INTO note (text) VALUES ('x')")
            latencies.append(clock() - began)


def batches(engine: sa.Engine, count: int, latencies: list[float], clock: Clock = time.perf_counter) -> None:
    """Transactions of ten inserts, each with one statement more where it is guarded: the token's."""
    for _ in range(count):
        began = clock()
        with engine.connect() as connection, connection.execution_options(holdfast_retry_safe=True).begin():
            for _ in range(10):
                connection.exec_driver_sql("INSERT INTO note (text) VALUES ('x')")
        latencies.append(clock() - began)


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
    driver, plain, other = site.driver().engine(), plain_engine(site.servers[0]), plain_engine(site.servers[0])
    _make_table(site)
    rows = []
    for name, work, count, threads, clock, compared in (
        ("read by key, CPU", statements, 300, 1, time.thread_time, driver),
        ("read by key, CPU, plain twice", statements, 300, 1, time.thread_time, other),
        ("insert, CPU", inserts, 200, 1, time.thread_time, driver),
        ("insert, CPU, plain twice", inserts, 200, 1, time.thread_time, other),
        ("read by key, 1 thread", statements, 300, 1, time.perf_counter, driver),
        (f"read by key, {THREADS} threads", statements, 60, THREADS, time.perf_counter, driver),
        (f"read by key, {THREADS} threads, plain twice", statements, 60, THREADS, time.perf_counter, other),
        ("insert, 1 thread", inserts, 200, 1, time.perf_counter, driver),
        (f"insert, {THREADS} threads", inserts, 60, THREADS, time.perf_counter, driver),
        (f"insert, {THREADS} threads, plain twice", inserts, 60, THREADS, time.perf_counter, other),
        ("10 inserts and commit, 1 thread", batches, 10, 1, time.perf_counter, driver),
    ):
        rounds_of: dict[str, list[list[float]]] = {"plain": [], "driver": []}
        for number in range(rounds):
            turns = [("plain", plain), ("driver", compared)]
            for who, engine in turns if number % 2 else reversed(turns):
                with _no_collection():
                    taken: list[float] = in_threads(work, engine, count) if threads > 1 else []
                    if threads == 1:
                        work(engine, count, taken, clock)
                rounds_of[who].append(taken)
        row = {"what": name}
        for label, measure in (("median", statistics.median), ("p99", _p99)):
            row[label] = _compared(rounds_of, measure)
        rows.append(row)
    plain.dispose()
    other.dispose()
    return rows


@contextmanager
def _no_collection() -> Iterator[None]:
    """Let no collection of garbage fall into a round by chance: all of it before, for both alike."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def _compared(rounds_of: dict[str, list[list[float]]], measure: Callable[[Sequence[float]], float]) -> str:
    ours, theirs = ([measure(each) for each in rounds_of[who]] for who in ("driver", "plain"))
    low, middle, high = statistics.quantiles(
        (our / their - 1 for our, their in zip(ours, theirs, strict=True)), n=4, method="inclusive"
    )
    return (
        f"{statistics.median(ours) * 1e6:.0f} µs, plain {statistics.median(theirs) * 1e6:.0f} µs "
        f"({middle:+.1%}, quartiles {low:+.1%} to {high:+.1%})"
    )


def _heal(site: FailoverSite) -> None:
    """Both replicate and have everything; the first is built anew if it was lost with what it had not sent."""
    first, second = site.servers
    until = time.monotonic() + 120
    while not all(_is_current(each, other) for each, other in ((first, second), (second, first))):
        if any(replica_status(each).get("Last_SQL_Errno") for each in site.servers):
            site.rebuild(first, second)
        assert time.monotonic() < until, [replica_status(each) for each in site.servers]
        time.sleep(0.05)


def _is_current(replica: MariaDb, source: MariaDb) -> bool:
    if not _connected(replica):
        return False
    position = source.value("@@gtid_binlog_pos")
    return bool(replica.value(f"MASTER_GTID_WAIT('{position}', 5)") == 0)


def _connected(server: MariaDb) -> bool:
    return is_streaming(replica_status(server))


def _p99(values: Sequence[float]) -> float:
    return sorted(values)[int(len(values) * 0.99)]


def yardstick_reads(site: FailoverSite, rounds: int, folder: Path) -> list[dict[str, str]]:
    """Reads by key of Connector/J, by turns with ours: another language on another virtual machine, so no overhead."""
    java = ConnectorJ(folder, [f"{each.host}:{each.port}" for each in site.servers], USER, PASSWORD)
    engine = site.driver().engine()
    taken: dict[str, list[float]] = {"driver": [], "Connector/J": []}
    for _ in range(rounds):
        taken["Connector/J"] += java.read(4000)[2000:]  # the first ones are compiled meanwhile
        statements(engine, 2000, taken["driver"])
    return [
        {
            "reads by key, 1 thread": who,
            "median": f"{statistics.median(each) * 1e6:.0f} µs",
            "p99": f"{_p99(each) * 1e6:.0f} µs",
            "a second": f"{len(each) / sum(each):.0f}",
        }
        for who, each in taken.items()
    ]


def yardstick_losses(site: FailoverSite, network: CableNetwork, how: str, rounds: int, folder: Path) -> dict[str, str]:
    """As `failover`, by Connector/J. Without a socket time-out of its own it waits for a silent host for ever."""
    first, _second = site.servers
    limit = "&connectTimeout=2000&socketTimeout=2000" if how == "silence" else "&connectTimeout=2000"
    java = ConnectorJ(folder, [f"{each.host}:{each.port}" for each in site.servers], USER, PASSWORD, limit)
    taken = []
    for _ in range(rounds):
        _heal(site)
        with java.writers(4) as writers:
            _wait_for(lambda: len(writers.acknowledged) > 50)
            lost = time.time()
            first.kill() if how == "kill -9" else network.cut(first.host)
            _wait_for_more(writers, lost + 0.5)
        moments = sorted(moment for moment in writers.acknowledged if moment >= lost - 0.2)
        taken.append(max(later - earlier for earlier, later in itertools.pairwise(moments)))
        first.start() if how == "kill -9" else network.mend(first.host)
    return {
        "lost by": f"{how}, Connector/J{limit.replace('&', ' ')}",
        "writing stood still, p50": f"{statistics.median(taken):.3f} s",
        "worst": f"{max(taken):.3f} s of {rounds}",
    }


def _wait_for_more(writers: ConnectorWriters, since: float) -> None:
    _wait_for(lambda: sum(moment > since for moment in writers.acknowledged) > 50)


def _wait_for(come_true: Callable[[], bool], seconds: float = 60.0) -> None:
    until = time.monotonic() + seconds
    while not come_true():
        assert time.monotonic() < until, "it never came true"
        time.sleep(0.01)


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


def _make_table(site: FailoverSite) -> None:
    site.servers[0].run(
        "CREATE TABLE cloud.note (id BIGINT AUTO_INCREMENT PRIMARY KEY, text VARCHAR(20))",
        "INSERT INTO cloud.note (text) VALUES ('one')",
    )


def _overhead(site: FailoverSite, _network: CableNetwork, full: bool) -> None:
    show("overhead per statement", overhead(site, 60 if full else 10))


def _reads(site: FailoverSite, _network: CableNetwork, full: bool) -> None:
    _make_table(site)
    show("beside Connector/J", yardstick_reads(site, 5 if full else 2, site.folder))


def _lost(how: str) -> Part:
    def run(site: FailoverSite, network: CableNetwork, full: bool) -> None:
        show("losses of the primary", [failover(site, network, how, 20 if full else 3)])

    return run


def _lost_by_java(how: str) -> Part:
    def run(site: FailoverSite, network: CableNetwork, full: bool) -> None:
        _make_table(site)
        show("losses of the primary", [yardstick_losses(site, network, how, 10 if full else 2, site.folder)])

    return run


PARTS: dict[str, Part] = {
    "overhead": _overhead,
    "reads": _reads,
    "kill": _lost("kill -9"),
    "silence": _lost("silence"),
    "kill-java": _lost_by_java("kill -9"),
    "silence-java": _lost_by_java("silence"),
}
JAVA = ("reads", "kill-java", "silence-java")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--full", action="store_true", help="20 losses of each kind instead of 3, 60 pairs instead of 10"
    )
    parser.add_argument(
        "--only", nargs="+", choices=PARTS, default=[name for name in PARTS if name not in JAVA or is_here()]
    )
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    logging.getLogger("holdfast_mysqlfailover").setLevel(logging.ERROR)
    for name in arguments.only:
        # Servers of its own for each, so that each can be had alone.
        folder = Path(tempfile.mkdtemp())
        with CableNetwork() as network, MariaDbLab(folder) as lab:
            site = FailoverSite(folder, [lab.server(**network.place()) for _ in range(2)])
            site.prepare()
            try:
                PARTS[name](site, network, arguments.full)
            finally:
                site.close()


if __name__ == "__main__":
    main()
