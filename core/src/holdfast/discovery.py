"""Which plugins are installed, and their classes: metadata for all of them, an import only for the one asked for.

stevedore does the finding and loading; this module feeds it entry points read afresh from the installed metadata, since
its own cache on disk can outlive an upgrade.
"""

import importlib
import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from importlib.metadata import Distribution, EntryPoint, distributions
from typing import Any

from stevedore.named import NamedExtensionManager

from holdfast.errors import PluginError
from holdfast.hooks.points import POINTS, Point
from holdfast.log_output import redact
from holdfast.wording import listed, nearest

log = logging.getLogger(__name__)

NEXT_COMMAND = "holdfast plugins check"
"""What every `PluginError` tells the reader to run next."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry point: what is installed under `name` at `point`. `target` is "module:Class"."""

    point: str
    name: str
    target: str
    distribution: str
    version: str
    entry_point: EntryPoint = field(repr=False, compare=False)

    def error(self, cause: str, others: Iterable[str]) -> "BrokenPlugin":
        """A `PluginError` that says which plugin, where it comes from, what is wrong and what to do next."""
        return BrokenPlugin(
            redact(cause),
            f'plugin {self.point} "{self.name}" (group holdfast.{self.point}, distribution {self.distribution} '
            f"{self.version}, {self.target}): {redact(cause)}. Installed for {self.point}: {listed(others)}. "
            f"Run next: {NEXT_COMMAND}",
        )

    def misconfigured(self, cause: str) -> "BrokenPlugin":
        """The plugin is sound, and does not take its settings. Its own words say what to do next."""
        text = f'plugin {self.point} "{self.name}" ({self.distribution} {self.version}): {redact(cause)}'
        return BrokenPlugin(redact(cause), text)


class BrokenPlugin(PluginError):
    """An installed plugin cannot be used. `cause` is what is wrong with it, without the rest of the text."""

    def __init__(self, cause: str, text: str) -> None:
        super().__init__(text)
        self.cause = cause


class Catalogue:
    """All entry points of Holdfast's groups, as installed at one instant. Making one imports no plugin."""

    def __init__(self, entries: Iterable[Entry]) -> None:
        self.entries: tuple[Entry, ...] = tuple(
            sorted(entries, key=lambda entry: (entry.point, entry.name, entry.distribution))
        )
        self._by_name: dict[tuple[str, str], list[Entry]] = {}
        for entry in self.entries:
            self._by_name.setdefault((entry.point, entry.name), []).append(entry)

    def names(self, point: str) -> tuple[str, ...]:
        """Names installed for `point`, sorted, each once."""
        return tuple(name for at, name in sorted(self._by_name) if at == point)

    def claims(self, point: str, name: str) -> tuple[Entry, ...]:
        """Every entry that claims this name; more than one is an error for whoever selects it."""
        return tuple(self._by_name.get((point, name), ()))

    def find(self, point: str, name: str) -> Entry:
        """The one entry of that name, or `PluginError` if there is none or several."""
        claims = self.claims(point, name)
        if not claims:
            there, group = self.names(point), extension_point(point).group
            raise PluginError(
                f'plugin {point} "{name}" (group {group}) is not installed{nearest(name, there)}.'
                f" Installed for {point}: {listed(there)}. Install the distribution that offers it, or choose another; "
                f"run next: {NEXT_COMMAND}"
            )
        if len(claims) > 1:
            rivals = ", ".join(f"{entry.distribution} {entry.version} ({entry.target})" for entry in claims)
            cause = f"the name is claimed {len(claims)} times, by {rivals}; uninstall all but one"
            raise claims[0].error(cause, self.names(point))
        return claims[0]

    def load(self, entry: Entry) -> type:
        """Import the entry's class; whatever goes wrong comes out as `PluginError` with its cause."""
        failure: list[BaseException] = []
        try:
            finder = _Finder(entry, failure)
        except (Exception, SystemExit) as error:  # stevedore lets AssertionError through; a module may call sys.exit
            failure.append(error)
        if failure:
            cause = f"cannot be imported: {describe(failure[0])}"
            raise entry.error(cause, self.names(entry.point)) from failure[0]
        loaded: Any = finder[entry.name].plugin
        if not isinstance(loaded, type):
            cause = f"is not a class but {type(loaded).__name__}"
            raise entry.error(cause, self.names(entry.point))
        return loaded


class _Finder(NamedExtensionManager[Any]):
    """stevedore, told exactly which entry points there are."""

    def __init__(self, entry: Entry, failure: list[BaseException]) -> None:
        self._entry = entry
        super().__init__(
            extension_point(entry.point).group,
            [entry.name],
            on_load_failure_callback=lambda _manager, _entry_point, error: failure.append(error),
            on_missing_entrypoints_callback=None,
        )

    def list_entry_points(self) -> list[EntryPoint]:
        return [self._entry.entry_point]


def discover() -> Catalogue:
    """Read the metadata of everything installed, now. Imports no plugin; unreadable metadata is logged and skipped."""
    importlib.invalidate_caches()
    return Catalogue(entry for installed in _installed() for entry in _entries(*installed))


def describe(error: BaseException) -> str:
    """The kind and text of an error on one line."""
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def extension_point(name: str) -> Point:
    """The extension point of that name, or `PluginError` naming those there are."""
    try:
        return POINTS[name]
    except KeyError:
        raise PluginError(f'there is no extension point "{name}"; there are: {listed(POINTS)}') from None


def _installed() -> Iterator[tuple[Distribution, str, str]]:
    """Each distribution once, with name and version: the first on the path hides later ones of the same name, as it
    does for imports."""
    seen = set()
    for distribution in distributions():
        name, version = _identity(distribution)
        key = name.lower().replace("_", "-").replace(".", "-")
        if key not in seen:
            seen.add(key)
            yield distribution, name, version


def _identity(distribution: Distribution) -> tuple[str, str]:
    """Name and version, of the head of the metadata alone: to parse every long description below it, as
    `Distribution.metadata` does, takes most of the time in which a command starts."""
    # Those are the names that the file goes by, in the order that importlib.metadata looks for them.
    text = next((text for name in ("METADATA", "PKG-INFO", "") if (text := distribution.read_text(name))), "")
    fields: dict[str, str] = {}
    for line in text.partition("\n\n")[0].splitlines():
        key, _, value = line.partition(":")
        fields.setdefault(key.lower(), value.strip())
    # A half-removed distribution has no METADATA; what is left of it must not hide anything else.
    name = fields.get("name") or f"(unnamed, {getattr(distribution, '_path', 'unknown place')})"
    return name, fields.get("version") or "(no version)"


def _entries(distribution: Distribution, name: str, version: str) -> Iterator[Entry]:
    groups = {point.group: point.name for point in POINTS.values()}
    try:
        found = [entry_point for entry_point in distribution.entry_points if entry_point.group in groups]
    except Exception as error:
        log.warning("metadata of %s cannot be read and is skipped: %s", name, describe(error))
        return
    for entry_point in dict.fromkeys(found):
        point = groups[entry_point.group]
        yield Entry(point, entry_point.name, entry_point.value, name, version, entry_point)
