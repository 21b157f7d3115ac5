"""A power cut or kill -9 at any moment leaves whole batches only, and all that were reported as written."""

import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from holdfast.hooks.store import Query
from holdfast.model import Event, Host
from holdfast_store.sqlite import SqliteDatabase
from holdfast_store.store import SqlStore

ROWS = 7

WRITE = """
import sys
from holdfast.hooks.store import Insert, Update
from holdfast.model import Event, Host
from holdfast_conformance.store_rows import event, host
from holdfast_store.sqlite import SqliteDatabase
from holdfast_store.store import SqlStore
settings = {"data_dir": sys.argv[1]}
database, store = SqliteDatabase(settings), SqlStore(settings)
store.bind(database)
store.migrate()
(row_id,) = store.commit([Insert(host())])
for number in range(1, 100_000):
    rows = [Insert(event(resource_id=str(number))) for _ in range(ROWS)]
    store.commit([Update(Host, row_id, {"alloc_version": number}, expect={"alloc_version": number - 1}), *rows])
    print(number, flush=True)
""".replace("ROWS", str(ROWS))


@pytest.mark.parametrize("seed", range(4))
def test_a_killed_writer_leaves_whole_batches_only(tmp_path: Path, seed: int) -> None:
    """Killed after a number of batches that differs from run to run."""
    wanted = random.Random(seed).randrange(1, 60)
    with subprocess.Popen(
        [sys.executable, "-c", WRITE, str(tmp_path)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as writer:
        assert writer.stdout is not None
        assert writer.stderr is not None
        while (line := writer.stdout.readline()) and int(line) < wanted:
            pass
        os.kill(writer.pid, signal.SIGKILL)
        # Not communicate(): it reads past what readline() has read ahead, and the newest reports would be lost.
        rest, errors = writer.stdout.read(), writer.stderr.read()
    assert line, errors
    reported = max([int(line), *(int(number) for number in rest.split())])

    settings = {"data_dir": str(tmp_path)}
    database, store = SqliteDatabase(settings), SqlStore(settings)
    store.bind(database)
    store.migrate()
    (host,) = store.select(Host, Query())
    assert reported <= host.alloc_version <= reported + 1
    for number in range(1, host.alloc_version + 1):
        assert store.count(Event, Query(equal={"resource_id": str(number)})) == ROWS
    assert store.count(Event, Query()) == ROWS * host.alloc_version
    store.close()
    database.close()
