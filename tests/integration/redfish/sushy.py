"""A real sushy-emulator process with two fake systems, and the knobs that the conformance kit turns."""

import base64
import json
import os
import select
import ssl
import subprocess
import sys
import threading
import time
import urllib.request
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import bcrypt
from certificates import Pair
from holdfast.model.secret import Secret
from holdfast.model.states import PowerState
from holdfast.model.views import BmcView
from holdfast_conformance.oobm import OobmBench
from holdfast_conformance.wire_faults import CLEAN, TcpFaultProxy, WireFaults

USER, PASSWORD = "admin", "sushy-secret-1"
ONE, TWO = "11111111-2222-3333-4444-000000000001", "11111111-2222-3333-4444-000000000002"
START_SECONDS = 120.0

# The emulator reads its configuration as a Python file, which is how the knobs get into the real thing. Its fake
# systems take 1 to 11 seconds for an action; here they take none, so that the suite is done today.
CONFIGURATION = """
import json, os, flask
from sushy_tools.emulator import main
from sushy_tools.emulator.resources.systems import fakedriver

SUSHY_EMULATOR_STATE_DIR = {folder!r}
SUSHY_EMULATOR_AUTH_FILE = {folder!r} + "/users"
SUSHY_EMULATOR_FAKE_DRIVER = True
SUSHY_EMULATOR_LISTEN_IP = "127.0.0.1"
SUSHY_EMULATOR_FAKE_SYSTEMS = [
    dict(uuid=uuid, name=uuid[-1], power_state="Off", external_notifier=False, nics=[]) for uuid in {systems!r}
]
fakedriver.random.randint = lambda low, high: 0

def knob(name):
    return os.path.exists(os.path.join({folder!r}, name))

@main.app.before_request
def before():
    if flask.request.method == "POST" and not flask.request.headers.get("X-By-Hand"):
        if knob("refuse"):
            return {{"error": {{"message": "the system is locked"}}}}, 400
        if knob("ignore"):
            return "", 204

@main.app.after_request
def after(response):
    path = os.path.join({folder!r}, "odd")
    if knob("odd") and response.is_json and "PowerState" in (response.json or {{}}):
        os.unlink(path)
        response.data = json.dumps({{**response.json, "PowerState": "PoweringOff"}})
    return response
"""


