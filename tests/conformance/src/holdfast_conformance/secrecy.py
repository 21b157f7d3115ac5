"""Watches every way in which a driver may show a secret: logs, output, errors, reprs and command lines."""

import base64
import contextlib
import io
import logging
import sys
import threading
import traceback
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

SHORTEST = 8
_STARTS_PROGRAMS = frozenset({"subprocess.Popen", "os.exec", "os.posix_spawn", "os.spawn", "os.system"})
_recorders: list["SecretWatch"] = []
_recorders_lock = threading.Lock()
_hooked: list[bool] = []


class SecretWatch:
    """Collects what is shown while it is entered; `assert_unseen` then says where a secret came through."""

    def __init__(self, *secrets: str, user: str = "") -> None:
        """`secrets` must be distinctive: at least eight characters, so that none occurs by chance."""
        for secret in secrets:
            assert len(secret) >= SHORTEST, f"give the bench a secret of at least {SHORTEST} characters"
        self._forms = tuple(form for secret in secrets for form in _forms(secret, user))
        self._seen: list[tuple[str, str]] = []

    def note(self, where: str, text: object) -> None:
        """Record something that was shown."""
        self._seen.append((where, str(text)))

    def note_error(self, error: BaseException | None) -> None:
        """Record all that an error shows: its text, its repr, and those of its causes."""
        if error is not None:
            self.note("error", repr(error))
            self.note("traceback", "".join(traceback.format_exception(error)))

    def assert_unseen(self) -> None:
        """Fail, naming the place (never the text), if a secret was shown."""
        places = sorted({where for where, text in self._seen if any(form in text for form in self._forms)})
        assert not places, f"a secret is shown in: {', '.join(places)}"

    @contextlib.contextmanager
    def watching(self) -> Iterator["SecretWatch"]:
        """Record logs, output and command lines of the whole process while the block runs."""
        _hook_once()
        handler = _Recorder(self)
        root = logging.getLogger()
        level = root.level
        out, err = io.StringIO(), io.StringIO()
        root.addHandler(handler)
        root.setLevel(1)
        with _recorders_lock:
            _recorders.append(self)
        try:
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
                yield self
        finally:
            with _recorders_lock:
                _recorders.remove(self)
            root.setLevel(level)
            root.removeHandler(handler)
            self.note("standard output", out.getvalue())
            self.note("standard error", err.getvalue())


class _Recorder(logging.Handler):
    def __init__(self, watch: SecretWatch) -> None:
        super().__init__(level=1)
        self._watch = watch

    def emit(self, record: logging.LogRecord) -> None:
        self._watch.note(f"log of {record.name}", record.getMessage())
        self._watch.note(f"log record of {record.name}", repr(vars(record)))
        if record.exc_info and record.exc_info[1]:
            self._watch.note_error(record.exc_info[1])


def _forms(secret: str, user: str) -> Iterator[str]:
    yield secret
    yield quote(secret, safe="")
    yield base64.b64encode(secret.encode()).decode()
    if user:
        yield base64.b64encode(f"{user}:{secret}".encode()).decode()


def _hook_once() -> None:
    # An audit hook cannot be taken away again, so there is one for the process, and it is idle without a watch.
    with _recorders_lock:
        if not _hooked:
            sys.addaudithook(_audit)
            _hooked.append(True)


def _audit(event: str, arguments: tuple[Any, ...]) -> None:
    if event in _STARTS_PROGRAMS and _recorders:
        # The environment is the last argument and is no command line: only its owner and root can read it.
        for watch in list(_recorders):
            watch.note("command line", repr(arguments[: 3 if event == "os.spawn" else 2]))
