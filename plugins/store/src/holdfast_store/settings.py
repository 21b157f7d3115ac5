"""Checks of the drivers' settings."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from holdfast.errors import ConfigurationError

MEMORY = ":memory:"


def checked_path(settings: Mapping[str, Any], owner: str, key: str, *, default_name: str) -> Path | None:
    """The path under `key`, else `default_name` in `data_dir`, else None. Other keys are refused."""
    unknown = sorted(set(settings) - {key, "data_dir"})
    if unknown:
        raise ConfigurationError(f"{owner}: unknown setting {', '.join(unknown)}; there are {key} and data_dir")
    for name in (key, "data_dir"):
        if not isinstance(settings.get(name, ""), (str, Path)):
            raise ConfigurationError(f"{owner}: {name} must be a path, not {settings[name]!r}")
    if settings.get(key):
        return Path(settings[key])
    return Path(settings["data_dir"]) / default_name if settings.get("data_dir") else None
