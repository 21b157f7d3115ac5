"""Which tables and keys the configuration file has, apart from the plugins' own; the reference is made from this."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from holdfast.options import Option

WELL_KNOWN_SERVICES = ("agents", "manager", "api", "webui", "agent")
"""Services whose tables may stand in a file shared by machines that do not all have them installed."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,254}")


def _good_name(value: str) -> str:
    if not value or _NAME.fullmatch(value):
        return ""
    return "allowed are letters, digits, dots, hyphens and underscores, at most 255, a letter or digit first"


def _distinct(value: tuple[str, ...]) -> str:
    twice = sorted({name for name in value if value.count(name) > 1})
    return f"{', '.join(twice)} stands there more than once" if twice else ""


def _some(value: tuple[str, ...]) -> str:
    return _distinct(value) if value else "at least one name is needed"


PROCESS: dict[str, Option] = {
    "name": Option(str, "", "this server's name among its peers; the machine's name if empty", check=_good_name),
    "data_dir": Option(
        Path, None, "where the process keeps its files; must be absolute or relative to where it starts"
    ),
    "key_file": Option(Path, Path("secret.key"), "the key that BMC secrets are encrypted with at rest"),
    "services": Option(
        tuple, ("agents", "manager", "api"), "what this process runs, started in this order", check=_some
    ),
    "log_level": Option(
        str, "info", "least severe log lines that are written", choices=("debug", "info", "warning", "error")
    ),
    "on_plugin_error": Option(
        str,
        "refuse",
        "what a broken provider, oobm, heartbeat, hypervisor or notifier plugin does to the start: refuse it, or log "
        "the error and leave the hosts that need the plugin without it; all other plugins always refuse",
        choices=("refuse", "mark-ineligible"),
    ),
}
"""The keys of `[server]`."""


@dataclass(frozen=True, slots=True)
class Choice:
    """How the file chooses among the plugins of one point: the key in the point's table, and what it may hold."""

    key: str
    option: Option


def _one(default: str, doc: str) -> Choice:
    return Choice("driver", Option(str, default, doc))


def _enabled(doc: str, default: Any = None) -> Choice:
    return Choice("enabled", Option(tuple, default, doc, check=_distinct))


CHOICES: dict[str, Choice] = {
    "database": _one("sqlite", "where the store finds its connections"),
    "store": _one("sql", "what keeps the tables"),
    "coordinator": _one("local", "who may act on a host, and until when"),
    "placement": Choice(
        "order",
        Option(
            tuple,
            ("scope", "dedicated", "capacity", "anti-affinity", "spread"),
            "filters, then scorers, in the order in which they are asked",
            check=_some,
        ),
    ),
    "notifier": _enabled("all of these get every notice", ("log",)),
    "provider": _enabled("load these at start and allow no others; without it every installed one may be chosen"),
    "oobm": _enabled("load these at start and allow no others; without it every installed one may be chosen"),
    "heartbeat": _enabled("load these at start and allow no others; without it every installed one may be chosen"),
    "hypervisor": _enabled("load these at start and allow no others; without it every installed one may be chosen"),
}
"""Extension points that have a table `[point]`, with the key that chooses. Services stand in `[server] services`."""
