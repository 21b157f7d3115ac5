"""Every distribution is complete, and the workspace names them all."""

import tomllib
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
MEMBERS = sorted(
    path.parent
    for pattern in ("core", "plugins/*", "tests/conformance", "contrib/lab")
    for path in ROOT.glob(f"{pattern}/pyproject.toml")
)
ALL = [*MEMBERS, ROOT / "contrib" / "plugin-template"]


def _toml(path: Path) -> dict[str, Any]:
    return tomllib.loads(path.read_text(encoding="utf-8"))


def _project(member: Path) -> dict[str, Any]:
    project = _toml(member / "pyproject.toml")["project"]
    assert isinstance(project, dict)
    return project


def test_the_root_lists_every_member() -> None:
    """Otherwise a plain `uv sync` would uninstall the one that is missing."""
    root = _toml(ROOT / "pyproject.toml")
    names = sorted(_project(member)["name"] for member in MEMBERS)
    assert sorted(root["project"]["dependencies"]) == names
    assert sorted(root["tool"]["uv"]["sources"]) == names
    assert all(source == {"workspace": True} for source in root["tool"]["uv"]["sources"].values())


def test_core_depends_on_pluggy_and_stevedore_alone() -> None:
    """Everything else is a plugin."""
    needs = _project(ROOT / "core")["dependencies"]
    assert sorted(need.split(">")[0] for need in needs) == ["pluggy", "stevedore"]


@pytest.mark.parametrize("member", ALL, ids=lambda member: member.name)
def test_a_distribution_is_complete(member: Path) -> None:
    """README, types, licence, description, Python version and build backend are there."""
    project = _project(member)
    assert (member / "README.md").read_text(encoding="utf-8").startswith("# ")
    assert project["readme"] == "README.md"
    assert project["description"].strip()
    assert project["license"] == "Apache-2.0"
    assert project["requires-python"] == ">=3.11"
    assert _toml(member / "pyproject.toml")["build-system"]["build-backend"] == "hatchling.build"
    package = member / "src" / project["name"].replace("-", "_")
    assert (package / "__init__.py").is_file(), "the import name follows the distribution's name"
    assert (package / "py.typed").is_file()


@pytest.mark.parametrize("member", MEMBERS, ids=lambda member: member.name)
def test_members_are_released_together(member: Path) -> None:
    """They share one version, and ask for a core of the same major version."""
    project = _project(member)
    assert project["version"] == _project(ROOT / "core")["version"]
    if member.name != "core":
        assert "holdfast>=0.1,<1" in project["dependencies"]


@pytest.mark.parametrize("member", MEMBERS, ids=lambda member: member.name)
def test_a_distribution_depends_on_no_other_plugin(member: Path) -> None:
    """Plugins meet in core's contracts, not in each other."""
    names = {_project(other)["name"] for other in MEMBERS} - {"holdfast"}
    needs = {need.replace("[", " ").replace(">", " ").split()[0] for need in _project(member)["dependencies"]}
    assert needs & names == set()


@pytest.mark.parametrize("member", MEMBERS, ids=lambda member: member.name)
def test_a_distribution_has_tests(member: Path) -> None:
    """They live beside it."""
    assert list((member / "tests").rglob("test_*.py"))


def test_the_lock_names_public_addresses_only() -> None:
    """A lock made behind a mirror would not install anywhere else."""
    text = (ROOT / "uv.lock").read_text(encoding="utf-8")
    hosts = {part.split("/")[0] for part in text.split("https://")[1:]}
    assert hosts <= {"pypi.org", "files.pythonhosted.org"}
    assert "http://" not in text
    assert "file://" not in text
