"""BMCs that are `sushy-emulator` of sushy-tools: Redfish over HTTPS on the loopback.

The programs are in the environment if holdfast-cli was installed with its extra `demo-redfish`.
"""

import datetime
import hashlib
import importlib.util
import ipaddress
import os
import shutil
import socket
import sys
import uuid
from pathlib import Path

from holdfast.errors import ConfigurationError
from holdfast.model import Secret

from holdfast_cli import simulated_chassis
from holdfast_cli.demo_bmcs import LOOPBACK, USER, BmcPlace, EmulatedBmcs, Emulator
from holdfast_cli.server_process import free_port

PROGRAM, EXTRA = "sushy-emulator", "holdfast-cli[demo-redfish]"
_NEEDED = ("sushy_tools", "bcrypt", "cryptography")
_CERTIFICATE_DAYS = 30
_CONNECT_SECONDS = 0.5

# The emulator reads its configuration as a Python file. Its fake systems keep a power state of their own; here a
# simulated host's takes that place. All else of them stays as it is.
_CONFIGURATION = """\
import importlib.util

from sushy_tools import error
from sushy_tools.emulator.resources.systems.fakedriver import FakeDriver

_spec = importlib.util.spec_from_file_location("simulated_chassis", {module!r})
_module = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_module)
_chassis = _module.Chassis({world!r}, {host!r})
_ORDERS = {{"On": "on", "ForceOn": "on", "ForceOff": "off", "GracefulShutdown": "shutdown", "ForceRestart": "reset"}}


def _get_power_state(self, identity):
    self._get(identity)
    return "On" if _chassis.is_on() else "Off"


def _set_power_state(self, identity, state):
    self._get(identity)
    if state not in _ORDERS:
        raise error.NotSupportedError(f"a simulated host cannot {{state}}")
    _chassis.order(_ORDERS[state])


FakeDriver.get_power_state = _get_power_state
FakeDriver.set_power_state = _set_power_state
SUSHY_EMULATOR_FAKE_DRIVER = True
SUSHY_EMULATOR_FAKE_SYSTEMS = [
    dict(uuid={uuid!r}, name={host!r}, power_state="On", external_notifier=False, nics=[])
]
SUSHY_EMULATOR_STATE_DIR = {folder!r}
SUSHY_EMULATOR_AUTH_FILE = {folder!r} + "/users"
SUSHY_EMULATOR_LISTEN_IP = {address!r}
SUSHY_EMULATOR_LISTEN_PORT = {port}
SUSHY_EMULATOR_SSL_CERT = {certificate!r}
SUSHY_EMULATOR_SSL_KEY = {key!r}
"""


class SushyEmulator(Emulator):
    """One `sushy-emulator` with one system. It shows the certificate of `identity` (certificate and key, PEM)."""

    def __init__(self, folder: Path, host: str, world: Path, password: Secret, identity: tuple[Path, Path]) -> None:
        super().__init__(folder, host, world, password)
        self.identity = identity

    def free_port(self) -> int:
        """A TCP port."""
        return free_port()

    def prepare(self) -> list[str]:
        """The password stands there as a bcrypt hash alone."""
        import bcrypt

        digest = bcrypt.hashpw(self.password.reveal().encode(), bcrypt.gensalt(4)).decode()
        (self.folder / "users").write_text(f"{USER}:{digest}\n", encoding="ascii")
        certificate, key = self.identity
        text = _CONFIGURATION.format(
            module=simulated_chassis.__file__, world=str(self.world), host=self.host, uuid=str(uuid.uuid4()),
            folder=str(self.folder), address=LOOPBACK, port=self.port, certificate=str(certificate), key=str(key),
        )  # fmt: skip
        (self.folder / "emulator.conf").write_text(text, encoding="utf-8")
        return [*_program(), "--config", str(self.folder / "emulator.conf")]

    def answers(self) -> bool:
        """Whether it takes connections."""
        try:
            with socket.create_connection((LOOPBACK, self.port), _CONNECT_SECONDS):
                return True
        except OSError:
            return False


class RedfishBmcs(EmulatedBmcs):
    """A `sushy-emulator` for each host, all with one certificate, which the server pins.

    `ConfigurationError` if the programs are not there.
    """

    said = "a sushy-emulator process for each host (Redfish over HTTPS, certificate pinned)"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        _program()
        folder.mkdir(mode=0o700)
        self.identity, self.fingerprint = _self_signed(folder)

    def configuration(self) -> str:
        """The pin."""
        return f'\n[oobm.redfish.bmcs."{LOOPBACK}"]\ncertificate_fingerprint = "sha256:{self.fingerprint}"\n'

    def make(self, host: str, world: Path, password: Secret) -> Emulator:
        """One that has the simulated host behind its switch."""
        return SushyEmulator(self.folder / host, host, world, password, self.identity)

    def place(self, emulator: Emulator) -> BmcPlace:
        """Driver `redfish`."""
        return BmcPlace("redfish", LOOPBACK, str(emulator.port))


def _program() -> list[str]:
    own = Path(sys.executable).parent / PROGRAM
    found = str(own) if own.exists() else shutil.which(PROGRAM)
    if found is None or any(importlib.util.find_spec(name) is None for name in _NEEDED):
        raise ConfigurationError(
            f"there is no program {PROGRAM} to play the BMCs. It comes with an extra of this package: "
            f"pip install '{EXTRA}'; then run this again"
        )
    # By the interpreter of the environment, with warnings off: the emulator is not ours to mend.
    return [sys.executable, "-W", "ignore", found] if own.exists() else [found]


def _self_signed(folder: Path) -> tuple[tuple[Path, Path], str]:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "Holdfast demo BMC")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=_CERTIFICATE_DAYS))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(LOOPBACK))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    paths = folder / "certificate.pem", folder / "key.pem"
    paths[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    handle = os.open(paths[1], os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
    return paths, hashlib.sha256(certificate.public_bytes(serialization.Encoding.DER)).hexdigest()
