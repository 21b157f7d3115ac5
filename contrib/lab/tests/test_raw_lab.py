"""The lab without Holdfast: power is truly cut, wires are truly cut, and nothing is left behind."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from holdfast_lab import addresses, bmcs, capsule
from holdfast_lab.layout import Lab
from holdfast_lab.options import Options

pytestmark = pytest.mark.slow

POWER = """
import sys
from holdfast.model.secret import Secret
from holdfast.model.states import PowerAction
from holdfast.model.views import BmcView
from holdfast_oobm_ipmi.driver import IpmiOobm
from holdfast_oobm_redfish.driver import RedfishOobm
kind, address, user, password, system, *actions = sys.argv[1:]
driver = IpmiOobm({}) if kind == "ipmi" else RedfishOobm({"scheme": "http"})
options = {} if kind == "ipmi" else {"system": system}
port = {"ipmi": "623", "redfish": "8000"}[kind]
bmc = BmcView("host", kind, address, port, user, Secret(password), options=options)
for action in actions:
    driver.power_action(bmc, PowerAction(action), 20.0)
    print(driver.power_state(bmc, 20.0).value)
"""

STARTED = """
import sys, time
from pathlib import Path
from holdfast_lab.layout import Lab
from holdfast_lab.options import Options
folder, name = Path(sys.argv[1]), sys.argv[2]
host = Lab(folder, Options.load(folder)).host(name)
until = time.monotonic() + 30
while not host.matching("libvirtd", "--listen"):
    assert time.monotonic() < until, host.processes()
    time.sleep(0.05)
"""


def inside(folder: Path, namespace: str, *words: str) -> str:
    """Run words in a namespace of a lab; what they printed."""
    line = [*capsule.enter_words(capsule.find(folder)), "ip", "netns", "exec", namespace, *words]
    return subprocess.run(line, capture_output=True, text=True, check=True, timeout=60).stdout


def processes(folder: Path, word: str) -> int:
    """How many processes with that word there are in a lab."""
    return sum(word in words for _, words in capsule.processes(capsule.find(folder)))


def alive(folder: Path, host: str) -> list[str]:
    """What lives of a host and its chassis, by name; words that belong to neither as they are."""
    names = {"ipmi_sim": "bmc", "sushy-emulator": "bmc", "holdfast_lab.watchdog": "watchdog"}
    lines = [words for _, words in capsule.processes(capsule.find(folder)) if f"/hosts/{host}" in words]
    return sorted(next((name for word, name in names.items() if word in line), line) for line in lines)


def switch(folder: Path, kind: str, host: str, *actions: str) -> list[str]:
    """Let the product's driver switch a host's power, from the management server's place; the states read back."""
    address = addresses.address_of(host, addresses.OUT_OF_BAND)
    words = [kind, address, bmcs.USER, bmcs.PASSWORD, bmcs.system_of(host), *actions]
    return inside(folder, addresses.SERVER, sys.executable, "-c", POWER, *words).split()


def left(folder: Path) -> list[str]:
    """Processes anywhere on the machine that have to do with a lab."""
    found = subprocess.run(["ps", "-e", "-o", "args="], capture_output=True, text=True, check=True).stdout
    return [line for line in found.splitlines() if str(folder) in line]


def mounts(folder: Path) -> list[str]:
    """Mounts of the machine that have to do with a lab."""
    return [line for line in Path("/proc/self/mounts").read_text().splitlines() if str(folder) in line]


@pytest.mark.parametrize(("kind", "storage"), [("ipmi", "nfs"), ("redfish", "iscsi")])
def test_a_bmc_cuts_power_and_brings_it_back(raw_lab: Callable[..., Path], kind: str, storage: str) -> None:
    """OFF read back from the BMC means that not one process of the host lives; ON starts libvirtd anew."""
    folder = raw_lab("one", "--hosts", "2", "--oobm", kind, "--storage", storage)
    assert switch(folder, kind, "ablecube31", "OFF") == ["Off"]
    assert alive(folder, "ablecube31") == ["bmc", "watchdog"], "what is outside the host is left, and nothing else"
    assert processes(folder, "/hosts/ablecube32") > 1

    assert switch(folder, kind, "ablecube31", "ON") == ["On"]
    inside(folder, addresses.SERVER, sys.executable, "-c", STARTED, str(folder), "ablecube31")


def test_two_labs_live_side_by_side_and_end_alone(raw_lab: Callable[..., Path]) -> None:
    """They share neither addresses nor names; ending one leaves the other, and nothing of itself."""
    one, two = raw_lab("one", "--hosts", "2"), raw_lab("two", "--hosts", "2")
    names = subprocess.run(["ip", "-o", "link"], capture_output=True, text=True, check=True).stdout

    assert capsule.destroy(one)

    assert left(one) == []
    assert mounts(one) == []
    assert capsule.find(two)
    assert processes(two, "holdfast_lab.machine") >= 2
    assert subprocess.run(["ip", "-o", "link"], capture_output=True, text=True, check=True).stdout == names
    assert not capsule.destroy(one), "it is gone already"


@pytest.mark.parametrize("after", [0.2, 0.6, 1.2])
def test_a_lab_whose_making_was_killed_is_ended_like_any_other(namespaces: None, tmp_path: Path, after: float) -> None:
    """Whatever `up` had made by then is found without any note of it."""
    folder = tmp_path / "killed"
    words = [sys.executable, "-m", "holdfast_lab", "--folder", str(folder), "up", "--raw", "--hosts", "2"]
    child = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    time.sleep(after)  # at whatever point this is
    os.killpg(child.pid, signal.SIGKILL)
    child.wait()

    capsule.destroy(folder)

    assert left(folder) == []
    assert mounts(folder) == []


def test_a_frozen_host_is_cut_off_all_the_same(raw_lab: Callable[..., Path]) -> None:
    """The chassis needs nothing of the host."""
    folder = raw_lab("frozen", "--hosts", "2")
    freeze = (
        "import signal, sys; from pathlib import Path; from holdfast_lab.layout import Lab; "
        "from holdfast_lab.options import Options; folder = Path(sys.argv[1]); "
        "host = Lab(folder, Options.load(folder)).host('ablecube32'); "
        "print(host.signal(signal.SIGSTOP), len(host.processes()))"
    )
    frozen, there = inside(folder, addresses.SERVER, sys.executable, "-c", freeze, str(folder)).split()
    assert int(frozen) == int(there) >= 2

    assert switch(folder, "ipmi", "ablecube32", "OFF") == ["Off"]

    assert alive(folder, "ablecube32") == ["bmc", "watchdog"]


def test_names_of_wires_fit_linux() -> None:
    """At most 15 characters, and no two the same, with the most hosts."""
    lab = Lab(Path("/nowhere"), Options(hosts=16))
    names = [
        addresses.port_name(namespace, network)
        for host in lab.hosts
        for namespace, network in (
            (host.name, addresses.MANAGEMENT),
            (host.name, addresses.STORAGE),
            (addresses.bmc_namespace(host.name), addresses.OUT_OF_BAND),
        )
    ]
    assert len(set(names)) == len(names)
    assert max(map(len, names)) <= 15
