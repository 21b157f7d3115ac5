"""What a plugin's settings table may hold: the optional class attribute `SETTINGS`.

A driver declares `SETTINGS: Mapping[str, Option]`. Its table in the configuration file is then checked against it, and
the driver is constructed with every option present, typed and in range. Without `SETTINGS` it gets its table unchecked.
"""

import math
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from holdfast.errors import ConfigurationError
from holdfast.model.secret import Secret
from holdfast.wording import listed, nearest

REQUIRED: Final = object()
"""Default of an option that the configuration must give."""


@dataclass(frozen=True, slots=True)
class Option:
    """One key of a settings table.

    `type` is str, int, float, bool, tuple (a list of texts), dict (a free table), Path (relative ones are taken from
    the data directory) or Secret (a text, or `{ env = "NAME" }`, or `{ file = "/path" }`). `low` and `high` are
    inclusive. `check` gets the value and returns what is wrong with it, or "". `doc` is one sentence for people.
    """

    type: type
    default: Any = REQUIRED
    doc: str = ""
    low: float | None = None
    high: float | None = None
    choices: tuple[Any, ...] = ()
    check: Callable[[Any], str] | None = None

    def allowed(self) -> str:
        """What may stand here, in words."""
        if self.choices:
            return f"one of {listed(str(choice) for choice in self.choices)}"
        words = _WORDS[self.type]
        if self.low is not None and self.high is not None:
            return f"{words} from {self.low:g} to {self.high:g}"
        if self.low is not None:
            return f"{words} of at least {self.low:g}"
        return f"{words} of at most {self.high:g}" if self.high is not None else words


_WORDS: dict[type, str] = {
    str: "text",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    tuple: "a list of texts",
    dict: "a table",
    Path: "a path",
    Secret: 'text, { env = "NAME" } or { file = "/path" }',
}


def read_options(options: Mapping[str, Option], table: Mapping[str, Any], where: str, data_dir: Path) -> dict[str, Any]:
    """Every option's value, from `table` or its default. `where` is "file: table" and starts every error.

    Raises `ConfigurationError` for the first key that is unknown, missing, of the wrong type or out of range. Reads
    environment variables and files that secrets name.
    """
    for key in table:
        if key not in options:
            raise ConfigurationError(
                f"{where}.{key} is not a known key{nearest(key, options)}. Known keys: {listed(options)}"
            )
    values = {}
    for key, option in options.items():
        if key in table:
            values[key] = _value(option, table[key], f"{where}.{key}", data_dir)
        elif option.default is REQUIRED:
            raise ConfigurationError(f"{where}.{key} is missing; give {option.allowed()} ({option.doc})")
        else:
            values[key] = data_dir / option.default if isinstance(option.default, Path) else option.default
    return values


def _value(option: Option, found: Any, where: str, data_dir: Path) -> Any:
    value = _typed(option, found, where, data_dir)
    shown = "(hidden)" if option.type is Secret else repr(found)
    outside = isinstance(value, (int, float)) and (
        not math.isfinite(value)
        or (option.low is not None and value < option.low)
        or (option.high is not None and value > option.high)
    )
    if outside or (option.choices and value not in option.choices):
        close = nearest(found, map(str, option.choices)) if isinstance(found, str) else ""
        raise ConfigurationError(f"{where} is {shown}; allowed is {option.allowed()}{close}")
    complaint = option.check(value) if option.check else ""
    if complaint:
        raise ConfigurationError(f"{where} is {shown}; {complaint}")
    return value


def _typed(option: Option, found: Any, where: str, data_dir: Path) -> Any:
    kind = option.type
    if kind is Secret:
        return _secret(found, where)
    if kind is float and type(found) is int:
        return float(found)
    if kind is tuple and isinstance(found, (list, tuple)) and all(isinstance(item, str) for item in found):
        return tuple(found)
    if kind is Path and isinstance(found, (str, Path)) and str(found):
        return data_dir / Path(found).expanduser()
    # bool is an int to Python, never to an operator.
    if kind is dict and isinstance(found, Mapping):
        return dict(found)
    if type(found) is not kind:
        raise ConfigurationError(f"{where} is {kind_of(found)} ({shown(where, found)}); allowed is {option.allowed()}")
    return found


def _secret(found: Any, where: str) -> Secret:
    if isinstance(found, Secret):
        return found
    if isinstance(found, str):
        return Secret(found)
    if isinstance(found, Mapping) and len(found) == 1:
        (source, name), *_ = found.items()
        if source == "env" and isinstance(name, str):
            if name not in os.environ:
                raise ConfigurationError(f"{where} names the environment variable {name}, which is not set")
            return Secret(os.environ[name])
        if source == "file" and isinstance(name, str):
            try:
                return Secret(Path(name).read_text(encoding="utf-8").rstrip("\r\n"))
            except (OSError, UnicodeDecodeError) as error:
                raise ConfigurationError(f"{where} names the file {name}, which cannot be read: {error}") from error
    raise ConfigurationError(f"{where} is {kind_of(found)} (hidden); allowed is {_WORDS[Secret]}")


def kind_of(value: Any) -> str:
    """What a value of a TOML file is, in words."""
    for kind, words in ((bool, "true or false"), (int, "a whole number"), (float, "a number"), (str, "text")):
        if isinstance(value, kind):
            return words
    if isinstance(value, Mapping):
        return "a table"
    return "a list" if isinstance(value, (list, tuple)) else type(value).__name__


_HIDING = ("pass", "secret", "key", "token", "credential")


def shown(name: str, value: Any) -> str:
    """`value` for people; hidden if it is a secret or `name`'s last word looks like one (`..._file` does not)."""
    word = name.rsplit(".", 1)[-1].lower()
    if isinstance(value, Secret) or (any(part in word for part in _HIDING) and not word.endswith(("_file", "_dir"))):
        return "(hidden)"
    if isinstance(value, Path):
        return repr(str(value))
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key} = {shown(key, item)}" for key, item in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(shown("", item) for item in value) + "]"
    return repr(value)
