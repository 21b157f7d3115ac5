"""OOBM driver `nestedcloudstack`: the chassis is a VM of an outer cloud."""

import json
import ssl
import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar
from urllib.parse import urlsplit
from uuid import UUID

from holdfast.errors import AuthenticationFailed, ConfigurationError, Refused, Unreachable, Unsupported
from holdfast.hooks.markers import hookimpl
from holdfast.model.states import PowerAction, PowerState
from holdfast.model.views import BmcView
from holdfast.options import Option

from holdfast_oobm_nestedcloudstack.post import Endpoint, left_until, post, tls_context
from holdfast_oobm_nestedcloudstack.signing import signed_form

COMMANDS: dict[PowerAction, tuple[str, dict[str, str]]] = {
    PowerAction.ON: ("startVirtualMachine", {}),
    PowerAction.OFF: ("stopVirtualMachine", {"forced": "true"}),
    PowerAction.SOFT: ("stopVirtualMachine", {"forced": "false"}),
    PowerAction.CYCLE: ("rebootVirtualMachine", {}),
    PowerAction.RESET: ("rebootVirtualMachine", {}),
}
STATES = {"Running": PowerState.ON, "Stopped": PowerState.OFF}
ALREADY = {PowerAction.ON: PowerState.ON, PowerAction.OFF: PowerState.OFF, PowerAction.SOFT: PowerState.OFF}
DEFAULT_PATH = "/client/api"
LONGEST_WORDS = 300


class NestedCloudStackOobm:
    """Starts and stops the VM that a host is. Keeps nothing between calls but the TLS context. Thread-safe."""

    SETTINGS: ClassVar[Mapping[str, Option]] = {
        "ca_file": Option(str, "", "certificates (PEM) of the outer cloud's CAs; empty means those of the system"),
        "signature_seconds": Option(int, 600, "how long a signed request is good for", low=10, high=900),
    }

    MACHINE_OPTIONS: ClassVar[Sequence[str]] = ()
    """The port is the VM's UUID."""

    def __init__(self, settings: Mapping[str, Any]) -> None:
        self._settings = {key: option.default for key, option in self.SETTINGS.items()} | dict(settings)
        self._lock = threading.Lock()
        self._context: ssl.SSLContext | None = None

    @hookimpl
    def power_state(self, bmc: BmcView, deadline: float) -> PowerState:
        """Ask the outer cloud now. Only Running and Stopped are plain."""
        vm = _vm_of(bmc)
        answer = self._call(bmc, "listVirtualMachines", {"id": vm, "listall": "true"}, deadline)
        found = answer.get("virtualmachine")
        machines = [entry for entry in found if isinstance(entry, dict)] if isinstance(found, list) else []
        if len(machines) != 1 or str(machines[0].get("id", "")).lower() != vm:
            raise Refused(
                f"{bmc.address}: it shows no VM {vm}; correct the port (the VM's uuid), or whose API key it is"
            )
        return STATES.get(str(machines[0].get("state")), PowerState.UNKNOWN)

    @hookimpl
    def power_action(self, bmc: BmcView, action: PowerAction, deadline: float) -> str:
        """Have the outer cloud accept the job. CYCLE and RESET of a VM that is Stopped are `Refused`."""
        if action not in COMMANDS:
            raise Unsupported(f"{bmc.address}: {action} is no action that a VM takes")
        ends = _ends(deadline)
        vm, (command, parameters) = _vm_of(bmc), COMMANDS[action]
        if action not in ALREADY and self.power_state(bmc, deadline) is PowerState.OFF:
            raise Refused(f"{bmc.address}: VM {vm} is Stopped, where {action} does nothing; use ON")
        try:
            answer = self._call(bmc, command, {"id": vm, **parameters}, _left(ends, bmc))
        except AuthenticationFailed:
            raise
        except Refused:
            if action in ALREADY and self.power_state(bmc, _left(ends, bmc)) is ALREADY[action]:
                return f"VM {vm} is {ALREADY[action]} already"
            raise
        return f"{command} accepted for VM {vm} (job {str(answer.get('jobid', 'unknown'))[:40]})"

    @hookimpl
    def set_password(self, bmc: BmcView, new_password: str, deadline: float) -> None:
        """Always `Unsupported`: a secret key is made by the outer cloud, not chosen."""
        raise Unsupported(f"{bmc.address}: the secret key of an API cannot be set; make new keys in the outer cloud")

    @hookimpl
    def self_test(self) -> None:
        """`ConfigurationError` if the CA file cannot be used."""
        try:
            self._tls()
        except OSError as error:
            raise ConfigurationError(
                f"oobm.nestedcloudstack.ca_file: {self._settings['ca_file']} cannot be used: {error}"
            ) from error

    def _call(self, bmc: BmcView, command: str, parameters: Mapping[str, str], deadline: float) -> dict[str, Any]:
        endpoint = self._endpoint(bmc)
        good_for = float(self._settings["signature_seconds"])
        form = signed_form({"command": command, **parameters}, bmc.username, bmc.password, good_for)
        status, body = post(endpoint, form, deadline)
        return _content(f"{endpoint.where}: {command}", status, body, (bmc.password.reveal(), bmc.username))

    def _endpoint(self, bmc: BmcView) -> Endpoint:
        try:
            url = urlsplit(bmc.address.strip())
            host, port = url.hostname or "", url.port or (443 if url.scheme == "https" else 80)
        except ValueError:
            raise Refused(f"{bmc.address!r} is no URL of an API") from None
        path = url.path if url.path.strip("/") else DEFAULT_PATH
        odd = url.username is not None or url.query or url.fragment or not path.isprintable() or " " in path
        if url.scheme not in ("http", "https") or not host or odd:
            raise Refused(f"{bmc.address!r} is no URL of an API; give one such as https://cloud.example.org/client/api")
        try:
            return Endpoint(host, port, path, self._tls() if url.scheme == "https" else None)
        except OSError as error:
            raise Refused(f"{host}: the CA file cannot be used ({error}); nothing was sent") from None

    def _tls(self) -> ssl.SSLContext:
        with self._lock:
            if self._context is None:
                self._context = tls_context(self._settings["ca_file"])
            return self._context


