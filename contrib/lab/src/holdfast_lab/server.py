"""The management server of the lab: `holdfast server` in a network namespace of its own, and a client of its API."""

import os
import secrets
import sys
from dataclasses import dataclass
from pathlib import Path

from holdfast.model import Secret
from holdfast_cli.client import ApiError, ApiUnreachable, Client, Keys, keys_by_login

from holdfast_lab import addresses, databases
from holdfast_lab.daemons import Daemon, end
from holdfast_lab.layout import Lab
from holdfast_lab.problems import LabError

NAME = "holdfast"
HOLDFAST = Path(sys.executable).with_name("holdfast")
ADMIN = "admin"
_READY_SECONDS = 60.0
_CALL_SECONDS = 30.0

_CONFIGURATION = """\
[server]
name = "lab"
data_dir = "{data}"
services = ["agents", "manager", "api"]

[api]
address = "{address}"
port = 8080

[agents]
address = "{address}"

[oobm.redfish]
scheme = "http"
"""

_MYSQL = """
[database]
driver = "mysql"

[database.mysql]
properties = "{properties}"
"""


@dataclass(frozen=True, slots=True)
class Server:
    """`holdfast server`. Its files are in the lab's folder `server`; root alone may read them."""

    lab: Lab

    @property
    def folder(self) -> Path:
        """Its files."""
        return self.lab.folder / "server"

    def furnish(self) -> None:
        """Its configuration, and the administrator's first password."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        text = _CONFIGURATION.format(data=self.folder / "data", address=addresses.SERVER_ADDRESS)
        if self.lab.options.db == "mariadb":
            self._write("db.properties", Secret(databases.PROPERTIES))
            text += _MYSQL.format(properties=self.folder / "db.properties")
        (self.folder / "holdfast.toml").write_text(text, encoding="utf-8")
        self._write("password", Secret(secrets.token_urlsafe(24)))

    def start(self) -> None:
        """Start it and wait until its API answers."""
        self.daemon.start()

    def kill(self) -> None:
        """It crashes."""
        end(NAME)

    @property
    def daemon(self) -> Daemon:
        """Its process."""
        return Daemon(
            NAME,
            addresses.SERVER,
            [HOLDFAST, "--config", self.folder / "holdfast.toml", "server"],
            self.lab.logs / "holdfast.log",
            _api_answers,
            variables={"HOLDFAST_ADMIN_PASSWORD": self._read("password").reveal()},
            seconds=_READY_SECONDS,
            folder=self.folder,
        )

    def log_in(self) -> None:
        """Make the administrator's keys, and keep them."""
        keys = keys_by_login(addresses.API, ADMIN, self._read("password"))
        self._write("api-key", Secret(keys.api_key))
        self._write("secret-key", keys.secret_key)

    @property
    def client(self) -> Client:
        """A client of its API, signing with the administrator's keys."""
        keys = Keys(self._read("api-key").reveal(), self._read("secret-key"))
        return Client(addresses.API, keys, timeout=_CALL_SECONDS)

    def _write(self, name: str, secret: Secret) -> None:
        handle = os.open(self.folder / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(secret.reveal())

    def _read(self, name: str) -> Secret:
        try:
            return Secret((self.folder / name).read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise LabError("Holdfast does not run in this lab: it was made with --raw, or its making failed") from None


def _api_answers() -> bool:
    try:
        Client(addresses.API, timeout=1.0).call("listCapabilities")
    except ApiError:
        return True  # it is there, and rightly wants a signature
    except ApiUnreachable:
        return False
    return True
