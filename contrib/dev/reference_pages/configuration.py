"""configuration.md: the configuration file, with the tables of the plugins of this workspace."""

import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path

from holdfast.config_layout import CHOICES, PROCESS
from holdfast.discovery import discover
from holdfast.model.secret import Secret
from holdfast.options import REQUIRED, Option

from reference_pages.markdown import code, page, table

ROOT = Path(__file__).resolve().parents[3]


def write() -> str:
    """The page."""
    intro = (
        "The file is `/etc/holdfast/holdfast.toml`, or what `--config FILE` or `HOLDFAST_CONFIG` names. "
        "It says what a process is made of; how Holdfast behaves is in the [global settings](settings.md). "
        "`holdfast config check` shows every value in effect and where it comes from. "
        'A secret is a text, or `{ env = "NAME" }`, or `{ file = "/path" }`.'
    )
    choices = table(
        ("table", "key", "default", "meaning"),
        (
            (f"`[{point}]`", code(choice.key), _default(choice.option), choice.option.doc)
            for point, choice in CHOICES.items()
        ),
    )
    return page(
        "Configuration file",
        intro,
        "## [server]",
        _options(PROCESS),
        "## What is chosen",
        choices,
        "## Tables of plugins",
        *_plugins(),
    )


def _plugins() -> Iterator[str]:
    ours = {
        tomllib.loads(path.read_text(encoding="utf-8"))["project"]["name"]
        for path in sorted(ROOT.glob("plugins/*/pyproject.toml"))
    }
    for entry in discover().entries:
        if entry.distribution not in ours or entry.point == "command":
            continue
        driver = entry.entry_point.load()
        settings, of_one = getattr(driver, "SETTINGS", None), getattr(driver, "BMC_OPTIONS", None)
        if settings:
            place = entry.name if entry.point == "service" else f"{entry.point}.{entry.name}"
            yield f"### [{place}]"
            yield _options(settings)
        if of_one:
            yield "Of a single BMC, as `details[0].KEY=VALUE` of `configureOutOfBandManagement`:"
            yield _bmc_options(of_one)


def _options(options: Mapping[str, Option]) -> str:
    return table(
        ("key", "default", "allowed", "meaning"),
        ((code(key), _default(option), option.allowed(), option.doc) for key, option in options.items()),
    )


def _bmc_options(options: Mapping[str, Option]) -> str:
    rows = (
        (code(key), "text, never shown again" if option.type is Secret else option.allowed(), option.doc)
        for key, option in options.items()
    )
    return table(("key", "allowed", "meaning"), rows)


def _default(option: Option) -> str:
    if option.default is REQUIRED:
        return "*(required)*"
    if option.default is None or isinstance(option.default, Secret):
        return ""
    if isinstance(option.default, tuple):
        return code("[" + ", ".join(f'"{item}"' for item in option.default) + "]")
    if isinstance(option.default, bool):
        return code(str(option.default).lower())
    return code(f'"{option.default}"' if isinstance(option.default, (str, Path)) else str(option.default))
