"""The heartbeat area: no disk with data is overwritten, and no slot has two hosts."""

import os
import random
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from holdfast.beats.record import SIZE, BeatRecord, decode, encode
from holdfast.errors import Refused
from holdfast_heartbeat_iscsi import area as area_module
from holdfast_heartbeat_iscsi import layout
from holdfast_heartbeat_iscsi.area import HeartbeatArea
from holdfast_heartbeat_iscsi.block_device import BlockDevice
from hypothesis import given, settings
from hypothesis import strategies as st


class Memory:
    """A disk in memory; `between` is called before each step, so that a test can let others go first."""

    def __init__(self, size: int = 2 * layout.AREA) -> None:
        self.data = bytearray(size)
        self.between: Callable[[], None] = lambda: None

    def size(self) -> int:
        return len(self.data)

    def read(self, offset: int, length: int) -> bytes:
        self.between()
        return bytes(self.data[offset : offset + length])

    def write(self, offset: int, data: bytes) -> None:
        self.between()
        self.data[offset : offset + len(data)] = data

    def claim(self) -> None:
        pass


def record(host: str, sequence: int) -> str:
    return encode(BeatRecord(host, sequence)).hex()


def sequences(found: dict[str, str]) -> dict[str, int]:
    return {name: decode(bytes.fromhex(text)).sequence for name, text in found.items()}


