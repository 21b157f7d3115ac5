"""Where the API is and what signs calls: from the environment or a file, never from the command line.

A command line can be read by every user of the machine, and ends up in shell histories.
"""

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from holdfast.errors import ConfigurationError
from holdfast.model import Secret
from holdfast.wording import listed, nearest

from holdfast_cli.client import Client, Keys

VARIABLES = {"url": "HOLDFAST_API_URL", "api_key": "HOLDFAST_API_KEY", "secret_key": "HOLDFAST_SECRET_KEY"}
"""Key of the file -> variable that stands for it, and wins over it."""

FILE_VARIABLE = "HOLDFAST_API_FILE"
DEFAULT_URL = "http://127.0.0.1:8080/client/api"
_OTHERS = 0o077


def default_file(environ: Mapping[str, str]) -> Path:
    """The user's own file."""
    home = environ.get("XDG_CONFIG_HOME") or str(Path.home() / ".config")
    return Path(home) / "holdfast" / "api.toml"


def client_from(given: str | None = None, environ: Mapping[str, str] | None = None) -> Client:
    """A signed client. `given` is the file named on the command line.

    `ConfigurationError` says which value is missing and where it may stand, or who else may read the file.
    """
    environ = os.environ if environ is None else environ
    named = given or environ.get(FILE_VARIABLE)
    path = Path(named) if named else default_file(environ)
    kept = read_file(path) if named or path.exists() else {}
    found = {key: environ.get(variable) or kept.get(key, "") for key, variable in VARIABLES.items()}
    for key in ("api_key", "secret_key"):
        if not found[key]:
            raise ConfigurationError(
                f"there is no {key} (set {VARIABLES[key]}, or write {key} into {path}, mode 0600). "
                "login and registerUserKeys make a pair; `holdfast demo --serve` writes such a file"
            )
    return Client(_checked(found["url"] or DEFAULT_URL), Keys(found["api_key"], Secret(found["secret_key"])))


def _checked(url: str) -> str:
    """`ConfigurationError` unless calls can be sent there."""
    try:
        parts = urlsplit(url)
        good = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:  # its port, or brackets that stand nowhere
        parts, good = None, False
    if parts is not None and parts.username is not None:
        raise ConfigurationError(
            "the url of the API holds a user name; calls are signed with keys instead, leave it out"
        )
    if not good:
        raise ConfigurationError(f"{url!r} is no URL of an API; write http://HOST:PORT/client/api, or https://")
    return url


def read_file(path: Path) -> dict[str, str]:
    """The texts of an api.toml. Its secret must be nobody else's to read."""
    try:
        with path.open("rb") as stream:
            mode = os.fstat(stream.fileno()).st_mode & 0o777
            document: dict[str, Any] = tomllib.load(stream)
    except OSError as problem:
        raise ConfigurationError(f"{path} cannot be read: {problem.strerror}") from problem
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as problem:
        raise ConfigurationError(f"{path} is not valid TOML: {problem}") from None
    if mode & _OTHERS:
        raise ConfigurationError(
            f"{path} holds a secret key and others may read it (mode {mode:04o}); run: chmod 600 {path}"
        )
    for key, value in document.items():
        if key not in VARIABLES:
            raise ConfigurationError(f"{path}: {key} is not a known key{nearest(key, VARIABLES)}: {listed(VARIABLES)}")
        if not isinstance(value, str):
            raise ConfigurationError(f"{path}: {key} is no text")
    return document


def write_file(path: Path, text: str) -> None:
    """Write a file that only its owner can ever read."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as stream:
        os.fchmod(stream.fileno(), 0o600)
        stream.write(text)


def as_file(endpoint: str, keys: Keys) -> str:
    """What an api.toml holds for these keys."""
    return f'url = "{endpoint}"\napi_key = "{keys.api_key}"\nsecret_key = "{keys.secret_key.reveal()}"\n'


def as_cs_file(endpoint: str, keys: Keys) -> str:
    """The same for the Python package `cs`."""
    return f"[cloudstack]\nendpoint = {endpoint}\nkey = {keys.api_key}\nsecret = {keys.secret_key.reveal()}\n"
