"""`holdfast config check`: every effective value, where it comes from, and whether all of it can work."""

import argparse
import json
import sys
from collections.abc import Iterator
from typing import Any

from holdfast.commands.tables import table
from holdfast.config import Config, find_file, load_config, table_name
from holdfast.config_layout import CHOICES, PROCESS
from holdfast.errors import ConfigurationError
from holdfast.hooks.store import Query, Store
from holdfast.model import ClusterDetail, Configuration
from holdfast.options import shown
from holdfast.plugins import Plugins
from holdfast.settings import Settings, contradictions


def configure(parser: argparse.ArgumentParser) -> None:
    """Add `check`."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    check = actions.add_parser("check", help="show every effective value and verify the selected plugins")
    check.add_argument("--config", metavar="FILE", default=argparse.SUPPRESS, help="configuration file")
    check.add_argument("--json", action="store_true", help="print JSON")
    check.add_argument(
        "--stored", action="store_true", help="also open the database and check the global settings kept there"
    )


def run(arguments: argparse.Namespace) -> int:
    """Print the values; a configuration that cannot work raises `ConfigurationError`."""
    path, why = find_file(arguments.config)
    config = load_config(arguments.config)
    plugins = Plugins(config)
    rows = [*effective(config, plugins), *_explained(plugins)]
    if arguments.json:
        sys.stdout.write(json.dumps({"file": str(path or ""), "why": why, "values": rows}, indent=2) + "\n")
    else:
        sys.stdout.write(f"configuration: {config.source} ({why})\n\n")
        sys.stdout.write(table(rows, ("key", "value", "from")))
    if arguments.stored:
        check_stored(plugins)
    if not arguments.json:
        sys.stdout.write("\nno faults found\n")
    return 0


def effective(config: Config, plugins: Plugins) -> Iterator[dict[str, str]]:
    """One row per key with its value and origin. Imports and verifies each selected plugin, constructs none of them."""
    for key in PROCESS:
        yield _row(config, "server", key, getattr(config.server, key))
    for point, choice in CHOICES.items():
        chosen = config.selected(point)
        value: Any = "any installed" if chosen is None else (chosen[0] if choice.key == "driver" else chosen)
        yield _row(config, point, choice.key, value)
    for point, name in sorted({*_selections(config), *config.tables}):
        if point == "service" and not plugins.has(point, name) and name not in config.server.services:
            continue  # a shared file may hold the table of a service that this machine does not have
        for key, value in plugins.settings(point, name).items():
            yield _row(config, table_name(point, name), key, value, written=key in config.table(point, name))


def _explained(plugins: Plugins) -> Iterator[dict[str, str]]:
    """What the database driver reads from a file of its own; making the driver finds what is wrong there."""
    for key, value, origin in plugins.driver("database").explain():
        yield {"key": key, "value": value, "from": origin}


def _selections(config: Config) -> Iterator[tuple[str, str]]:
    for point, names in config.selection.items():
        for name in names:
            yield point, name


def _row(config: Config, section: str, key: str, value: Any, written: bool | None = None) -> dict[str, str]:
    name = f"{section}.{key}"
    from_file = name in config.written if written is None else written
    return {"key": name, "value": shown(name, value), "from": config.source if from_file else "default"}


def check_stored(plugins: Plugins) -> None:
    """Read the stored global settings and raise `ConfigurationError` naming each that cannot be read or contradicts."""
    database, store = plugins.driver("database"), plugins.driver("store")
    store.bind(database)
    try:
        found = stored_faults(store)
    finally:
        store.close()
        database.close()
    if found:
        raise ConfigurationError("stored global settings: " + "; ".join(found))


def stored_faults(store: Store) -> list[str]:
    """What is wrong with the settings that the store keeps, cluster by cluster, one sentence each."""
    stored = {row.name: row.value for row in store.select(Configuration, Query())}
    scoped: dict[tuple[str, int], dict[str, str]] = {}
    for row in store.select(ClusterDetail, Query()):
        scoped.setdefault(("Cluster", row.cluster_id), {})[row.name] = row.value
    settings = Settings(stored, scoped)
    found = contradictions(settings, (0, *(cluster for _scope, cluster in sorted(scoped))))
    return [*dict.fromkeys(settings.problems), *found]
