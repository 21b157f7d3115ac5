"""A network namespace with one cable to the namespace that the tests run in, for a server that can be cut off."""

import subprocess


class PrivateNetwork:
    """`near` is the tests' end of the cable, `far` the server's."""

    def __init__(self, prefix: str, net: int, number: int) -> None:
        self.name = f"{prefix}{number}"
        self.near = f"10.{net}.{number % 250}.1"
        self.far = f"10.{net}.{number % 250}.2"
        self._plug = f"{prefix}{number}a"

    def make(self) -> None:
        """Make it."""
        far = f"{self.name}b"
        for words in (
            ["netns", "add", self.name],
            ["link", "add", self._plug, "type", "veth", "peer", "name", far, "netns", self.name],
            ["addr", "add", f"{self.near}/30", "dev", self._plug],
            ["link", "set", self._plug, "up"],
            ["-n", self.name, "addr", "add", f"{self.far}/30", "dev", far],
            ["-n", self.name, "link", "set", far, "up"],
            ["-n", self.name, "link", "set", "lo", "up"],
        ):
            subprocess.run(["ip", *words], check=True, capture_output=True)

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
        """Leave nothing behind."""
        subprocess.run(["ip", "link", "del", self._plug], capture_output=True, check=False)
        subprocess.run(["ip", "netns", "del", self.name], capture_output=True, check=False)
