"""Looks up the keys of one database in the entries of a file: old names, `ENC(…)`, types, and who set what."""

from collections.abc import Mapping
from pathlib import Path

from holdfast.errors import ConfigurationError
from holdfast.model.secret import Secret
from holdfast.wording import nearest

from holdfast_mysqlfailover.encryption import CannotDecrypt, decrypt, is_encrypted
from holdfast_mysqlfailover.keys import DATABASES, Key, all_names, keys_of
from holdfast_mysqlfailover.plan import Value
from holdfast_mysqlfailover.properties import Entry

_CHECKED = tuple(f"db.{part}." for part in ("ha", *DATABASES))
_HIDDEN = "(hidden)"
_FLAGS = {"true": True, "false": False}
_MOST = 2_147_483_647


class Values:
    """The keys of one database in one file. Every error names the file, the line and the key."""

    def __init__(self, path: Path, entries: Mapping[str, Entry], database: str) -> None:
        self.path = path
        self.secret: Secret | None = None
        """The management secret, once it is known."""
        self.version = ""
        """How `ENC(…)` values are encrypted: V1, V2, or "" for either."""
        self._keys = {key.name: key for key in keys_of(database)}
        self._database = database
        self._refuse_unknown(entries)
        self._entries = {name: self._chosen(key, entries) for name, key in self._keys.items()}

    def text(self, name: str) -> str:
        """The value or its default, decrypted; `<x>` in `name` is filled in. Blanks around it are dropped."""
        name = name.replace("<x>", self._database)
        entry = self._entries[name]
        if entry is None:
            return self._keys[name].default
        plain = self._plain(entry)
        return plain if self._keys[name].kind == "secret" else plain.strip()

    def flag(self, name: str) -> bool:
        """A value that is true or false."""
        text = self.text(name).lower()
        if text not in _FLAGS:
            raise self.error(name, f"is {text!r}; allowed are true and false")
        return _FLAGS[text]

    def number(self, name: str, low: int = 0, high: int = _MOST) -> int:
        """A whole number from `low` to `high`."""
        text = self.text(name)
        if not text.isascii() or not text.isdigit() or not low <= int(text) <= high:
            raise self.error(name, f"is {text!r}; allowed is a whole number from {low} to {high}")
        return int(text)

    def place(self, name: str) -> str:
        """ "file, line 12: key", or "file: key" where it is not written, to start an error with."""
        name = name.replace("<x>", self._database)
        entry = self._entries[name]
        return f"{self.path}, line {entry.line}: {entry.key}" if entry else f"{self.path}: {name}"

    def error(self, name: str, complaint: str) -> ConfigurationError:
        """An error about one key."""
        return ConfigurationError(f"{self.place(name)} {complaint}")

    def is_written(self, name: str) -> bool:
        """Whether the file gives it a value."""
        return self._entries[name.replace("<x>", self._database)] is not None

    def explained(self, idle: Mapping[str, str]) -> tuple[Value, ...]:
        """Every key that counts for this database, and the ignored ones that are written.

        `idle`: why keys change nothing beside the others in the file.
        """
        why = {name.replace("<x>", self._database): reason for name, reason in idle.items()}
        found = []
        for name, key in self._keys.items():
            entry = self._entries[name]
            if entry is None and not key.is_used:
                continue
            found.append(
                Value(name, self._shown(key), _origin(name, entry), why.get(name, "") if key.is_used else key.ours)
            )
        return tuple(found)

    def _shown(self, key: Key) -> str:
        entry = self._entries[key.name]
        if key.kind == "secret" or (entry is not None and is_encrypted(entry.text.strip())):
            return _HIDDEN if self.text(key.name) else ""
        if key.name.endswith(".uri") and self.text(key.name):
            return _HIDDEN  # it may carry a password
        if key.name.endswith(".url.params"):
            return "&".join(map(_without_password, self.text(key.name).split("&")))
        return self.text(key.name)

    def _plain(self, entry: Entry) -> str:
        text = entry.text.strip()
        if not is_encrypted(text):
            if self.secret is not None and text.startswith("ENC("):
                raise ConfigurationError(
                    f"{self.path}, line {entry.line}: {entry.key} begins with ENC( but does not end with ); write the "
                    "encrypted value whole"
                )
            return entry.text
        if self.secret is None:
            raise ConfigurationError(
                f"{self.path}, line {entry.line}: {entry.key} is encrypted, but db.cloud.encryption.type is none: set "
                "it to file or env, where the management secret is"
            )
        try:
            return decrypt(text, self.secret, self.version)
        except CannotDecrypt as problem:
            raise ConfigurationError(
                f"{self.path}, line {entry.line}: {entry.key} cannot be decrypted: {problem}. The management secret "
                "must be the one that cloudstack-setup-databases was given with -m"
            ) from None

    def _chosen(self, key: Key, entries: Mapping[str, Entry]) -> Entry | None:
        written = [entries[name] for name in (key.name, *key.old) if name in entries]
        if len({entry.text.strip() for entry in written}) > 1:
            first, second = written[:2]
            raise ConfigurationError(
                f"{self.path}: {first.key} (line {first.line}) and {second.key} (line {second.line}) are two names of "
                "the same setting, but say different things: remove one of them"
            )
        return written[0] if written else None

    def _refuse_unknown(self, entries: Mapping[str, Entry]) -> None:
        known = all_names()
        for name, entry in entries.items():
            if name.startswith(_CHECKED) and name not in known:
                raise ConfigurationError(
                    f"{self.path}, line {entry.line}: {name} is not a known key; the keys are in docs/reference/"
                    f"db-properties.md{nearest(name, known)}"
                )


def _without_password(parameter: str) -> str:
    """Connector/J takes the passwords of key stores there as well."""
    name, equals, _ = parameter.partition("=")
    return f"{name}={_HIDDEN}" if equals and "password" in name.lower() else parameter


def _origin(name: str, entry: Entry | None) -> str:
    if entry is None:
        return "default"
    return f"line {entry.line}" if entry.key == name else f"line {entry.line} ({entry.key})"
