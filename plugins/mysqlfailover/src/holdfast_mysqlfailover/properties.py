"""Reads a Java properties file: which key has which text, and on which line it was written."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import javaproperties
from holdfast.errors import ConfigurationError

_MARKS: Final = ("\xef\xbb\xbf", "\xff\xfe", "\xfe\xff")
"""What editors of Windows put before a text in UTF-8 or UTF-16, read as ISO 8859-1."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One key as written. `line` counts from 1; `repr` shows no value, because it may be a password."""

    key: str
    text: str
    line: int

    def __repr__(self) -> str:
        return f"Entry({self.key!r}, line {self.line})"


def read_properties(path: Path) -> Mapping[str, Entry]:
    """All entries by key, escapes and continued lines resolved as Java does (ISO 8859-1, `\\uXXXX`).

    Blocks for reading the file. `ConfigurationError` if it is missing, unreadable or malformed, begins with a byte
    order mark, or gives one key two different texts: Java would silently take the last.
    """
    try:
        content = path.read_bytes().decode("iso-8859-1")
    except FileNotFoundError:
        raise ConfigurationError(
            f"{path} does not exist: put db.properties there, or set properties in [database.mysql] to where it is"
        ) from None
    except OSError as problem:
        raise ConfigurationError(
            f"{path} cannot be read ({problem.strerror}): it must be a file that the user who runs holdfast may read"
        ) from problem
    if content.startswith(_MARKS):
        raise ConfigurationError(
            f"{path} begins with a byte order mark, which Java takes for a part of the first key: save the file again "
            "without it, as plain text"
        )
    found: dict[str, Entry] = {}
    try:
        for entry in _entries(content):
            before = found.setdefault(entry.key, entry)
            if before.text != entry.text:
                raise ConfigurationError(
                    f"{path}: {entry.key} stands on line {before.line} and, with another value, on line {entry.line}: "
                    "remove one of them"
                )
    except javaproperties.InvalidUEscapeError as problem:
        line = content[: content.find(problem.escape)].count("\n") + 1
        raise ConfigurationError(
            f"{path}, line {line}: {problem.escape} is no character; a Unicode escape has four hexadecimal digits, and "
            "a backslash is written twice"
        ) from None
    return found


def _entries(content: str) -> Iterator[Entry]:
    line = 1
    for part in javaproperties.parse(content):
        if isinstance(part, javaproperties.KeyValue):
            yield Entry(part.key, part.value, line)
        line += len(part.source.splitlines())
