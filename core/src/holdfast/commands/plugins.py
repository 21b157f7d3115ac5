"""`holdfast plugins list` and `holdfast plugins check`."""

import argparse
import json
import sys
from typing import Any

from holdfast.commands.tables import table
from holdfast.config import Config, load_config
from holdfast.discovery import BrokenPlugin, Catalogue, Entry, discover
from holdfast.errors import ConfigurationError
from holdfast.hooks.points import POINTS
from holdfast.plugins import Plugins, verified_class

RESERVED_WORDS = frozenset({"plugins", "config", "server"})
"""Words of core itself that no plugin has anything to add to. To `agent`, the plugin that is the agent adds `join`."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add `list` and `check`."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    listing = actions.add_parser("list", help="show what is installed; imports nothing")
    checking = actions.add_parser("check", help="import and verify everything installed; status 1 if any is broken")
    for action in (listing, checking):
        action.add_argument("--json", action="store_true", help="print JSON")
        action.add_argument("--config", metavar="FILE", default=argparse.SUPPRESS, help="configuration file")


def run(arguments: argparse.Namespace) -> int:
    """Do what the action says."""
    catalogue = discover()
    config, trouble = _config(arguments, catalogue)
    if trouble:
        sys.stderr.write(f"holdfast: what is selected is not known: {trouble}\n")
    return _list(arguments, catalogue, config) if arguments.action == "list" else _check(arguments, catalogue, config)


def _config(arguments: argparse.Namespace, catalogue: Catalogue) -> tuple[Config | None, str]:
    # A broken configuration is one of the reasons to come here: show what can be shown without it.
    try:
        return load_config(arguments.config, catalogue=catalogue), ""
    except ConfigurationError as error:
        return None, str(error)


def _selected(entry: Entry, config: Config | None) -> bool | None:
    """Whether the configuration selects it; None where hosts, pools or callers choose, or nothing is known."""
    chosen = config.selected(entry.point) if config else None
    return None if chosen is None else entry.name in chosen


def _list(arguments: argparse.Namespace, catalogue: Catalogue, config: Config | None) -> int:
    rows = [
        {
            "point": entry.point,
            "name": entry.name,
            "distribution": entry.distribution,
            "version": entry.version,
            "selected": _selected(entry, config),
        }
        for entry in catalogue.entries
    ]
    if arguments.json:
        sys.stdout.write(json.dumps(rows, indent=2) + "\n")
        return 0
    for row in rows:
        choice = row["selected"]
        unknown = "?" if config is None else str(POINTS[str(row["point"])].selection).replace("words", "by name")
        row["selected"] = unknown if choice is None else ("yes" if choice else "no")
    sys.stdout.write(table(rows, ("point", "name", "distribution", "version", "selected")))
    return 0


def _check(arguments: argparse.Namespace, catalogue: Catalogue, config: Config | None) -> int:
    hub = Plugins(config, catalogue) if config else None
    rows = [_verdict(entry, catalogue, hub) for entry in catalogue.entries]
    broken = [row for row in rows if row["cause"]]
    if arguments.json:
        sys.stdout.write(json.dumps(rows, indent=2) + "\n")
    else:
        for row in rows:
            mark = "BROKEN" if row["cause"] else "ok"
            origin = f"{row['distribution']} {row['version']}"
            cause = f": {row['cause']}" if row["cause"] else ""
            sys.stdout.write(f"{mark:<6} {row['point']} {row['name']} ({origin}){cause}\n")
        sys.stdout.write(f"{len(rows)} checked, {len(broken)} broken\n")
    return 1 if broken else 0


def _verdict(entry: Entry, catalogue: Catalogue, hub: Plugins | None) -> dict[str, Any]:
    row = {"point": entry.point, "name": entry.name, "distribution": entry.distribution, "version": entry.version}
    return {**row, "cause": _cause(entry, catalogue, hub)}


def _cause(entry: Entry, catalogue: Catalogue, hub: Plugins | None) -> str:
    """What is wrong with one entry, or ""; its settings too, if the configuration selects it or has a table for it."""
    if entry.point == "command" and entry.name in RESERVED_WORDS:
        return f"the word {entry.name} belongs to core; the plugin must choose another"
    try:
        catalogue.find(entry.point, entry.name)
        verified_class(catalogue, entry)
        if hub and (_selected(entry, hub.config) or hub.config.table(entry.point, entry.name)):
            hub.settings(entry.point, entry.name)
    except BrokenPlugin as error:
        return error.cause
    except ConfigurationError as error:
        return str(error)
    return ""
