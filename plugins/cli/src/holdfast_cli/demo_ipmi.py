"""BMCs that are OpenIPMI's `ipmi_sim`: IPMI 2.0 over UDP on the loopback."""

import shlex
import shutil
import socket
from pathlib import Path
from uuid import uuid4

from holdfast.errors import ConfigurationError
from holdfast.model import Secret

from holdfast_cli.demo_bmcs import LOOPBACK, USER, BmcPlace, EmulatedBmcs, Emulator

PROGRAM, PACKAGE = "ipmi_sim", "openipmi"
ANSWER_SECONDS = 0.2
_ASK_CAPABILITIES = bytes.fromhex("0600ff07000000000000000000092018c88100388e04b5")

_LAN = """\
name "{host}"
set_working_mc 0x20
  startlan 1
    addr {address} {port}
    priv_limit admin
    allowed_auths_callback none md2 md5 straight
    allowed_auths_user none md2 md5 straight
    allowed_auths_operator none md2 md5 straight
    allowed_auths_admin none md2 md5 straight
    guid {guid}
  endlan
  chassis_control "{folder}/chassis"
  user 2 true "{user}" "{password}" {privilege} 10 none md2 md5 straight
"""
_EMULATION = """\
mc_setbmc 0x20
mc_add 0x20 0 no-device-sdrs 0x23 9 8 0x9f 0x1291 0xf02
mc_enable 0x20
"""


class IpmiSim(Emulator):
    """One `ipmi_sim`. Its files are written anew at each start; `privilege` is what its user may do at most."""

    privilege = "admin"

    def __init__(self, folder: Path, host: str, world: Path, password: Secret) -> None:
        super().__init__(folder, host, world, password)
        self.guid = uuid4()

    def free_port(self) -> int:
        """A UDP port: ipmi_sim cannot be told to take any."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.bind((LOOPBACK, 0))
            return int(probe.getsockname()[1])

    def prepare(self) -> list[str]:
        """The password is in a file that only we can read. Without a GUID ipmi_sim speaks IPMI 1.5 alone."""
        lan = self.folder / "lan.conf"
        lan.touch(mode=0o600)
        text = _LAN.format(
            host=self.host, address=LOOPBACK, port=self.port, folder=self.folder, user=USER,
            password=self.password.reveal(), privilege=self.privilege, guid=self.guid.hex,
        )  # fmt: skip
        lan.write_text(text, encoding="ascii")
        (self.folder / "bmc.emu").write_text(_EMULATION, encoding="ascii")
        (self.folder / "state").mkdir(exist_ok=True)
        self.write_switch(f'exec {shlex.join(self.switch)} "$@"')
        return [_program(), "-c", "lan.conf", "-f", "bmc.emu", "-s", "state", "-n"]

    def write_switch(self, script: str) -> None:
        """Put this shell script behind the power switch. A running emulator uses it from its next request on."""
        fresh = self.folder / "chassis.new"
        fresh.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
        fresh.chmod(0o700)
        fresh.replace(self.folder / "chassis")

    def answers(self) -> bool:
        """Whether it tells how one may log in."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.settimeout(ANSWER_SECONDS)
            client.connect((LOOPBACK, self.port))
            try:
                client.send(_ASK_CAPABILITIES)
                return bool(client.recv(4096))
            except OSError:
                return False


class IpmiBmcs(EmulatedBmcs):
    """An `ipmi_sim` for each host. `ConfigurationError` if the program is not there."""

    said = "an ipmi_sim process for each host (IPMI 2.0)"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        _program()

    def make(self, host: str, world: Path, password: Secret) -> Emulator:
        """One that has the simulated host behind its switch."""
        return IpmiSim(self.folder / host, host, world, password)

    def place(self, emulator: Emulator) -> BmcPlace:
        """Driver `ipmi`."""
        return BmcPlace("ipmi", LOOPBACK, str(emulator.port))


def _program() -> str:
    found = shutil.which(PROGRAM)
    if found is None:
        raise ConfigurationError(
            f"there is no program {PROGRAM} to play the BMCs. On Debian it is in the package {PACKAGE}: as root, "
            f"apt-get install {PACKAGE}; then run this again"
        )
    return found
