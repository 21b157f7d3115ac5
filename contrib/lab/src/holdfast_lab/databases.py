"""MariaDB in the lab: one server with the databases of Holdfast."""

from dataclasses import dataclass
from pathlib import Path

from holdfast_lab import addresses
from holdfast_lab.commands import run, succeeds
from holdfast_lab.daemons import Daemon

USER, PASSWORD = "cloud", "lab-cloud-password"  # opens nothing but the lab's database
PORT = 3306
PROPERTIES = "".join(
    f"db.{name}.{key}={value}\n"
    for name, database in (("cloud", "cloud"), ("usage", "cloud_usage"))
    for key, value in (
        ("host", addresses.DATABASE_ADDRESS),
        ("port", PORT),
        ("name", database),
        ("username", USER),
        ("password", PASSWORD),
    )
)
"""db.properties, for the management server."""
_SETUP = """
CREATE DATABASE IF NOT EXISTS cloud CHARACTER SET utf8mb4;
CREATE DATABASE IF NOT EXISTS cloud_usage CHARACTER SET utf8mb4;
CREATE USER IF NOT EXISTS '{user}'@'%' IDENTIFIED BY '{password}';
GRANT ALL ON cloud.* TO '{user}'@'%';
GRANT ALL ON cloud_usage.* TO '{user}'@'%';
"""


@dataclass(frozen=True, slots=True)
class MariaDb:
    """mariadbd on the management network."""

    folder: Path
    logs: Path

    @property
    def socket(self) -> str:
        """Its local socket."""
        return "/run/lab/mariadb.sock"

    def furnish(self) -> None:
        """A fresh data directory."""
        self.folder.mkdir(parents=True, exist_ok=True)
        run(
            "mariadb-install-db", "--no-defaults", f"--datadir={self.folder}", "--user=root",
            "--auth-root-authentication-method=normal", "--skip-test-db", timeout=120,
        )  # fmt: skip

    def start(self) -> None:
        """Start it; the databases and their user are there on return."""
        words = [
            "mariadbd", "--no-defaults", f"--datadir={self.folder}", "--user=root", f"--socket={self.socket}",
            f"--bind-address={addresses.DATABASE_ADDRESS}", f"--port={PORT}", "--skip-name-resolve", "--log-bin=binlog",
            "--server-id=1", "--binlog-format=ROW", "--innodb-buffer-pool-size=64M",
            "--pid-file=/run/lab/mariadb-own.pid",
        ]  # fmt: skip
        Daemon(
            "mariadb", addresses.DATABASE, words, self.logs / "mariadb.log",
            lambda: succeeds(["mariadb-admin", "--no-defaults", f"--socket={self.socket}", "-u", "root", "ping"]),
        ).start()  # fmt: skip
        text = _SETUP.format(user=USER, password=PASSWORD)
        run("mariadb", "--no-defaults", f"--socket={self.socket}", "-u", "root", text=text)