def _vm_of(bmc: BmcView) -> str:
    try:
        return str(UUID(bmc.port.strip()))
    except ValueError:
        raise Refused(f"{bmc.address}: port {bmc.port!r} is no uuid; the port names the VM that this host is") from None


def _ends(deadline: float) -> float:
    return time.monotonic() + deadline


def _left(ends: float, bmc: BmcView) -> float:
    try:
        return left_until(ends)
    except TimeoutError:
        raise Unreachable(f"{bmc.address}: no time left for another request") from None


def _content(where: str, status: int, body: bytes, secrets: tuple[str, ...]) -> dict[str, Any]:
    """What the one top-level key of a good answer holds; else the error that the status stands for."""
    try:
        found = json.loads(body)
        content = next(iter(found.values())) if isinstance(found, dict) and len(found) == 1 else None
    except (ValueError, RecursionError):
        content = None
    text = str(content.get("errortext", "")) if isinstance(content, dict) else ""
    for secret in secrets:
        text = text.replace(secret, "****") if secret else text
    said = f"{where}: answered {status} {' '.join(text.split())[:LONGEST_WORDS]}".rstrip()
    if status == 401:
        raise AuthenticationFailed(f"{said}; check API key and secret key, and the clocks of both sides")
    if 400 <= status < 500 or 530 <= status < 540 or 300 <= status < 400:
        raise Refused(said)
    if status != 200:
        raise Unreachable(said)
    if not isinstance(content, dict) or "errorcode" in content:
        raise Unreachable(f"{where}: its answer is none of a CloudStack API")
    return content
