"""Reading the tokens that guests write, from outside: which runs of a VM are alive is what their disk says."""

import re
import tempfile
from dataclasses import dataclass
from pathlib import Path

from holdfast_lab.commands import run
from holdfast_lab.guest.image import SECTOR, TOKENS_SECTORS, TOKENS_START

SLOT_BYTES = 4096
PERIOD_SECONDS = 0.1
"""How often a guest writes, if its CPU and its disk are quick enough."""

_TOKEN = re.compile(
    rb"HOLDFAST-TOKEN vm=(?P<vm>\S+) run=(?P<run>\d+) token=(?P<token>[0-9a-f]+) "
    rb"count=(?P<count>\d+) up=(?P<up>[\d.]+)\n"
)


@dataclass(frozen=True, slots=True)
class Token:
    """The last word of one run of one VM. `token` is that boot's own; `count` grows by one with each writing.

    A reboot within a run begins a new token. `up` is seconds since the guest's kernel started.
    """

    vm: str
    run: int
    token: str
    count: int
    up: float


def parse_tokens(area: bytes) -> tuple[Token, ...]:
    """The tokens in a copy of the token partition, one per slot that was written."""
    found = []
    for start in range(0, len(area), SLOT_BYTES):
        match = _TOKEN.match(area[start : start + SLOT_BYTES])
        if match:
            told = {name: value.decode() for name, value in match.groupdict().items()}
            found.append(Token(told["vm"], int(told["run"]), told["token"], int(told["count"]), float(told["up"])))
    return tuple(found)


def read_tokens(image: str, image_format: str = "qcow2", seconds: float = 10.0) -> tuple[Token, ...]:
    """Read a disk's tokens while its VM runs. `image` is anything that QEMU opens; no lock is taken.

    Blocks up to `seconds`. Raises `LabError` if the image cannot be read. A guest's writes are seen once they are
    flushed, which its init waits for.
    """
    mebibyte = 1 << 20
    with tempfile.TemporaryDirectory() as scratch:
        copy = Path(scratch) / "tokens"
        start = TOKENS_START * SECTOR // mebibyte
        run(
            "qemu-img", "dd", "-U", "-f", image_format, "-O", "raw", f"bs={mebibyte}", f"skip={start}",
            f"count={start + 1}", f"if={image}", f"of={copy}", timeout=seconds,
        )  # fmt: skip
        return parse_tokens(copy.read_bytes()[: TOKENS_SECTORS * SECTOR])
