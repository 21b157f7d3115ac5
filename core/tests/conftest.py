"""Installs plugin distributions made up on the spot, whole or broken."""

import itertools
import textwrap
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

_numbers = itertools.count(1)


class Site:
    """A folder on the import path in which distributions are installed as pip would leave them."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def install(
        self,
        source: str,
        entry_points: Mapping[str, Mapping[str, str]],
        *,
        name: str = "",
        version: str = "1.0",
        module: str = "",
    ) -> str:
        """Install one distribution with one module, and return the module's name.

        `entry_points`: point → name → class of the module. `name`, `module` are made up unless given.
        """
        number = next(_numbers)
        module = module or f"made_up_plugin_{number}"
        name = name or f"made-up-{number}"
        (self.path / f"{module}.py").write_text(textwrap.dedent(source))
        info = self.path / f"{name.replace('-', '_')}-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        lines = []
        for point, names in entry_points.items():
            lines.append(f"[holdfast.{point}]")
            lines += [f"{word} = {target if ':' in target else f'{module}:{target}'}" for word, target in names.items()]
        (info / "entry_points.txt").write_text("\n".join(lines) + "\n")
        return module


@pytest.fixture
def make_site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], Site]:
    """Makes further folders, each before the earlier ones on the import path."""

    def make() -> Site:
        path = tmp_path / f"site-{next(_numbers)}"
        path.mkdir()
        monkeypatch.syspath_prepend(str(path))
        return Site(path)

    return make


@pytest.fixture
def site(make_site: Callable[[], Site]) -> Site:
    """A folder to install into."""
    return make_site()
