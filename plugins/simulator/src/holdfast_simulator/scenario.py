"""Scenario files: a small world, how long it runs, and what goes wrong in it."""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import MISSING, asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from holdfast.errors import ConfigurationError
from holdfast.settings import CATALOGUE
from holdfast.wording import listed, nearest

_FENCES = re.compile(r"1(,[1-4])?|[2-4]")
_LONGEST = 1e6
"""Seconds that anything may last."""


@dataclass(frozen=True, slots=True)
class WorldSize:
    """What there is. Hosts are called h1, h2 …, servers ms1 …, pools p1 …, VMs vm1 …; VMs are spread over the hosts.

    Every host is in one cluster unless `clusters` says otherwise; `spare` hosts at the end start without VMs. Hosts are
    dealt to the clusters in turn, and so are clusters and pools to the `zones`. `fences` says how many fence devices
    each level of a host has: "1" is a BMC, "1,2" a BMC and two switched outlets behind it, "2" two outlets alone.
    """

    hosts: int = 3
    servers: int = 2
    pools: int = 1
    vms: int = 3
    clusters: int = 1
    zones: int = 1
    spare: int = 0
    watchdog: bool = True
    fences: str = "1"

    def devices(self) -> tuple[tuple[int, int, int], ...]:
        """Level, index and how many switched outlets the level has (0: it is a BMC) of each host's fence devices."""
        found: list[tuple[int, int, int]] = []
        for level, text in enumerate(self.fences.split(","), 1):
            outlets = int(text) if level > 1 or int(text) > 1 else 0
            found += [(level, index, outlets) for index in range(int(text))]
        return tuple(found)


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that goes wrong at `at` seconds and is mended `lasts` seconds later (0: only at the end, or never).

    `kind` says which of the other fields count: see `holdfast_simulator.faults.KINDS`.
    """

    at: float
    kind: str
    lasts: float = 0.0
    host: str = ""
    server: str = ""
    pool: str = ""
    vm: str = ""
    way: str = "both"
    mode: str = ""
    amount: float = 0.0
    step: int = 0
    device: str = ""


@dataclass(frozen=True, slots=True)
class Randomness:
    """Ask for a random schedule: up to `faults` faults, of `kinds` (empty: all), within `window` seconds."""

    faults: int = 0
    kinds: tuple[str, ...] = ()
    window: float = 60.0


@dataclass(frozen=True, slots=True)
class Scenario:
    """What to run. `warm_up` passes before the faults' clock starts; `settle` after everything was mended."""

    name: str = "scenario"
    seed: int = 0
    duration: float = 60.0
    warm_up: float = 15.0
    settle: float = 180.0
    world: WorldSize = field(default_factory=WorldSize)
    settings: Mapping[str, str] = field(default_factory=dict)
    random: Randomness = field(default_factory=Randomness)
    faults: tuple[Fault, ...] = ()

    def with_faults(self, faults: tuple[Fault, ...]) -> "Scenario":
        """The same with exactly these faults, in the order of their times."""
        ordered = tuple(sorted(faults, key=lambda fault: (fault.at, fault.kind, fault.host, fault.server)))
        return replace(self, faults=ordered, random=Randomness())


def load_scenario(path: Path) -> Scenario:
    """Read a scenario file; `ConfigurationError` names the file, the field, and what is allowed."""
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as problem:
        raise ConfigurationError(f"{path}: cannot be read: {problem}") from problem
    except tomllib.TOMLDecodeError as problem:
        raise ConfigurationError(f"{path}: not valid TOML: {problem}") from problem
    return read_scenario(document, str(path), path.stem)


def read_scenario(document: Mapping[str, Any], source: str, name: str = "scenario") -> Scenario:
    """A scenario from a parsed document; `source` starts every error."""
    plain = {key: value for key, value in document.items() if key not in ("world", "settings", "random", "fault")}
    _refuse_unknown(document, [*(f.name for f in fields(Scenario) if f.name != "faults"), "fault"], source)
    faults = document.get("fault", [])
    if not isinstance(faults, list):
        raise ConfigurationError(f"{source}: fault must be written as [[fault]] tables")
    scenario = Scenario(
        **{"name": name, **_typed(Scenario, plain, source)},
        world=WorldSize(**_typed(WorldSize, document.get("world", {}), f"{source}: world")),
        settings=_settings(document.get("settings", {}), f"{source}: settings"),
        random=Randomness(**_typed(Randomness, document.get("random", {}), f"{source}: random")),
        faults=tuple(
            Fault(**_typed(Fault, table, f"{source}: fault {number}")) for number, table in enumerate(faults, 1)
        ),
    )
    _check(scenario, source)
    return scenario


