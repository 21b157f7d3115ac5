"""A small CloudStack API that checks signatures, for a driver to talk to."""

import base64
import hashlib
import hmac
import json
import ssl
import threading
import urllib.parse
from collections.abc import Callable
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

API_KEY, SECRET_KEY = "api-key-of-tests", "secret-key+of/tests=="
ONE, TWO = "11111111-2222-3333-4444-000000000001", "11111111-2222-3333-4444-000000000002"
EFFECTS = {"startVirtualMachine": "Running", "stopVirtualMachine": "Stopped", "rebootVirtualMachine": "Running"}


class OuterCloud:
    """Two VMs. `quirk` replaces answers; `seen` are the fields of the requests."""

    def __init__(self, context: ssl.SSLContext | None = None) -> None:
        self.states: dict[str, str] = {ONE: "Running", TWO: "Stopped"}
        self.refusing = self.ignoring = False
        self.odd = ""
        self.quirk: Callable[[BaseHTTPRequestHandler], bool] | None = None
        self.seen: list[dict[str, str]] = []
        self.lines: list[str] = []
        cloud = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                fields = dict(urllib.parse.parse_qsl(self.rfile.read(int(self.headers["Content-Length"])).decode()))
                cloud.lines.append(self.requestline)
                cloud.seen.append(fields)
                if cloud.quirk is None or not cloud.quirk(self):
                    answer(self, *cloud.answer(fields))

            def log_message(self, format: str, *args: Any) -> None:
                """Tests are quiet."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        if context is not None:
            self._server.socket = context.wrap_socket(
                self._server.socket, server_side=True, do_handshake_on_connect=False
            )
        self.port = self._server.server_address[1]

    def __enter__(self) -> "OuterCloud":
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def answer(self, fields: dict[str, str]) -> tuple[int, dict[str, Any]]:
        """Status and content, as CloudStack gives them."""
        command, vm = fields["command"], fields.get("id", "")
        name = f"{command.lower()}response"
        if not _is_signed(fields):
            return 401, {name: {"errorcode": 401, "errortext": "unable to verify user credentials and/or signature"}}
        if vm not in self.states:
            text = f"entity {vm} does not exist"
            return (
                (200, {name: {}})
                if command.startswith("list")
                else (431, {name: {"errorcode": 431, "errortext": text}})
            )
        if command == "listVirtualMachines":
            state, self.odd = self.odd or self.states[vm], ""
            return 200, {name: {"count": 1, "virtualmachine": [{"id": vm, "state": state}]}}
        if self.refusing:
            return 530, {name: {"errorcode": 530, "errortext": f"no {command} for {fields['apiKey']} now"}}
        if not self.ignoring:
            self.states[vm] = EFFECTS[command]
        return 200, {name: {"jobid": "job-1"}}


def answer(handler: BaseHTTPRequestHandler, status: int, content: object) -> None:
    """Send content as JSON, or bytes as they are."""
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    handler.send_response(status)
    handler.send_header("Content-Type", "application/json; charset=UTF-8")
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)


def _is_signed(fields: dict[str, str]) -> bool:
    """Checks as the server's documentation says, and not as the driver does."""
    signed = sorted((name, value) for name, value in fields.items() if name != "signature")
    parts = []
    for name, value in signed:
        encoded = urllib.parse.quote_plus(value, safe="*").replace("+", "%20").replace("~", "%7E")
        parts.append(f"{name}={encoded}")
    digest = hmac.new(SECRET_KEY.encode(), "&".join(parts).lower().encode(), hashlib.sha1).digest()
    expires = datetime.strptime(fields["expires"], "%Y-%m-%dT%H:%M:%S%z")
    in_time = fields["signatureVersion"] == "3" and expires > datetime.now(UTC)
    return in_time and fields["apiKey"] == API_KEY and fields["signature"] == base64.b64encode(digest).decode()