class Emulator:
    """One process for the whole session; `port` is where it listens."""

    def __init__(self, folder: Path, pair: Pair | None = None) -> None:
        self.folder = folder
        self.pair = pair
        self.port = 0
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> "Emulator":
        (self.folder / "config.py").write_text(
            CONFIGURATION.format(folder=str(self.folder), systems=[ONE, TWO]), encoding="utf-8"
        )
        digest = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode()
        (self.folder / "users").write_text(f"{USER}:{digest}\n", encoding="utf-8")
        program = [str(Path(sys.executable).parent / "sushy-emulator"), "--config", str(self.folder / "config.py")]
        # The port 0 counts as not given on the command line, so the program chooses the port through its wrapper.
        wrapper = (
            "import runpy, sys; from sushy_tools.emulator import main; run = main.app.run; "
            "main.app.run = lambda **options: run(**{**options, 'port': 0}); sys.argv = sys.argv[1:]; "
            "runpy.run_path(sys.argv[0], run_name='__main__')"
        )
        if self.pair is not None:
            program += ["--ssl-certificate", str(self.pair.certificate), "--ssl-key", str(self.pair.key)]
        environment = {**os.environ, "PYTHONUNBUFFERED": "1", "PYTHONWARNINGS": "ignore"}
        self._process = subprocess.Popen(
            [sys.executable, "-c", wrapper, *program],
            stderr=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            env=environment,
        )
        try:
            self.port = self._wait_for_port()
        except BaseException:
            self._process.kill()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process is not None
        assert self._process.stderr is not None
        self._process.kill()
        self._process.wait()
        self._drain.join()
        self._process.stderr.close()

    def switch_by_hand(self, uuid: str, state: PowerState) -> None:
        """Press the button of a system, and see that it took."""
        wanted = {PowerState.ON: "On", PowerState.OFF: "Off"}[state]
        path = f"/redfish/v1/Systems/{uuid}"
        if self._ask(path)["PowerState"] != wanted:
            kind = "On" if state is PowerState.ON else "ForceOff"
            self._ask(f"{path}/Actions/ComputerSystem.Reset", {"ResetType": kind})
        assert self._ask(path)["PowerState"] == wanted

    def turn(self, knob: str, on: bool) -> None:
        """One of refuse, ignore, odd."""
        path = self.folder / knob
        path.touch() if on else path.unlink(missing_ok=True)

    def _ask(self, path: str, body: dict[str, str] | None = None) -> Any:
        scheme = "http" if self.pair is None else "https"
        data = None if body is None else json.dumps(body).encode()
        token = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        headers = {"Authorization": f"Basic {token}", "X-By-Hand": "1", "Content-Type": "application/json"}
        request = urllib.request.Request(f"{scheme}://127.0.0.1:{self.port}{path}", data, headers)
        context = None
        if self.pair is not None:
            context = ssl.create_default_context(cafile=str(self.pair.certificate.with_name("ca.pem")))
        with urllib.request.urlopen(request, timeout=10, context=context) as answer:
            return json.loads(answer.read() or b"null")

    def _wait_for_port(self) -> int:
        assert self._process is not None
        assert self._process.stderr is not None
        ends, seen = time.monotonic() + START_SECONDS, b""
        while b"Running on" not in seen or not seen.endswith(b"\n"):
            ready, _, _ = select.select([self._process.stderr], [], [], max(0.0, ends - time.monotonic()))
            assert ready, f"sushy-emulator did not start: {seen!r}"
            piece = os.read(self._process.stderr.fileno(), 65536)
            assert piece, f"sushy-emulator ended: {seen!r}"
            seen += piece
        # It logs every request there too; a pipe that nobody empties would stop it.
        self._drain = threading.Thread(target=self._process.stderr.read, daemon=True)
        self._drain.start()
        return int(seen.split(b"Running on")[1].split(b":")[2].split()[0].strip(b"/"))


class SushyBench(OobmBench):
    """An emulator seen through a wire of its own."""

    def __init__(self, emulator: Emulator) -> None:
        self.emulator = emulator
        self._stack = ExitStack()
        self.proxy = TcpFaultProxy(("127.0.0.1", emulator.port))

    def __enter__(self) -> "SushyBench":
        self._stack.enter_context(self.proxy)
        for knob in ("refuse", "ignore", "odd"):
            self.emulator.turn(knob, False)
        self.emulator.switch_by_hand(ONE, PowerState.ON)
        self.emulator.switch_by_hand(TWO, PowerState.OFF)
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @property
    def settings(self) -> dict[str, Any]:
        """What a driver needs to trust the emulator."""
        pair = self.emulator.pair
        return {"scheme": "http"} if pair is None else {"ca_file": str(pair.certificate.with_name("ca.pem"))}

    @property
    def bmc(self) -> BmcView:
        """The first system."""
        port = str(self.proxy.port)
        return BmcView("host-1", "redfish", "127.0.0.1", port, USER, Secret(PASSWORD), options={"system": ONE})

    @property
    def other_bmc(self) -> BmcView:
        """The second, behind the same service."""
        return replace(self.bmc, host_uuid="host-2", options={"uuid": TWO})

    def wrong_password(self) -> BmcView:
        """One letter differs."""
        return replace(self.bmc, password=Secret("sushy-secret-2"))

    def force_power(self, state: PowerState) -> None:
        """By hand, past the wire."""
        self.emulator.switch_by_hand(ONE, state)

    def make_unreachable(self) -> None:
        """The wire swallows all, on connections old and new."""
        self.proxy.faults = WireFaults(silent=True)

    def make_reachable(self) -> None:
        """The wire passes on what comes from now on."""
        self.proxy.faults = CLEAN

    def refuse_actions(self) -> None:
        """400 to every action."""
        self.emulator.turn("refuse", True)

    def ignore_actions(self) -> None:
        """204 to every action, and nothing done."""
        self.emulator.turn("ignore", True)

    def show_odd_state(self) -> None:
        """PoweringOff, once."""
        self.emulator.turn("odd", True)
