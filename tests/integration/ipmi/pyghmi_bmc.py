"""A BMC by pyghmi whose chassis is a file: `pyghmi_bmc.py PORT USER UUID FILE`, password in BMC_PASSWORD."""

import os
import sys
import uuid
from pathlib import Path

from pyghmi.ipmi import bmc  # type: ignore[import-untyped]


class FileBmc(bmc.Bmc):  # type: ignore[misc]  # pyghmi has no type annotations
    """Power is the word in a file."""

    def __init__(self, port: int, user: str, system: uuid.UUID, power: Path) -> None:
        super().__init__({user: os.environ["BMC_PASSWORD"]}, port=port, bmcuuid=system, address="127.0.0.1")
        self._system = system
        self._power = power
        self._power.write_text("off", encoding="ascii")

    def get_power_state(self) -> str:
        """What the file says."""
        return self._power.read_text(encoding="ascii").strip()

    def power_on(self) -> int:
        """Switch on."""
        self._power.write_text("on", encoding="ascii")
        return 0

    def power_off(self) -> int:
        """Switch off."""
        self._power.write_text("off", encoding="ascii")
        return 0

    def get_system_guid(self) -> uuid.UUID:
        """Whose BMC this is."""
        return self._system


if __name__ == "__main__":
    FileBmc(int(sys.argv[1]), sys.argv[2], uuid.UUID(sys.argv[3]), Path(sys.argv[4])).listen()