def write_scenario(scenario: Scenario) -> str:
    """The text of a scenario file; reading it gives the same scenario."""
    lines = [f"{key} = {_text(getattr(scenario, key))}" for key in ("name", "seed", "duration", "warm_up", "settle")]
    lines += ["", "[world]", *_table(scenario.world)]
    if scenario.settings:
        lines += ["", "[settings]", *(f'"{key}" = {_text(value)}' for key, value in sorted(scenario.settings.items()))]
    if scenario.random.faults:
        lines += ["", "[random]", *_table(scenario.random)]
    for fault in scenario.faults:
        lines += ["", "[[fault]]", *_table(fault)]
    return "\n".join(lines) + "\n"


def _table(value: Any) -> list[str]:
    return [
        f"{key} = {_text(found)}"
        for key, found in asdict(value).items()
        if found != next(f.default for f in fields(value) if f.name == key)
    ]


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'
    if isinstance(value, tuple):
        return "[" + ", ".join(_text(item) for item in value) + "]"
    return repr(value)


def _typed(record: type[Any], table: Any, where: str) -> dict[str, Any]:
    if not isinstance(table, Mapping):
        raise ConfigurationError(f"{where}: must be a table")
    known = {each.name: each for each in fields(record)}
    _refuse_unknown(table, known, where)
    values = {}
    for key, value in table.items():
        values[key] = _one(known[key].type, value, f"{where}.{key}")
    for each in known.values():
        if each.default is MISSING and each.default_factory is MISSING and each.name not in values:
            raise ConfigurationError(f"{where}: {each.name} is missing")
    return values


def _one(wanted: Any, value: Any, where: str) -> Any:
    if wanted is float and type(value) in (int, float):
        return float(value)
    if wanted is tuple[str, ...] or str(wanted).startswith("tuple"):
        if isinstance(value, list) and all(isinstance(item, str) for item in value):
            return tuple(value)
        raise ConfigurationError(f"{where} must be a list of texts, not {value!r}")
    if type(value) is not wanted:
        words = {int: "a whole number", float: "a number", str: "text", bool: "true or false"}
        raise ConfigurationError(f"{where} must be {words.get(wanted, wanted)}, not {value!r}")
    return value


def _refuse_unknown(table: Mapping[str, Any], known: Any, where: str) -> None:
    for key in table:
        if key not in known:
            raise ConfigurationError(
                f"{where}: {key} is not a known field{nearest(key, known)}; known: {listed(known)}"
            )


def _settings(table: Any, where: str) -> dict[str, str]:
    if not isinstance(table, Mapping):
        raise ConfigurationError(f"{where}: must be a table")
    _refuse_unknown(table, CATALOGUE, where)
    found = {}
    for key, value in table.items():
        text = str(value).lower() if isinstance(value, bool) else str(value)
        CATALOGUE[key].parse(text)
        found[key] = text
    return found


def _check(scenario: Scenario, source: str) -> None:
    from holdfast_simulator.faults import check_fault, check_kinds

    for name in ("duration", "warm_up", "settle"):
        value = getattr(scenario, name)
        if not 0 <= value <= _LONGEST:
            raise ConfigurationError(f"{source}: {name} is {value}; allowed is 0 to {_LONGEST:g} s")
    for name, low, high in (("hosts", 1, 1000), ("servers", 1, 20), ("pools", 0, 20), ("vms", 0, 100_000)):
        value = getattr(scenario.world, name)
        if not low <= value <= high:
            raise ConfigurationError(f"{source}: world.{name} is {value}; allowed is {low} to {high}")
    if not _FENCES.fullmatch(scenario.world.fences):
        raise ConfigurationError(
            f'{source}: world.fences is {scenario.world.fences!r}; allowed is "1", "1,N" or "N", N outlets being 1 to 4'
        )
    if not 1 <= scenario.world.clusters <= scenario.world.hosts:
        raise ConfigurationError(f"{source}: world.clusters must be between 1 and the number of hosts")
    if not 1 <= scenario.world.zones <= scenario.world.clusters:
        raise ConfigurationError(f"{source}: world.zones must be between 1 and the number of clusters")
    if not 0 <= scenario.world.spare < scenario.world.hosts:
        raise ConfigurationError(f"{source}: world.spare must leave at least one host for VMs")
    check_kinds(scenario.random.kinds, f"{source}: random.kinds")
    if scenario.random.faults < 0 or not 0 <= scenario.random.window <= _LONGEST:
        raise ConfigurationError(f"{source}: random.faults must not be negative, random.window be 0 to {_LONGEST:g} s")
    for number, fault in enumerate(scenario.faults, 1):
        check_fault(fault, scenario, f"{source}: fault {number}")
