"""A network of its own for `MariaDb` servers, whose cables can be pulled: nothing comes back, not even a refusal.

    with CableNetwork() as network, MariaDbLab(tmp_path) as lab:
        first = lab.server(**network.place())
        network.cut(first.host)
        network.mend(first.host)

Each server sits in a network namespace on a bridge of its own; the test's process reaches it through that bridge.
Needs root.
"""

import os
import secrets
import shutil
import subprocess
from typing import Any, Self

import pytest

_PORT = 3306


class CableNetwork:
    """A bridge and the namespaces on it; all are removed at the end."""

    def __init__(self) -> None:
        if os.geteuid() != 0 or shutil.which("ip") is None:
            pytest.skip("NOT TESTED with cut cables: needs root and the Debian package iproute2")
        # Random names and a random net, so that runs at the same time do not meet.
        self._tag = secrets.token_hex(3)
        self._net = f"10.{128 + secrets.randbelow(100)}.{secrets.randbelow(256)}"
        self._bridge = f"hfb{self._tag}"
        self._places: list[str] = []

    def place(self) -> dict[str, Any]:
        """A new namespace on the bridge, as arguments for `MariaDbLab.server`."""
        number = len(self._places) + 1
        host = f"{self._net}.{10 + number}"
        space, cable, end = self._space(number), self._cable(number), f"hfe{self._tag}{number}"
        self._ip(f"netns add {space}")
        self._places.append(host)
        self._ip(f"link add {cable} type veth peer name {end} netns {space}")
        self._ip(f"link set {cable} master {self._bridge} up")
        self._ip(f"-n {space} addr add {host}/24 dev {end}")
        self._ip(f"-n {space} link set lo up")
        self._ip(f"-n {space} link set {end} up")
        self._know_each_other(number, end)
        return {"host": host, "port": _PORT, "prefix": ("ip", "netns", "exec", space)}

    def cut(self, host: str) -> None:
        """Pull the cable of `host`: packets to and from it vanish."""
        self._ip(f"link set {self._cable(self._number(host))} nomaster")

    def mend(self, host: str) -> None:
        """Plug it in again."""
        self._ip(f"link set {self._cable(self._number(host))} master {self._bridge}")

    def _know_each_other(self, number: int, end: str) -> None:
        # Without lasting neighbour entries the kernel would soon answer for a silent host: "no route".
        mine = self._address(f"-n {self._space(number)} link show dev {end}")
        self._ip(f"neigh replace {self._places[number - 1]} lladdr {mine} dev {self._bridge} nud permanent")
        bridge = self._address(f"link show dev {self._bridge}")
        known = {f"{self._net}.1": bridge}
        for other in range(1, number):
            far = f"hfe{self._tag}{other}"
            known[self._places[other - 1]] = self._address(f"-n {self._space(other)} link show dev {far}")
            host = self._places[number - 1]
            self._ip(f"-n {self._space(other)} neigh replace {host} lladdr {mine} dev {far} nud permanent")
        for host, address in known.items():
            self._ip(f"-n {self._space(number)} neigh replace {host} lladdr {address} dev {end} nud permanent")

    def _address(self, words: str) -> str:
        return self._ip(words).split("link/ether ")[1].split()[0]

    def _number(self, host: str) -> int:
        return self._places.index(host) + 1

    def _space(self, number: int) -> str:
        return f"hf{self._tag}-{number}"

    def _cable(self, number: int) -> str:
        return f"hfc{self._tag}{number}"

    @staticmethod
    def _ip(words: str) -> str:
        done = subprocess.run(["ip", *words.split()], check=False, capture_output=True, text=True)
        assert done.returncode == 0, f"ip {words}: {done.stderr}"
        return done.stdout

    def __enter__(self) -> Self:
        self._ip(f"link add {self._bridge} type bridge")
        # A bridge takes the lowest address of its ports unless it has one of its own.
        self._ip(f"link set {self._bridge} address 02:{secrets.token_bytes(5).hex(':')}")
        self._ip(f"addr add {self._net}.1/24 dev {self._bridge}")
        self._ip(f"link set {self._bridge} up")
        return self

    def __exit__(self, *_exception: object) -> None:
        # Removing a namespace removes its end of the cable, and so the other one.
        for number in range(1, len(self._places) + 1):
            subprocess.run(["ip", "netns", "del", self._space(number)], check=False, capture_output=True)
        subprocess.run(["ip", "link", "del", self._bridge], check=False, capture_output=True)
