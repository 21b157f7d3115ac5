"""BMCs of the lab: ipmi_sim, or sushy-emulator, one process for each host, in a network namespace of its own."""

import shlex
import socket
import sys
from pathlib import Path

from holdfast_lab import addresses, network
from holdfast_lab.commands import succeeds
from holdfast_lab.daemons import Daemon
from holdfast_lab.host import Host

USER = "fencer"
PASSWORD = "lab-Secret-of-bmc"  # opens nothing but emulated BMCs
PORTS = {"ipmi": 623, "redfish": 8000}

_LAN = """name "{name}"
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
  chassis_control "{chassis}"
  user 2 true "{user}" "{password}" admin 10 none md2 md5 straight
"""
_EMULATION = """mc_setbmc 0x20
mc_add 0x20 0 no-device-sdrs 0x23 9 8 0x9f 0x1291 0xf02
mc_enable 0x20
"""
_SUSHY = """# Read by sushy-emulator as Python: its fake system gets a chassis that is real.
import subprocess

from sushy_tools.emulator.resources.systems import fakedriver

CHASSIS = {chassis!r}
WORDS = {{
    "On": ("power", "1"), "ForceOn": ("power", "1"), "ForceOff": ("power", "0"), "GracefulShutdown": ("shutdown", "1"),
    "GracefulRestart": ("reset", "1"), "ForceRestart": ("reset", "1"),
}}
SUSHY_EMULATOR_STATE_DIR = {folder!r}
SUSHY_EMULATOR_AUTH_FILE = {folder!r} + "/users"
SUSHY_EMULATOR_FAKE_DRIVER = True
SUSHY_EMULATOR_LISTEN_IP = {address!r}
SUSHY_EMULATOR_LISTEN_PORT = {port}
SUSHY_EMULATOR_FAKE_SYSTEMS = [
    dict(uuid={uuid!r}, name={name!r}, power_state="On", external_notifier=False, nics=[])
]


def get_power_state(self, identity):
    self._get(identity)
    said = subprocess.run([*CHASSIS, "get", "power"], capture_output=True, text=True, check=True).stdout
    return "On" if said.strip() == "power:1" else "Off"


def set_power_state(self, identity, state):
    self._get(identity)
    subprocess.run([*CHASSIS, "set", *WORDS[state]], check=True)


fakedriver.FakeDriver.get_power_state = get_power_state
fakedriver.FakeDriver.set_power_state = set_power_state
"""


def bmc_of(host: Host, kind: str) -> Daemon:
    """The BMC of a host, of the kind `ipmi` or `redfish`; its files are written."""
    folder = host.folder / "bmc"
    folder.mkdir(exist_ok=True)
    return (_ipmi if kind == "ipmi" else _redfish)(host, folder)


def _name(host: Host) -> str:
    return f"bmc-{host.name}"


def _ipmi(host: Host, folder: Path) -> Daemon:
    (folder / "state").mkdir(exist_ok=True)
    chassis = folder / "chassis"
    chassis.write_text(f'#!/bin/sh\nexec {shlex.join(host.chassis_words)} "$@"\n', encoding="utf-8")
    chassis.chmod(0o755)
    guid = f"{addresses.number_of(host.name):032x}"
    address = addresses.address_of(host.name, addresses.OUT_OF_BAND)
    (folder / "lan.conf").write_text(
        _LAN.format(
            name=host.name,
            address=address,
            port=PORTS["ipmi"],
            guid=guid,
            chassis=chassis,
            user=USER,
            password=PASSWORD,
        ),
        encoding="utf-8",
    )
    (folder / "lan.conf").chmod(0o600)
    (folder / "emulation").write_text(_EMULATION, encoding="utf-8")
    words: list[str | Path] = [
        "ipmi_sim",
        "-c",
        folder / "lan.conf",
        "-f",
        folder / "emulation",
        "-s",
        folder / "state",
        "-n",
    ]
    return Daemon(
        _name(host), addresses.bmc_namespace(host.name), words, host.folder / "logs" / "bmc.log",
        lambda: succeeds(["rmcp_ping", "-t", "1", address]), folder=folder,
    )  # fmt: skip


def _redfish(host: Host, folder: Path) -> Daemon:
    import bcrypt

    digest = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode()
    (folder / "users").write_text(f"{USER}:{digest}\n", encoding="utf-8")
    address, port = addresses.address_of(host.name, addresses.OUT_OF_BAND), PORTS["redfish"]
    (folder / "sushy.py").write_text(
        _SUSHY.format(
            chassis=host.chassis_words, folder=str(folder), address=address, port=port, uuid=system_of(host.name),
            name=host.name,
        ),
        encoding="utf-8",
    )  # fmt: skip
    words: list[str | Path] = [Path(sys.executable).with_name("sushy-emulator"), "--config", folder / "sushy.py"]
    return Daemon(
        _name(host), addresses.bmc_namespace(host.name), words, host.folder / "logs" / "bmc.log",
        lambda: answers(address, port), variables={"PYTHONWARNINGS": "ignore"}, folder=folder,
    )  # fmt: skip


def system_of(host: str) -> str:
    """The Redfish system id of a host."""
    return f"00000000-0000-4000-8000-{addresses.number_of(host):012d}"


def answers(address: str, port: int, seconds: float = 0.5) -> bool:
    """Whether something accepts TCP connections there."""
    try:
        with socket.create_connection((address, port), seconds):
            return True
    except OSError:
        return False


def cut_off(host: Host) -> None:
    """Take a BMC off its network, as when it dies with its host's power: it is silent, and refuses nothing."""
    network.cut(addresses.bmc_namespace(host.name), addresses.OUT_OF_BAND)


def bring_back(host: Host) -> None:
    """Undo `cut_off`."""
    network.mend(addresses.bmc_namespace(host.name), addresses.OUT_OF_BAND)
