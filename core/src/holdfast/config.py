"""The configuration: what a Holdfast process is made of and where its things are.

One TOML file, read once at start. How Holdfast behaves (timeouts, thresholds) is not here: those are the global
settings, kept in the database so that all management servers share them.
"""

import os
import socket
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from holdfast.config_layout import CHOICES, PROCESS, WELL_KNOWN_SERVICES, Choice
from holdfast.discovery import Catalogue, discover
from holdfast.errors import ConfigurationError
from holdfast.options import kind_of, read_options
from holdfast.wording import listed, nearest

SYSTEM_FILE = Path("/etc/holdfast/holdfast.toml")
FILE_VARIABLE = "HOLDFAST_CONFIG"
BUILT_IN = "(built-in defaults)"


@dataclass(frozen=True, slots=True)
class ServerConfig:
    """The table `[server]`: the process itself."""

    name: str
    data_dir: Path
    key_file: Path
    services: tuple[str, ...]
    log_level: str
    on_plugin_error: str


@dataclass(frozen=True, slots=True)
class Config:
    """A checked configuration. `source` is the file it came from, or "(built-in defaults)".

    `selection` maps an extension point to the names chosen there, in order. A point that is chosen per host or pool is
    absent unless the file lists what is enabled. `tables` maps (point, name) to that plugin's own table as written.
    `written` names the keys that the file gives, as "table.key".
    """

    source: str
    server: ServerConfig
    selection: Mapping[str, tuple[str, ...]]
    tables: Mapping[tuple[str, str], Mapping[str, Any]] = field(repr=False)
    written: frozenset[str] = frozenset()

    def selected(self, point: str) -> tuple[str, ...] | None:
        """Names chosen for `point`, in order; None where the choice is made per host or pool, or by name."""
        return self.selection.get(point)

    def table(self, point: str, name: str) -> Mapping[str, Any]:
        """The plugin's own table as written, empty if there is none."""
        return self.tables.get((point, name), MappingProxyType({}))

    def place(self, point: str, name: str) -> str:
        """Where that table stands: "file: table", the start of every complaint about it."""
        return f"{self.source}: {table_name(point, name)}"


def choice_name(point: str) -> str:
    """The key that chooses at `point`, as "table.key"."""
    return "server.services" if point == "service" else f"{point}.{CHOICES[point].key}"


def table_name(point: str, name: str) -> str:
    """The name of a plugin's own table: a service's is its bare name, any other's is "point.name"."""
    return name if point == "service" else f"{point}.{name}"


def find_file(given: str | Path | None = None, environ: Mapping[str, str] | None = None) -> tuple[Path | None, str]:
    """Which file is read, and why: `--config`, else HOLDFAST_CONFIG, else the system's, else none at all."""
    environ = os.environ if environ is None else environ
    if given is not None:
        return Path(given), "given by --config"
    if environ.get(FILE_VARIABLE):
        return Path(environ[FILE_VARIABLE]), f"named by {FILE_VARIABLE}"
    if SYSTEM_FILE.exists():
        return SYSTEM_FILE, "the system's file"
    return None, f"no --config, no {FILE_VARIABLE}, no {SYSTEM_FILE}"


def load_config(
    given: str | Path | None = None,
    environ: Mapping[str, str] | None = None,
    catalogue: Catalogue | None = None,
) -> Config:
    """Read and check the configuration. `ConfigurationError` names file, table.key, what was found, what is allowed.

    `catalogue` tells which plugins' tables may stand in the file; no plugin is imported.
    """
    path, why = find_file(given, environ)
    if path is None:
        return from_document({}, BUILT_IN, catalogue)
    try:
        with path.open("rb") as stream:
            document = tomllib.load(stream)
    except OSError as error:
        raise ConfigurationError(
            f"configuration file {path} ({why}) cannot be read: {error.strerror}; give a readable file with --config"
        ) from error
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"configuration file {path} is not UTF-8 text: {error.reason}") from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"configuration file {path} is not valid TOML: {error}") from error
    return from_document(document, str(path), catalogue)


