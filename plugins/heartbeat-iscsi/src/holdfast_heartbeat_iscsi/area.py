"""The heartbeat area of one pool on one disk: whose slot is whose, and what is in it. Lives in a lane's process."""

import time
from typing import Final

from holdfast.beats.record import SIZE, BeatRecord, encode, is_blank
from holdfast.errors import Refused, Unreachable
from holdfast.lane import overdue

from holdfast_heartbeat_iscsi import layout
from holdfast_heartbeat_iscsi.disk import Disk

SETTLE_SECONDS: Final = 0.25
_WHOLE_LOOK_SECONDS: Final = 30.0
_SPARE: Final = 8
_TORN_RETRY_SECONDS: Final = 0.02


class HeartbeatArea:
    """`holdfast.beats.confined.BeatStorage` on a disk.

    A slot belongs to the host whose record is in it. A host takes a blank one, waits, and reads back; two that took the
    same one at the same moment find out then. Before each beat it reads its slot once more: should another host's
    record be there after all, it leaves it alone and takes another slot. A host whose record is missing meanwhile is
    "not found" to readers, which never counts against it.
    """

    def __init__(self, pool: str, disk: Disk, may_format: bool) -> None:
        self._pool = pool
        self._disk = disk
        self._may_format = may_format
        self._slots: dict[str, int] = {}
        self._used = 0
        self._whole_look_at = -_WHOLE_LOOK_SECONDS

    def prepare(self, writer: str) -> None:
        """Make the area if the disk holds nothing, and take a slot."""
        self._check(may_format=self._may_format)
        slots = self._find(writer)
        if not slots:
            self._claim(writer)
            return
        self._slots[writer] = slots[0]
        for slot in slots[1:]:
            self._disk.write(layout.offset(slot), bytes(layout.BLOCK))

    def put(self, writer: str, record: str) -> None:
        """One write of one block."""
        self._check()
        data = bytes.fromhex(record).ljust(layout.BLOCK, b"\0")
        slot = self._slots.get(writer)
        if slot is None:
            slot = next(iter(self._find(writer)), None)
        if slot is None or not self._is_ours(writer, slot):
            self._slots.pop(writer, None)
            slot = self._claim(writer)
        self._slots[writer] = slot
        self._disk.write(layout.offset(slot), data)

    def get(self, subjects: list[str] | None) -> dict[str, str]:
        """All records up to the last used slot, in one read; now and then, and when one is missing, all 255."""
        found, damaged = self._look(time.monotonic() - self._whole_look_at > _WHOLE_LOOK_SECONDS)
        if subjects is None:
            return found
        if not set(subjects) <= set(found):
            found, damaged = self._look(whole=True)
        missing = sorted(set(subjects) - set(found))
        if missing and damaged:
            raise Refused(f"slot {damaged[0]} holds nothing that can be believed, and may be that of {missing[0]}")
        return {name: record for name, record in found.items() if name in subjects}

    def remove(self, subject: str) -> None:
        """Give the slot back. Idempotent."""
        try:
            self._check()
        except _NoArea:
            return
        self._slots.pop(subject, None)
        for slot in self._find(subject):
            if overdue():
                raise Unreachable("the storage answered too late; nothing was removed")
            self._disk.write(layout.offset(slot), bytes(layout.BLOCK))

    def _check(self, may_format: bool = False) -> None:
        """See that the disk holds this pool's area. Each time: a LUN may be mapped to another disk at any time."""
        self._check_header(self._disk.read(0, layout.BLOCK), may_format)

    def _check_header(self, block: bytes, may_format: bool = False) -> None:
        try:
            owner = layout.pool_of(block)
        except ValueError as problem:
            if not is_blank(block):
                raise Refused(
                    f"this disk is no heartbeat area: {problem}. Nothing was written. Give the pool a LUN of its own "
                    "for heartbeats (detail heartbeat.device)"
                ) from problem
            if not may_format:
                raise _NoArea("the disk holds no heartbeat area yet: no host has prepared one") from problem
            self._format()
            owner = self._pool
        if owner != self._pool:
            raise Refused(
                f"this disk holds the heartbeats of pool {owner}, not of {self._pool}; each pool needs its own"
            )

    def _look(self, whole: bool) -> tuple[dict[str, str], list[int]]:
        """Records by host, and the slots with something in them that is none. A torn one is read once more."""
        slots = layout.SLOTS if whole else min(layout.SLOTS, self._used + _SPARE)
        found: dict[str, str] = {}
        damaged: list[int] = []
        for last in (False, True):
            data = self._disk.read(0, layout.offset(slots - 1) + layout.BLOCK)
            self._check_header(data[: layout.BLOCK])
            found, damaged = {}, []
            for slot in range(slots):
                begin = layout.offset(slot)
                try:
                    record = layout.record_in(data[begin : begin + layout.BLOCK])
                except ValueError:
                    damaged.append(slot)
                    self._used = max(self._used, slot + 1)
                    continue
                if record is not None:
                    self._used = max(self._used, slot + 1)
                    found.setdefault(record.host, data[begin : begin + SIZE].hex())
            if not damaged or last:
                break
            time.sleep(_TORN_RETRY_SECONDS)
        if whole:
            self._whole_look_at = time.monotonic()
        return found, damaged

    def _format(self) -> None:
        size = self._disk.size()
        if size < layout.AREA:
            raise Refused(f"the disk has {size} bytes; a heartbeat area needs {layout.AREA}")
        self._disk.claim()
        # Partition tables, volume managers and RAID also keep things at the end of a disk.
        last = (size - layout.AREA) // layout.BLOCK * layout.BLOCK
        for offset in {0, last}:
            if not is_blank(self._disk.read(offset, layout.AREA)):
                raise Refused(
                    f"the disk is not blank (something is between byte {offset} and {offset + layout.AREA}), so no "
                    "heartbeat area was made on it. If nothing on it is needed: wipefs -a, then blkdiscard -z"
                )
        self._disk.write(0, layout.header(self._pool))

    def _find(self, writer: str) -> list[int]:
        """The slots that hold a record of `writer`: one, unless something went wrong."""
        data = self._disk.read(layout.BLOCK, layout.AREA - layout.BLOCK)
        slots = []
        for slot in range(layout.SLOTS):
            try:
                record = layout.record_in(data[slot * layout.BLOCK : (slot + 1) * layout.BLOCK])
            except ValueError:
                continue
            if record is not None and record.host == writer:
                slots.append(slot)
        return slots

    def _is_ours(self, writer: str, slot: int) -> bool:
        """Whether the slot may be written. Damage in one's own slot is mended by writing it."""
        try:
            record = layout.record_in(self._disk.read(layout.offset(slot), layout.BLOCK))
        except ValueError:
            return True
        return record is not None and record.host == writer

    def _claim(self, writer: str) -> int:
        """Take a blank slot. The record in it, of sequence 0, says whose it is."""
        mark = encode(BeatRecord(writer, 0, time.monotonic_ns())).ljust(layout.BLOCK, b"\0")
        for slot in layout.candidates(writer):
            if not is_blank(self._disk.read(layout.offset(slot), layout.BLOCK)):
                continue
            self._disk.write(layout.offset(slot), mark)
            time.sleep(SETTLE_SECONDS)
            if self._disk.read(layout.offset(slot), layout.BLOCK) == mark:
                self._slots[writer] = slot
                return slot
        raise Refused(f"all {layout.SLOTS} slots are taken; remove the heartbeats of hosts that are gone")


class _NoArea(Refused):
    pass
