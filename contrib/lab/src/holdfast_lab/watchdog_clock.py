"""What a watchdog of a host's board counts. Pure; `boot` tells one power-on from the next."""

from dataclasses import dataclass

DEFAULT_SECONDS = 60
SHORTEST, LONGEST = 1, 65535


@dataclass(slots=True)
class WatchdogClock:
    """Opening it starts it; closing it without the magic letter does not stop it, as with the kernel's devices."""

    seconds: int = DEFAULT_SECONDS
    boot: str = ""
    due: float | None = None
    is_open: bool = False
    _magic: bool = False

    def open(self, boot: str, now: float) -> bool:
        """Start counting; false if another program of the same boot has it."""
        if self.is_open and self.boot == boot:
            return False
        self.is_open, self.boot, self._magic = True, boot, False
        self.feed(now)
        return True

    def feed(self, now: float) -> None:
        """Count from the beginning."""
        self.due = now + self.seconds

    def set_time(self, seconds: int, now: float) -> int:
        """Change its time and count from the beginning; what it was set to."""
        self.seconds = min(max(seconds, SHORTEST), LONGEST)
        self.feed(now)
        return self.seconds

    def write(self, data: bytes, now: float) -> None:
        """Any writing feeds it; the letter V promises an orderly close."""
        self._magic = b"V" in data
        self.feed(now)

    def close(self) -> None:
        """Stop counting, if the letter came before."""
        self.is_open = False
        if self._magic:
            self.due = None

    def bites(self, boot: str, now: float) -> bool:
        """Whether it resets the host now. Power that went off meanwhile has taken the count with it."""
        if self.due is None or now < self.due:
            return False
        self.due = None
        return bool(boot) and boot == self.boot
