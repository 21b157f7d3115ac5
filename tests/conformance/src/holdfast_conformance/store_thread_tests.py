"""Standard tests of stores: several threads at once."""

import threading
from collections.abc import Callable
from functools import partial

from holdfast.errors import Conflict
from holdfast.hooks.store import Insert, Query, Store, Update
from holdfast.model import (
    Event,
    Host,
    Vm,
)

from holdfast_conformance.store_rows import event, host, must, vm


class ThreadTests:
    """Part of `StoreConformance`."""

    def test_of_several_committers_exactly_one_wins(self, store: Store) -> None:
        """Compare and swap of the same row, many rounds."""
        (row_id,) = store.commit([Insert(host())])
        rounds = 20
        wins: list[int] = []

        def compete(name: str) -> None:
            for version in range(rounds):
                started.wait()
                try:
                    store.commit(
                        [
                            Update(Host, row_id, {"alloc_version": version + 1}, expect={"alloc_version": version}),
                            Insert(event(resource_id=name)),
                        ]
                    )
                    wins.append(version)
                except Conflict:
                    pass
                done.wait()

        started, done = threading.Barrier(3, timeout=30), threading.Barrier(3, timeout=30)
        together([partial(compete, name) for name in ("a", "b", "c")])
        assert sorted(wins) == list(range(rounds))
        assert must(store, Host, row_id).alloc_version == rounds
        assert store.count(Event, Query()) == rounds

    def test_additions_of_several_threads_are_all_counted(self, store: Store) -> None:
        """Read, change, write with an expectation, and again on conflict: nothing is lost."""
        (row_id,) = store.commit([Insert(host())])

        def add() -> None:
            added = 0
            while added < 15:
                seen = must(store, Host, row_id).alloc_version
                try:
                    store.commit([Update(Host, row_id, {"alloc_version": seen + 1}, expect={"alloc_version": seen})])
                    added += 1
                except Conflict:
                    continue

        together([add] * 4)
        assert must(store, Host, row_id).alloc_version == 60

    def test_no_reader_sees_half_a_batch(self, store: Store) -> None:
        """Each batch moves ten rows from one value to the next; a read sees all ten alike."""
        ids = store.commit([Insert(vm(reason="0")) for _ in range(10)])
        finished = threading.Event()

        def write() -> None:
            try:
                for step in range(1, 40):
                    store.commit([Update(Vm, row_id, {"reason": str(step)}) for row_id in ids])
            finally:
                finished.set()

        def read() -> None:
            while not finished.is_set():
                seen = {row.reason for row in store.select(Vm, Query())}
                assert len(seen) == 1, seen

        together([write, read, read])


def together(tasks: list[Callable[[], None]]) -> None:
    """Run all at once, each in a thread, and raise what any of them raised."""
    problems: list[BaseException] = []

    def guarded(task: Callable[[], None]) -> None:
        try:
            task()
        except BaseException as problem:
            problems.append(problem)

    threads = [threading.Thread(target=guarded, args=(task,), daemon=True) for task in tasks]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive(), "a thread did not end within 60 s"
    if problems:
        raise problems[0]
