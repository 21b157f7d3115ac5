"""Real BMC implementations for the IPMI driver: OpenIPMI's `ipmi_sim`, and pyghmi's own BMC in a process of its own."""

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
from holdfast.model.secret import Secret
from holdfast.model.states import PowerState
from holdfast.model.views import BmcView
from holdfast_conformance.oobm_bench import OobmBench
from holdfast_conformance.wire_faults import CLEAN, UdpFaultProxy, WireFaults
from holdfast_oobm_ipmi.driver import IpmiOobm

PACKAGES = {"ipmi_sim": "openipmi", "ipmitool": "ipmitool", "ipmipower": "freeipmi-tools"}
START_SECONDS = 10.0
LOOK_SECONDS = 0.05
USER = "fencer"
PASSWORD = "S3cret-of-bmc!"  # made up for these tests
OPERATOR, OPERATOR_PASSWORD = "switcher", "0perator-secret"
GUID = "a1b2c3d4-e5f6-4711-8899-aabbccddeeff"
ASK_CAPABILITIES = bytes.fromhex("0600ff07000000000000000000092018c88100388e04b5")

CHASSIS = """#!/bin/sh
# Called by ipmi_sim as `get power`, `set power 0|1`, `set reset 1`, `set shutdown 1`.
cd {folder} || exit 1
echo "$@" >> calls
if [ "$1" = get ]; then
    [ -e odd ] && {{ echo "power:between"; exit 0; }}
    echo "power:$(cat power)"
    exit 0
fi
[ -e refuse ] && exit 1
[ -e ignore ] && exit 0
case "$2" in
    power) echo "$3" > power ;;
    shutdown) echo 0 > power ;;
esac
exit 0
"""

LAN = """name "bmc"
set_working_mc 0x20
  startlan 1
    addr 127.0.0.1 {port}
    priv_limit admin
    allowed_auths_callback none md2 md5 straight
    allowed_auths_user none md2 md5 straight
    allowed_auths_operator none md2 md5 straight
    allowed_auths_admin none md2 md5 straight
    guid {guid}
    {kg}
  endlan
  chassis_control "{folder}/chassis"
  user 2 true "{user}" "{password}" admin 10 none md2 md5 straight
  user 3 true "{operator}" "{operator_password}" operator 10 none md2 md5 straight
"""

EMULATION = """mc_setbmc 0x20
mc_add 0x20 0 no-device-sdrs 0x23 9 8 0x9f 0x1291 0xf02
mc_enable 0x20
"""


def program(name: str) -> str:
    """The path of a Debian program, installed first if this is root on Debian; skips loudly if it cannot be had."""
    if shutil.which(name) is None and os.geteuid() == 0 and shutil.which("apt-get"):
        environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
        for words in (["update", "-q"], ["install", "-y", "-q", "--no-install-recommends", PACKAGES[name]]):
            subprocess.run(["apt-get", *words], env=environment, check=False, capture_output=True)
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"NOT TESTED against {name}: install the Debian package {PACKAGES[name]} (or run as root)")
    return found