def from_document(document: Mapping[str, Any], source: str = BUILT_IN, catalogue: Catalogue | None = None) -> Config:
    """A checked configuration from what a TOML file says; missing parts take the built-in defaults."""
    catalogue = catalogue or discover()
    remaining = {key: _table(value, f"{source}: {key}") for key, value in document.items()}
    written = frozenset(f"{table}.{key}" for table, keys in remaining.items() for key in keys)
    server = _server(remaining.pop("server", {}), source)
    tables: dict[tuple[str, str], Mapping[str, Any]] = {}
    selection = {"service": server.services}
    for point, choice in CHOICES.items():
        section = remaining.pop(point, {})
        chosen = _chosen(point, choice, section, source)
        if chosen is not None:
            selection[point] = chosen
        tables.update(_own_tables(point, choice, section, source, catalogue))
    tables.update(_service_tables(remaining, server, source, catalogue))
    return Config(source, server, MappingProxyType(selection), MappingProxyType(tables), written)


def _table(value: Any, where: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise ConfigurationError(f"{where} is {kind_of(value)}; allowed is a table, as in [{where.rsplit(' ', 1)[-1]}]")
    return value


def _server(table: Mapping[str, Any], source: str) -> ServerConfig:
    # The data directory first: other paths are relative to it.
    first = read_options({"data_dir": PROCESS["data_dir"]}, _only(table, "data_dir"), f"{source}: server", Path.cwd())
    data_dir = first["data_dir"] if "data_dir" in table else default_data_dir()
    values = read_options(PROCESS, table, f"{source}: server", data_dir)
    values["data_dir"] = data_dir
    values["name"] = values["name"] or socket.gethostname()
    return ServerConfig(**values)


def default_data_dir() -> Path:
    """Where data goes if nothing is said: the system's place for root, else the user's own."""
    if os.geteuid() == 0:
        return Path("/var/lib/holdfast")
    home = os.environ.get("XDG_DATA_HOME")
    return (Path(home) if home else Path.home() / ".local" / "share") / "holdfast"


def _only(table: Mapping[str, Any], key: str) -> dict[str, Any]:
    return {key: table[key]} if key in table else {}


def _chosen(point: str, choice: Choice, section: Mapping[str, Any], source: str) -> tuple[str, ...] | None:
    """The names chosen at one point; None if the file leaves the choice to each host or pool."""
    where = f"{source}: {point}"
    values = read_options({choice.key: choice.option}, _only(section, choice.key), where, Path())
    value = values[choice.key]
    if value is None:
        return None
    return (value,) if isinstance(value, str) else tuple(value)


def _own_tables(
    point: str, choice: Choice, section: Mapping[str, Any], source: str, catalogue: Catalogue
) -> Iterator[tuple[tuple[str, str], Mapping[str, Any]]]:
    installed = catalogue.names(point)
    for key, value in section.items():
        if key == choice.key:
            continue
        where = f"{source}: {point}.{key}"
        if not isinstance(value, Mapping):
            hint = nearest(key, [choice.key])
            raise ConfigurationError(
                f"{where} is not a known key{hint}. Known: {choice.key}, and a table for each of: {listed(installed)}"
            )
        _known(key, installed, f"{where} is a table for a plugin {key!r}", point)
        yield (point, key), MappingProxyType(dict(value))


def _service_tables(
    remaining: Mapping[str, Mapping[str, Any]], server: ServerConfig, source: str, catalogue: Catalogue
) -> Iterator[tuple[tuple[str, str], Mapping[str, Any]]]:
    services = sorted({*server.services, *catalogue.names("service"), *WELL_KNOWN_SERVICES})
    known = ["server", *CHOICES, *services]
    for name, table in remaining.items():
        if name not in services:
            raise ConfigurationError(
                f"{source}: [{name}] is not a known table{nearest(name, known)}. Known tables: {listed(known)}"
            )
        yield ("service", name), MappingProxyType(dict(table))


def _known(name: str, installed: tuple[str, ...], complaint: str, point: str) -> None:
    if name not in installed:
        raise ConfigurationError(
            f"{complaint}, which is not installed{nearest(name, installed)}. Installed for {point}: "
            f"{listed(installed)}. Run next: holdfast plugins list"
        )
