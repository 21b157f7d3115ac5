"""MariaDB Connector/J, what CloudStack connects with, at the same work as the database driver: a yardstick.

Needs a JDK and Debian's libmariadb-java; where either is missing there is no yardstick.
"""

import shutil
import subprocess
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Self

SOURCE = Path(__file__).with_name("ConnectorYardstick.java")
JAR = Path("/usr/share/java/mariadb-java-client.jar")
SETTINGS = "autoReconnect=true&failOverReadOnly=false&secondsBeforeRetryMaster=3600&queriesBeforeRetryMaster=5000"
"""As the CloudStack guide has them; the first host is not gone back to within a round."""


def is_here() -> bool:
    """Whether both parts are installed."""
    return JAR.exists() and shutil.which("javac") is not None


class ConnectorJ:
    """Compiled once into `folder`. `hosts` are "address:port" in the order of preference."""

    def __init__(self, folder: Path, hosts: Sequence[str], user: str, password: str, more: str = "") -> None:
        subprocess.run(["javac", "-d", str(folder), str(SOURCE)], check=True, timeout=120)
        url = f"jdbc:mariadb:sequential://{','.join(hosts)}/cloud?{SETTINGS}{more}"
        self._start = ["java", "-cp", f"{JAR}:{folder}", SOURCE.stem]
        self._login = [url, user, password]

    def read(self, count: int) -> list[float]:
        """Seconds that each of `count` reads by key took, on one connection."""
        done = subprocess.run(
            [*self._start, "read", *self._login, str(count)], check=True, capture_output=True, text=True, timeout=300
        )
        return [int(line) / 1e9 for line in done.stdout.split()]

    def writers(self, threads: int) -> "ConnectorWriters":
        """Begin to write."""
        return ConnectorWriters([*self._start, "write", *self._login, str(threads)])


class ConnectorWriters:
    """A process that inserts all the time. `acknowledged`: the times of its commits (`time.time`)."""

    def __init__(self, command: Sequence[str]) -> None:
        self.acknowledged: list[float] = []
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self.acknowledged.append(int(line) / 1e9)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self._process.kill()
        self._process.wait()
        self._reader.join()
