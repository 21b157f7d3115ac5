"""The plugins of one process: found by name, checked, constructed on first use, and kept.

Nothing that the configuration does not select, and nobody asks for, is ever imported. A plugin that is missing, broken
or ambiguous raises `PluginError` at the moment it is asked for, and again each time after: mending one takes a restart.
"""

import logging
import threading
import time
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from holdfast.adapter import adapt, contract, faults, offers
from holdfast.config import Config, choice_name, from_document
from holdfast.discovery import Catalogue, Entry, describe, discover, extension_point
from holdfast.errors import ConfigurationError, PluginError
from holdfast.hooks.markers import is_optional
from holdfast.hooks.points import POINTS
from holdfast.options import Option, read_options
from holdfast.wording import listed

log = logging.getLogger("holdfast.plugins")

TOLERANT_POINTS = frozenset({"provider", "oobm", "heartbeat", "hypervisor", "notifier"})
"""Points whose broken plugins `on_plugin_error = "mark-ineligible"` lets the process start without. Without the others
it could not keep its promises: a missing placement filter, say, would put VMs where they must not run."""


class Plugins:
    """Drivers by extension point and name. Safe to use from several threads at once.

    `driver` gives adapters: they have every method and attribute of the interface, whatever the driver itself has.
    """

    def __init__(self, config: Config | None = None, catalogue: Catalogue | None = None) -> None:
        """Reads metadata only. Without a `config` the built-in defaults apply; `catalogue` is for tests."""
        self.catalogue = catalogue or discover()
        self.config = config or from_document({}, catalogue=self.catalogue)
        self._ready: dict[tuple[str, str], Any] = {}
        self._classes: dict[tuple[str, str], type] = {}
        self._failures: dict[tuple[str, str], str] = {}
        self._locks: dict[tuple[str, str], threading.RLock] = {}

    def names(self, point: str) -> tuple[str, ...]:
        """Names installed for `point`, sorted. Imports nothing."""
        return self.catalogue.names(point)

    def has(self, point: str, name: str) -> bool:
        """Whether that name is installed; it may still be broken. Imports nothing."""
        return bool(self.catalogue.claims(point, name))

    def selected(self, point: str) -> tuple[str, ...] | None:
        """Names that the configuration chose for `point`, in order; None if it leaves the choice to hosts or pools."""
        return self.config.selected(point)

    def driver(self, point: str, name: str | None = None) -> Any:
        """The driver of that name; without a name, the one that the configuration chose for a point with one choice.

        Imports and constructs it at the first call, which may block; later calls return the same object.
        """
        if name is None:
            name = self._only_choice(point)
        found = self._ready.get((point, name))
        return found if found is not None else self._once((point, name), self._ready, self._construct)

    def drivers(self, point: str) -> tuple[Any, ...]:
        """The drivers that the configuration chose for `point`, in order.

        With `on_plugin_error = "mark-ineligible"`, broken ones of the tolerant points are left out.
        """
        chosen = self.config.selected(point)
        if chosen is None:
            raise ConfigurationError(f"{self.config.source}: {choice_name(point)} is not set, so no {point} is chosen")
        found = []
        for name in chosen:
            try:
                found.append(self.driver(point, name))
            except PluginError:
                if not self._tolerates(point):
                    raise
        return tuple(found)

    def driver_class(self, point: str, name: str) -> type:
        """The driver's class, imported and found to keep its contract, but not constructed."""
        return self._once((point, name), self._classes, self._import)  # type: ignore[no-any-return]

    def settings(self, point: str, name: str) -> Mapping[str, Any]:
        """What the driver is constructed with: its own table, checked against its `SETTINGS` if it declares them.

        An option named `data_dir` or `key_file` takes the value of `[server]` unless the table gives one. A driver that
        declares nothing gets its table as written with `data_dir` added; a store, which keeps secrets, `key_file` too.
        """
        options = declared(self.driver_class(point, name))
        table, server = self.config.table(point, name), self.config.server
        shared: dict[str, Any] = {"data_dir": server.data_dir, "key_file": server.key_file}
        if options is None:
            given = shared if point == "store" else {"data_dir": server.data_dir}
            return MappingProxyType({**given, **table})
        given = {key: value for key, value in shared.items() if key in options}
        place = self.config.place(point, name)
        return MappingProxyType(read_options(options, {**given, **table}, place, server.data_dir))

    def check_selected(self) -> list[ConfigurationError]:
        """Import and verify everything that the configuration selects, and its settings; construct nothing.

        Raises the first error, or returns those that the configuration says to start without.
        """
        return self._each_selected(self.settings, tuple(POINTS))

    def load_selected(self, *points: str) -> list[ConfigurationError]:
        """Construct everything selected, at these points or all, so that trouble shows at start and not at fence time.

        Raises the first error, or returns those that the configuration says to start without.
        """
        return self._each_selected(self.driver, points or tuple(POINTS))

    def close(self, seconds: float) -> None:
        """Let every driver that has an optional `close` let go of what it keeps. Blocks for at most `seconds`.

        Each is closed alone: one that hangs or raises is logged, and delays no other.
        """
        threads = {}
        for (point, name), driver in list(self._ready.items()):
            spec = contract(POINTS[point].interface).get("close")
            if spec is not None and is_optional(spec) and offers(POINTS[point].interface, driver, "close"):
                label = f'{point} "{name}"'
                threads[label] = threading.Thread(target=_closed, args=(label, driver.close), daemon=True)
        for thread in threads.values():
            thread.start()
        until = time.monotonic() + seconds
        for label, thread in threads.items():
            thread.join(max(0.0, until - time.monotonic()))
            if thread.is_alive():
                log.error("%s did not close within %g s; going on without it", label, seconds)

    def _each_selected(self, do: Callable[[str, str], object], points: tuple[str, ...]) -> list[ConfigurationError]:
        tolerated = []
        for point in points:
            for name in self.config.selected(point) or ():
                try:
                    do(point, name)
                except ConfigurationError as error:
                    if not self._tolerates(point):
                        raise
                    tolerated.append(error)
        return tolerated

    def _tolerates(self, point: str) -> bool:
        return point in TOLERANT_POINTS and self.config.server.on_plugin_error == "mark-ineligible"

    def _only_choice(self, point: str) -> str:
        chosen = self.config.selected(point)
        if chosen is None or len(chosen) != 1:
            raise PluginError(f"{point} has no single choice: ask for a driver by name, or for all with drivers()")
        return chosen[0]

    def _once(self, key: tuple[str, str], kept: dict[tuple[str, str], Any], make: Any) -> Any:
        # One lock for each plugin: one that hangs while it is imported delays only those who wait for it.
        with self._locks.setdefault(key, threading.RLock()):
            if key in kept:
                return kept[key]
            if key in self._failures:
                raise PluginError(self._failures[key])
            try:
                kept[key] = make(*key)
            except PluginError as error:
                self._failures[key] = str(error)
                raise
            return kept[key]

    def _find(self, point: str, name: str) -> Entry:
        chosen = self.config.selected(point)
        group, selection = extension_point(point).group, extension_point(point).selection
        if selection.startswith("per ") and chosen is not None and name not in chosen:
            raise PluginError(
                f'plugin {point} "{name}" (group {group}) is not enabled: {self.config.source}: {choice_name(point)} '
                f"lists {listed(chosen)}. Add it there and restart; run next: holdfast config check"
            )
        try:
            return self.catalogue.find(point, name)
        except PluginError as error:
            if chosen is None or name not in chosen:
                raise
            raise PluginError(f"{self.config.source}: {choice_name(point)}: {error}") from error

    def _import(self, point: str, name: str) -> type:
        entry = self._find(point, name)
        return verified_class(self.catalogue, entry)

    def _construct(self, point: str, name: str) -> Any:
        driver_class = self.driver_class(point, name)
        entry = self.catalogue.find(point, name)
        others = self.catalogue.names(point)
        try:
            driver = driver_class() if point == "command" else driver_class(self.settings(point, name))
        except ConfigurationError as error:
            raise entry.misconfigured(str(error)) from error
        except (Exception, SystemExit) as error:
            raise entry.error(f"cannot be constructed: {describe(error)}", others) from error
        label = f'<{point} "{name}" of {entry.distribution} {entry.version}>'
        return adapt(POINTS[point], driver, label)


def _closed(label: str, close: Callable[[], object]) -> None:
    try:
        close()
    except Exception:
        log.exception("%s failed to close; going on", label)


def verified_class(catalogue: Catalogue, entry: Entry) -> type:
    """Import an entry's class and check that it keeps its contract; `PluginError` names every fault found."""
    others = catalogue.names(entry.point)
    driver_class = catalogue.load(entry)
    try:
        found = faults(POINTS[entry.point], driver_class)
        declared(driver_class)
    except (Exception, SystemExit) as error:
        raise entry.error(f"cannot be checked: {describe(error)}", others) from error
    if found:
        raise entry.error("; ".join(found), others)
    return driver_class


def declared(driver_class: type) -> Mapping[str, Option] | None:
    """The options that a driver's class declares in `SETTINGS`, or None if it declares none."""
    options = getattr(driver_class, "SETTINGS", None)
    if options is None:
        return None
    if not isinstance(options, Mapping) or not all(isinstance(option, Option) for option in options.values()):
        raise TypeError("SETTINGS must map names to holdfast.options.Option")
    return options
