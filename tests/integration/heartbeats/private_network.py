"""A network namespace with one cable to the namespace that the tests run in, for a server that can be cut off."""

import secrets
import subprocess

_NUMBERS = 1 << 14
_TRIES = 50


class PrivateNetwork:
    """`near` is the tests' end of the cable, `far` the server's; both are known once it is made.

    Name and addresses follow from one number. The kernel lets a name exist once, so whoever has the name has the
    addresses too, and no other run on this machine answers at them. `net` is the second byte of the addresses; each
    prefix needs one of its own, above those of `MariadbNetwork`.
    """

    def __init__(self, prefix: str, net: int) -> None:
        self._prefix = prefix
        self._net = net
        self.name = self.near = self.far = ""

    def make(self) -> None:
        """Make it, under a number that nobody has."""
        for _ in range(_TRIES):
            number = secrets.randbelow(_NUMBERS)
            if self._claim(f"{self._prefix}{number}"):
                break
        else:
            raise AssertionError(f"no free network {self._prefix}… in {_TRIES} tries: see `ip netns` and `ip link`")
        third, quarter = divmod(number, 64)
        self.near, self.far = (f"10.{self._net}.{third}.{4 * quarter + end}" for end in (1, 2))
        far = f"{self.name}b"
        for words in (
            ["addr", "add", f"{self.near}/30", "dev", f"{self.name}a"],
            ["link", "set", f"{self.name}a", "up"],
            ["-n", self.name, "addr", "add", f"{self.far}/30", "dev", far],
            ["-n", self.name, "link", "set", far, "up"],
            ["-n", self.name, "link", "set", "lo", "up"],
        ):
            subprocess.run(["ip", *words], check=True, capture_output=True)

    def _claim(self, name: str) -> bool:
        """Make namespace and cable; False if somebody has one of that name. A dead run may have left only a cable."""
        if not _made("netns", "add", name):
            return False
        if not _made("link", "add", f"{name}a", "type", "veth", "peer", "name", f"{name}b", "netns", name):
            subprocess.run(["ip", "netns", "del", name], check=True, capture_output=True)
            return False
        self.name = name
        return True

    def inside(self, program: str) -> list[str]:
        """The command that runs the shell text `program` inside, with a /run of its own: daemons have fixed places."""
        private = f"mount -t tmpfs none /run && {program}"
        return ["ip", "netns", "exec", self.name, "unshare", "--mount", "sh", "-c", private]

    def cut(self) -> None:
        """Packets are lost from now on, and nothing is refused: the server's end loses its address."""
        subprocess.run(["ip", "-n", self.name, "link", "set", f"{self.name}b", "down"], check=True)

    def mend(self) -> None:
        """Undo `cut`."""
        subprocess.run(["ip", "-n", self.name, "link", "set", f"{self.name}b", "up"], check=True)

    def remove(self) -> None:
        """Leave nothing behind; what was never made belongs to somebody else and stays."""
        if self.name:
            subprocess.run(["ip", "link", "del", f"{self.name}a"], capture_output=True, check=False)
            subprocess.run(["ip", "netns", "del", self.name], capture_output=True, check=False)


def _made(*words: str) -> bool:
    """Whether `ip` made it; False if it exists already, and any other refusal is an error that says why."""
    done = subprocess.run(["ip", *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0 or "File exists" in done.stderr, f"ip {' '.join(words)}: {done.stderr}"
    return done.returncode == 0
