"""A Redfish service made by hand: strict with its client, and with every quirk that a test asks for."""

import base64
import json
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from uuid import UUID

from certificates import Pair
from holdfast.model.secret import Secret
from holdfast.model.views import BmcView

USER, PASSWORD = "admin", 'correct "horse" battery'
ROOT, SYSTEMS, SESSIONS = "/redfish/v1/", "/redfish/v1/Systems", "/redfish/v1/SessionService/Sessions"
ACCOUNTS = "/redfish/v1/AccountService/Accounts"
ROLE = "/redfish/v1/AccountService/Roles/own"
RESETS = ["On", "ForceOff", "GracefulShutdown", "ForceRestart", "PushPowerButton", "PowerCycle"]
Quirk = Callable[["Request"], None]


@dataclass
class StrictSystem:
    """One system behind the BMC. `resets` None: it does not say which it takes. `refuses` is a status."""

    power: object = "On"
    uuid: str | None = None
    resets: list[str] | None = field(default_factory=lambda: list(RESETS))
    action_info: bool = False
    refuses: int = 0
    ignores: bool = False
    asked: list[str] = field(default_factory=list)


@dataclass
class Seen:
    """What the BMC was sent. `connection` is the client's port: the same for requests on one connection."""

    method: str
    path: str
    headers: dict[str, str]
    body: Any
    connection: int

    @property
    def credentials(self) -> str:
        """How it authenticates: "session", "basic" or ""."""
        return "session" if "x-auth-token" in self.headers else "basic" if "authorization" in self.headers else ""


class Request(BaseHTTPRequestHandler):
    """Answers as the `StrictBmc` of its server says."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: "StrictServer"
    seen: Seen

    def handle_any(self) -> None:
        """Record, check and answer one request."""
        length = int(self.headers.get("Content-Length") or 0)
        raw = self.rfile.read(length)
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.seen = Seen(self.command, self.path, headers, json.loads(raw) if raw else None, self.client_address[1])
        bmc = self.server.bmc
        with bmc.lock:
            bmc.seen.append(self.seen)
        quirk = bmc.quirks.get((self.command, self.path)) or bmc.quirks.get((self.command, "*"))
        (quirk or bmc.answer)(self)

    do_GET = do_POST = do_PATCH = do_DELETE = handle_any

    def reply(self, status: int, body: object = None, **headers: str) -> None:
        """Send a whole answer. A body of bytes goes as it is."""
        raw = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(raw)))
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(raw)

    def complain(self, status: int, message: str, **headers: str) -> None:
        """Answer with an error as Redfish words it."""
        extended = [{"MessageId": "Base.1.8.GeneralError", "Message": message}]
        self.reply(status, {"error": {"code": "Base.1.8", "@Message.ExtendedInfo": extended}}, **headers)

    def log_message(self, format: str, *args: Any) -> None:
        """Tests are quiet."""


class StrictServer(ThreadingHTTPServer):
    """One thread for each connection; the TLS handshake happens there too, so that a bad one blocks nobody."""

    daemon_threads = True
    bmc: "StrictBmc"

    def finish_request(self, request: Any, client_address: Any) -> None:
        """Do the handshake late, and only for HTTPS."""
        if self.bmc.context is None:
            return super().finish_request(request, client_address)
        with self.bmc.context.wrap_socket(request, server_side=True, do_handshake_on_connect=False) as secured:
            try:
                secured.do_handshake()
            except OSError:
                return None
            self.bmc.handshakes += 1
            return super().finish_request(secured, client_address)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that hang up are part of the tests."""