@pytest.fixture(autouse=True)
def no_settling(monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory needs no time."""
    monkeypatch.setattr(area_module, "SETTLE_SECONDS", 0.0)
    monkeypatch.setattr(area_module, "_TORN_RETRY_SECONDS", 0.0)


def test_a_blank_disk_becomes_an_area() -> None:
    """Prepared by one host, used by another."""
    disk = Memory()
    HeartbeatArea("pool", disk, True).prepare("one")
    other = HeartbeatArea("pool", disk, False)
    other.prepare("two")
    other.put("two", record("two", 5))
    assert sequences(other.get(None)) == {"one": 0, "two": 5}


@given(st.integers(0, 2 * layout.AREA - 1), st.integers(1, 255))
@settings(max_examples=60)
def test_a_disk_that_holds_anything_is_left_as_it_is(where: int, what: int) -> None:
    """One byte in the first or in the last MiB is enough."""
    disk = Memory()
    disk.data[where] = what
    before = bytes(disk.data)
    with pytest.raises(Refused):
        HeartbeatArea("pool", disk, True).prepare("one")
    assert bytes(disk.data) == before


def test_a_blank_disk_is_left_blank_where_formatting_is_off() -> None:
    """And nobody can write to it."""
    disk = Memory()
    area = HeartbeatArea("pool", disk, False)
    for act in (lambda: area.prepare("one"), lambda: area.put("one", record("one", 1)), lambda: area.get(None)):
        with pytest.raises(Refused, match="no heartbeat area"):
            act()
    assert not any(disk.data)


def test_the_area_of_another_pool_is_left_as_it_is() -> None:
    """Two pools on one disk would read each other's hosts."""
    disk = Memory()
    HeartbeatArea("pool", disk, True).prepare("one")
    before = bytes(disk.data)
    other = HeartbeatArea("other", disk, True)
    for act in (lambda: other.prepare("one"), lambda: other.put("one", record("one", 1)), lambda: other.get(["one"])):
        with pytest.raises(Refused, match="of pool pool"):
            act()
    assert bytes(disk.data) == before


def test_a_lun_that_becomes_another_disk_is_noticed_at_the_next_beat() -> None:
    """Nothing is written there."""
    disk = Memory()
    area = HeartbeatArea("pool", disk, True)
    area.prepare("one")
    area.put("one", record("one", 1))
    disk.data[:] = random.Random(1).randbytes(len(disk.data))
    before = bytes(disk.data)
    with pytest.raises(Refused, match="no heartbeat area"):
        area.put("one", record("one", 2))
    assert bytes(disk.data) == before


def test_a_disk_that_is_too_small_is_refused() -> None:
    """It says what is needed."""
    with pytest.raises(Refused, match="needs 1048576"):
        HeartbeatArea("pool", Memory(layout.BLOCK * 8), True).prepare("one")


def test_hosts_that_take_slots_at_once_end_up_with_one_each() -> None:
    """Whatever the order of their steps: with the next beat everybody's is there, and only once.

    One that is held up between its look at a blank slot and its write takes away what was written meanwhile. That is
    what settling is for, and it needs no time here: whose record is gone sees it at its next beat.
    """
    for seed in range(30):
        disk = Memory()
        HeartbeatArea("pool", disk, True).prepare("maker")
        chance = random.Random(seed)
        # All hosts have the same favourite slots: names are chosen so.
        favourite = next(layout.candidates("host-0"))
        pool = (f"host-{number}" for number in range(10_000))
        hosts = [name for name in pool if next(layout.candidates(name)) == favourite][:4]
        turn = threading.Semaphore(1)
        disk.between = lambda turn=turn, chance=chance: _let_others(turn, chance)
        areas = {name: HeartbeatArea("pool", disk, False) for name in hosts}
        threads = [threading.Thread(target=_beat, args=(area, name, turn)) for name, area in areas.items()]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        disk.between = lambda: None
        for name, area in areas.items():
            area.put(name, record(name, 3))
        found = HeartbeatArea("pool", disk, False).get(None)
        assert {name: decode(bytes.fromhex(found[name])).sequence for name in hosts} == dict.fromkeys(hosts, 3), seed
        owners = [
            held.host
            for slot in range(layout.SLOTS)
            if (held := layout.record_in(disk.read(layout.offset(slot), layout.BLOCK))) is not None
        ]
        assert sorted(owners) == sorted([*hosts, "maker"]), seed


def _let_others(turn: threading.Semaphore, chance: random.Random) -> None:
    turn.release()
    threading.Event().wait(chance.random() * 0.001)
    turn.acquire()


def _beat(area: HeartbeatArea, name: str, turn: threading.Semaphore) -> None:
    with turn:
        area.prepare(name)
        for sequence in (1, 2):
            area.put(name, record(name, sequence))


def test_two_that_took_the_same_slot_part_at_the_next_beat() -> None:
    """The one whose record is not there goes elsewhere; the other keeps it."""
    disk = Memory()
    one, two = HeartbeatArea("pool", disk, True), HeartbeatArea("pool", disk, False)
    one.prepare("one")
    slot = one._slots["one"]
    disk.write(layout.offset(slot), bytes.fromhex(record("two", 0)).ljust(layout.BLOCK, b"\0"))
    two._slots["two"] = slot
    one.put("one", record("one", 7))
    two.put("two", record("two", 8))
    found = two.get(None)
    assert sequences(found) == {"one": 7, "two": 8}


def test_garbage_in_a_slot_is_unknown_to_readers_and_mended_by_its_owner() -> None:
    """Never "not there", which somebody might take for news."""
    disk = Memory()
    area = HeartbeatArea("pool", disk, True)
    area.prepare("one")
    area.put("one", record("one", 1))
    at = layout.offset(area._slots["one"])
    disk.data[at : at + SIZE] = random.Random(2).randbytes(SIZE)
    with pytest.raises(Refused, match="nothing that can be believed"):
        HeartbeatArea("pool", disk, False).get(["one"])
    area.put("one", record("one", 2))
    assert decode(bytes.fromhex(area.get(["one"])["one"])).sequence == 2


def test_all_slots_taken_is_said() -> None:
    """And removing a host makes room."""
    disk = Memory()
    area = HeartbeatArea("pool", disk, True)
    for number in range(layout.SLOTS):
        area.prepare(f"host-{number}")
    with pytest.raises(Refused, match="all 255 slots are taken"):
        area.prepare("one-more")
    area.remove("host-17")
    area.prepare("one-more")
    assert set(area.get(None)) == {f"host-{n}" for n in range(layout.SLOTS)} - {"host-17"} | {"one-more"}


def test_readers_read_little_where_there_are_few_hosts() -> None:
    """Slots near the beginning are taken first."""
    disk = Memory()
    area = HeartbeatArea("pool", disk, True)
    for number in range(12):
        area.prepare(f"host-{number}")
    area.get(None)
    longest = 0

    class Counting(Memory):
        def read(self, offset: int, length: int) -> bytes:
            nonlocal longest
            longest = max(longest, length)
            return super().read(offset, length)

    counting = Counting()
    counting.data = disk.data
    area._disk = counting
    area.get(None)
    assert longest <= layout.BLOCK * 26


@given(st.binary(max_size=SIZE), st.booleans())
def test_garbage_is_no_header(block: bytes, magic: bool) -> None:
    """It is said to be something else."""
    with pytest.raises(ValueError, match="there"):
        layout.pool_of(((b"HOLDAREA" if magic else b"") + block).ljust(layout.BLOCK, b"\0"))


def test_a_host_that_is_there_twice_keeps_one_slot() -> None:
    """Readers would not know which to believe."""
    disk = Memory()
    area = HeartbeatArea("pool", disk, True)
    area.prepare("one")
    spare = next(slot for slot in range(layout.SLOTS) if slot != area._slots["one"])
    disk.write(layout.offset(spare), bytes.fromhex(record("one", 3)).ljust(layout.BLOCK, b"\0"))
    again = HeartbeatArea("pool", disk, True)
    again.prepare("one")
    again.put("one", record("one", 9))
    assert sequences(again.get(None)) == {"one": 9}
    assert sum(layout.record_in(disk.read(layout.offset(s), SIZE)) is not None for s in range(layout.SLOTS)) == 1


def test_a_file_is_read_and_written_past_the_cache(tmp_path: Path) -> None:
    """Whole blocks, at their places; its end is noticed."""
    path = tmp_path / "disk"
    path.touch()
    os.truncate(path, layout.AREA)
    disk = BlockDevice(str(path))
    disk.write(layout.BLOCK, b"x" * layout.BLOCK)
    assert disk.read(0, 2 * layout.BLOCK) == bytes(layout.BLOCK) + b"x" * layout.BLOCK
    assert disk.size() == layout.AREA
    disk.claim()
    with pytest.raises(Refused, match="ends before"):
        disk.read(layout.AREA, layout.BLOCK)


def test_candidates_are_all_slots_once() -> None:
    """In pages of sixteen."""
    for host in ("a", "b", "host-31"):
        order = list(layout.candidates(host))
        assert sorted(order) == list(range(layout.SLOTS))
        assert set(order[:16]) == set(range(16))
