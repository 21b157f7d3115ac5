"""A stand-in for the API: answers from a table, and remembers what it was asked."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs

import pytest


class StandIn:
    """`answers` maps a command to the bodies it gives, one after the other; the last one again and again."""

    def __init__(self) -> None:
        self.answers: dict[str, list[tuple[int, Any]]] = {}
        self.asked: list[dict[str, str]] = []
        self.lines: list[str] = []
        stand_in = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                form = self.rfile.read(int(self.headers["Content-Length"])).decode()
                parameters = {name: values[0] for name, values in parse_qs(form, keep_blank_values=True).items()}
                stand_in.asked.append(parameters)
                stand_in.lines.append(self.path)
                bodies = stand_in.answers.get(parameters["command"], [(404, {"errorresponse": {"errorcode": 404}})])
                status, body = bodies.pop(0) if len(bodies) > 1 else bodies[0]
                raw = body if isinstance(body, bytes) else json.dumps(body).encode()
                self.send_response(status)
                if status == 302:
                    self.send_header("Location", "http://127.0.0.1:1/elsewhere")
                self.send_header("Content-Length", str(len(raw)))
                self.end_headers()
                self.wfile.write(raw)

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.endpoint = f"http://127.0.0.1:{self._server.server_port}/client/api"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    def says(self, command: str, inside: Any, status: int = 200) -> None:
        """One more answer to a command, in its envelope."""
        self.answers.setdefault(command, []).append((status, {f"{command.lower()}response": inside}))

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def api() -> Iterator[StandIn]:
    stand_in = StandIn()
    yield stand_in
    stand_in.close()


@pytest.fixture
def environment(api: StandIn, monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> StandIn:
    """The API's address and keys in the environment, and a home without files."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.delenv("HOLDFAST_API_FILE", raising=False)
    monkeypatch.setenv("HOLDFAST_API_URL", api.endpoint)
    monkeypatch.setenv("HOLDFAST_API_KEY", "the-key")
    monkeypatch.setenv("HOLDFAST_SECRET_KEY", "the-secret")
    return api
