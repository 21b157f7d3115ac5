"""What the area needs of a disk, however it is reached."""

from typing import Protocol


class Disk(Protocol):
    """Reads and writes whole blocks, past every cache. Lives in a lane's process: any call may hang with the storage.

    Errors: `Unreachable` and `Refused`.
    """

    def size(self) -> int:
        """Bytes in all."""

    def read(self, offset: int, length: int) -> bytes:
        """Exactly `length` bytes, as the storage has them now. Both are multiples of 4096."""

    def write(self, offset: int, data: bytes) -> None:
        """Write whole blocks; return once they are on the storage and not merely in some cache."""

    def claim(self) -> None:
        """Raise `Refused` if this machine uses the disk for something else (mounted, swap, LVM). Before formatting."""