def free_port() -> int:
    """A UDP port that nobody listened on a moment ago: ipmi_sim cannot take port 0."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until_it_answers(port: int, process: "subprocess.Popen[bytes]") -> None:
    """Return when a BMC answers on `port`."""
    until = time.monotonic() + START_SECONDS
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(LOOK_SECONDS)
        client.connect(("127.0.0.1", port))
        while time.monotonic() < until:
            assert process.poll() is None, f"the BMC ended with status {process.returncode}"
            try:
                client.send(ASK_CAPABILITIES)
                client.recv(4096)
            except TimeoutError:
                continue
            except ConnectionRefusedError:
                time.sleep(LOOK_SECONDS)  # nothing tells when it will listen
            else:
                return
    pytest.fail(f"no BMC answered on port {port}")


class IpmiSim:
    """One `ipmi_sim` process with a chassis that is a file. `kg` is text of at most 20 characters."""

    def __init__(self, folder: Path, kg: str = "") -> None:
        self.folder = folder
        self.port = free_port()
        state = folder / "state"
        state.mkdir(parents=True)
        self._program = program("ipmi_sim")
        kg_line = f'bmc_key "{kg}"' if kg else ""
        lan = LAN.format(
            port=self.port, guid=GUID.replace("-", ""), kg=kg_line, folder=folder, user=USER, password=PASSWORD,
            operator=OPERATOR, operator_password=OPERATOR_PASSWORD,
        )  # fmt: skip
        (folder / "lan.conf").write_text(lan, encoding="ascii")
        (folder / "bmc.emu").write_text(EMULATION, encoding="ascii")
        chassis = folder / "chassis"
        chassis.write_text(CHASSIS.format(folder=folder), encoding="ascii")
        chassis.chmod(0o755)
        self.force_power(PowerState.OFF)
        self.start()

    def start(self) -> None:
        """Start the process; its sessions and changed passwords are those of a BMC that was just plugged in."""
        arguments = ["-c", "lan.conf", "-f", "bmc.emu", "-s", "state", "-n"]
        with (self.folder / "output").open("wb") as output:
            self._process = subprocess.Popen(
                [self._program, *arguments],
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )
        wait_until_it_answers(self.port, self._process)

    def stop(self) -> None:
        """End the process."""
        self._process.terminate()
        self._process.wait(START_SECONDS)

    def force_power(self, state: PowerState) -> None:
        """Press the button."""
        fresh = self.folder / "power.new"
        fresh.write_text("1\n" if state is PowerState.ON else "0\n", encoding="ascii")
        fresh.replace(self.folder / "power")

    def behave(self, how: str) -> None:
        """From now on: `odd`, `refuse` or `ignore` (see the script)."""
        (self.folder / how).touch()


class SimBench(OobmBench):
    """Two simulated BMCs; the first is behind a wire that can be cut or spoilt."""

    def __init__(self, folder: Path) -> None:
        self._sims = [IpmiSim(folder / name) for name in ("first", "second")]
        self.sim = self._sims[0]
        self.proxy = UdpFaultProxy(("127.0.0.1", self.sim.port)).__enter__()

    def close(self) -> None:
        """End all processes."""
        self.proxy.__exit__()
        for sim in self._sims:
            sim.stop()

    @property
    def bmc(self) -> BmcView:
        return view(self.proxy.port)

    @property
    def other_bmc(self) -> BmcView:
        return view(self._sims[1].port, host="host-2")

    def force_power(self, state: PowerState) -> None:
        self.sim.force_power(state)

    def make_unreachable(self) -> None:
        self.proxy.faults = WireFaults(silent=True)

    def make_reachable(self) -> None:
        self.proxy.faults = CLEAN

    def wrong_password(self) -> BmcView:
        return view(self.proxy.port, password="Wr0ng-password!")

    def refuse_actions(self) -> None:
        self.sim.behave("refuse")

    def ignore_actions(self) -> None:
        self.sim.behave("ignore")

    def show_odd_state(self) -> None:
        self.sim.behave("odd")


def view(
    port: int,
    host: str = "host-1",
    user: str = USER,
    password: str = PASSWORD,
    options: Mapping[str, str] | None = None,
    driver: str = "ipmi",
) -> BmcView:
    """A BMC on 127.0.0.1."""
    return BmcView(host, driver, "127.0.0.1", str(port), user, Secret(password), options=options or {})


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[SimBench]:
    """Fresh simulated BMCs; the chassis of the first starts on."""
    bench = SimBench(tmp_path)
    bench.force_power(PowerState.ON)
    yield bench
    bench.close()


@pytest.fixture
def driver() -> Iterator[IpmiOobm]:
    """The driver as it comes, ended after the test."""
    driver = IpmiOobm({})
    yield driver
    driver.close()


@pytest.fixture
def make_sim(tmp_path: Path) -> Iterator[Callable[..., IpmiSim]]:
    """Makes further simulated BMCs."""
    made: list[IpmiSim] = []

    def make(**options: str) -> IpmiSim:
        made.append(IpmiSim(tmp_path / f"sim-{len(made)}", **options))
        return made[-1]

    yield make
    for sim in made:
        sim.stop()


@pytest.fixture
def witness(tmp_path: Path) -> Callable[[int, str], str]:
    """Asks a BMC on a port for its power state with another client, `ipmitool` or `ipmipower`: "on" or "off"."""

    def ask(port: int, client: str) -> str:
        # The password goes through the environment or a file, never the command line.
        environment = os.environ | {"IPMI_PASSWORD": PASSWORD}
        if client == "ipmitool":
            words = ["-I", "lanplus", "-C", "3", "-H", "127.0.0.1", "-p", str(port), "-U", USER, "-E"]
            command = [program("ipmitool"), *words, "chassis", "power", "status"]
        else:
            # ipmi_sim takes the privilege level of the open session request literally, hence the workaround.
            configuration = tmp_path / "ipmipower.conf"
            configuration.write_text(f"username {USER}\npassword {PASSWORD}\n", encoding="ascii")
            configuration.chmod(0o600)
            words = ["--config-file", str(configuration), "-D", "LAN_2_0", "-I", "3", "-W", "opensesspriv"]
            command = [program("ipmipower"), *words, "-h", f"127.0.0.1:{port}", "--stat"]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=30, check=True)
        return done.stdout.split()[-1]

    return ask


@pytest.fixture
def pyghmi_bmc(tmp_path: Path) -> Iterator[int]:
    """The port of pyghmi's own BMC implementation, in a process of its own because it is global to one."""
    port = free_port()
    script = Path(__file__).with_name("pyghmi_bmc.py")
    with (tmp_path / "pyghmi-output").open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, str(script), str(port), USER, GUID, str(tmp_path / "power")],
            env=os.environ | {"BMC_PASSWORD": PASSWORD},
            stdout=output,
            stderr=output,
        )
    try:
        wait_until_it_answers(port, process)
        yield port
    finally:
        process.kill()
        process.wait()