class StrictBmc:
    """Starts with the block, ends with it. Change its attributes at any time; `quirks` replace single answers."""

    def __init__(self, pair: Pair | None = None) -> None:
        self.lock = threading.Lock()
        self.systems: dict[str, StrictSystem] = {"1": StrictSystem()}
        self.passwords = {USER: PASSWORD}
        self.layout = "Members"
        self.has_sessions = True
        self.wants_tag = False
        self.tag_within = False
        self.account: dict[str, Any] = {}
        self.privileges: list[str] | None = None
        self.quirks: dict[tuple[str, str], Quirk] = {}
        self.seen: list[Seen] = []
        self.tokens: dict[str, str] = {}
        self.opened = self.handshakes = 0
        self.context: ssl.SSLContext | None = None
        if pair is not None:
            self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.context.load_cert_chain(pair.certificate, pair.key)
        self._server = StrictServer(("127.0.0.1", 0), Request)
        self._server.bmc = self
        self.port = self._server.server_address[1]

    def __enter__(self) -> "StrictBmc":
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def view(self, password: str = PASSWORD, user: str = USER, **options: str) -> BmcView:
        """How a driver is shown this BMC."""
        return BmcView("host-1", "redfish", "127.0.0.1", str(self.port), user, Secret(password), options=options)

    @property
    def system(self) -> StrictSystem:
        """The first one."""
        return next(iter(self.systems.values()))

    def requests(self, method: str, path: str = "") -> list[Seen]:
        """What came with that method, to paths that start so."""
        return [seen for seen in self.seen if seen.method == method and seen.path.startswith(path)]

    def answer(self, request: Request) -> None:
        """Answer as a faultless BMC would."""
        seen = request.seen
        path = seen.path.partition("?")[0]
        if (seen.method, path) == ("GET", ROOT):
            return request.reply(200, self._root())
        if (seen.method, path) == ("POST", SESSIONS) and self.has_sessions:
            return self._open_session(request)
        if not self._is_known(seen):
            return request.complain(401, "log in first", WWW_Authenticate="Basic")
        if path.startswith(SESSIONS) and seen.method == "DELETE":
            self.tokens = {token: where for token, where in self.tokens.items() if where != path}
            return request.reply(204)
        if path.startswith("/redfish/v1/AccountService"):
            return self._account(request, path)
        return self._system(request, path)

    def _root(self) -> dict[str, Any]:
        root: dict[str, Any] = {"Systems": {"@odata.id": SYSTEMS}}
        root["AccountService"] = {"@odata.id": "/redfish/v1/AccountService"}
        if self.has_sessions:
            root["Links"] = {"Sessions": {"@odata.id": SESSIONS}}
        return root

    def _open_session(self, request: Request) -> None:
        if request.seen.credentials:
            return request.complain(400, "credentials have no place here")
        body = request.seen.body
        if self.passwords.get(body.get("UserName")) != body.get("Password"):
            return request.complain(401, "wrong credentials")
        with self.lock:
            self.opened += 1
            number = self.opened
        self.tokens[f"token-number-{number}"] = f"{SESSIONS}/{number}"
        address = f"http://127.0.0.1:{self.port}{SESSIONS}/{number}"
        return request.reply(201, {"Id": str(number)}, X_Auth_Token=f"token-number-{number}", Location=address)

    def _is_known(self, seen: Seen) -> bool:
        if seen.credentials == "session":
            return seen.headers["x-auth-token"] in self.tokens
        kind, _, token = seen.headers.get("authorization", "").partition(" ")
        user, _, password = base64.b64decode(token).decode().partition(":")
        return kind == "Basic" and user in self.passwords and self.passwords[user] == password

    def _system(self, request: Request, path: str) -> None:
        parts = path.removeprefix(SYSTEMS).strip("/").split("/")
        if parts == [""]:
            links = [{"@odata.id": f"{SYSTEMS}/{name}"} for name in self.systems]
            return request.reply(200, {"Members": links} if self.layout == "Members" else {"Links": {"Members": links}})
        system = self.systems.get(parts[0])
        if system is None or not path.startswith(SYSTEMS):
            return request.complain(404, f"there is no {path}")
        if parts[1:] == [] and request.seen.method == "GET":
            return request.reply(200, self.describe(parts[0], system))
        if parts[1:] == ["ResetActionInfo"]:
            values = {"Name": "ResetType", "AllowableValues": system.resets}
            return request.reply(200, {"Parameters": [{"Name": "Other"}, values]})
        if parts[1:] == ["Actions", "ComputerSystem.Reset"] and request.seen.method == "POST":
            return self._reset(request, system)
        return request.complain(405, "that cannot be done here")

    def describe(self, name: str, system: StrictSystem) -> dict[str, Any]:
        """The resource of a system."""
        reset: dict[str, Any] = {"target": f"{SYSTEMS}/{name}/Actions/ComputerSystem.Reset"}
        if system.action_info:
            reset["@Redfish.ActionInfo"] = f"{SYSTEMS}/{name}/ResetActionInfo"
        elif system.resets is not None:
            reset["ResetType@Redfish.AllowableValues"] = system.resets
        body = {"Id": name, "PowerState": system.power, "Actions": {"#ComputerSystem.Reset": reset}}
        return body if system.uuid is None else {**body, "UUID": str(UUID(system.uuid))}

    def _reset(self, request: Request, system: StrictSystem) -> None:
        kind = request.seen.body["ResetType"]
        system.asked.append(kind)
        if request.seen.headers["content-type"] != "application/json" or set(request.seen.body) != {"ResetType"}:
            return request.complain(400, "malformed")
        if system.refuses:
            return request.complain(system.refuses, "the system is not in a state for this")
        if kind not in (system.resets or RESETS):
            return request.complain(400, f"{kind} is not in the list of acceptable values")
        if not system.ignores:
            after = {"ForceOff": "Off", "PowerOff": "Off", "GracefulShutdown": "Off"}
            pressed = "Off" if system.power == "On" else "On"
            system.power = pressed if kind == "PushPowerButton" else after.get(kind, "On")
        return request.reply(204)

    def _account(self, request: Request, path: str) -> None:
        if path == "/redfish/v1/AccountService":
            return request.reply(200, {"Accounts": {"@odata.id": ACCOUNTS}})
        if path == ACCOUNTS:
            return request.reply(200, {"Members": [{"@odata.id": f"{ACCOUNTS}/{n}"} for n in range(3)]})
        if path == ROLE and self.privileges is not None:
            return request.reply(200, {"AssignedPrivileges": self.privileges})
        users = {f"{ACCOUNTS}/0": "", f"{ACCOUNTS}/1": "viewer", f"{ACCOUNTS}/2": USER}
        if path not in users:
            return request.complain(404, "there is no such account")
        if request.seen.method == "GET":
            shown = {"UserName": users[path], "Password": None, **(self.account if users[path] == USER else {})}
            if self.tag_within:
                return request.reply(200, {**shown, "@odata.etag": '"v1"'})
            return request.reply(200, shown, ETag='"v1"')
        if self.wants_tag and request.seen.headers.get("if-match") != '"v1"':
            return request.complain(412, "read it first")
        self.passwords[users[path]] = request.seen.body["Password"]
        self.tokens.clear()
        return request.reply(204)
