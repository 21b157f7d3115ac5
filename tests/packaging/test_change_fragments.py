"""Change fragments are named so that towncrier finds them."""

import importlib.util
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SPEC = importlib.util.spec_from_file_location("check_fragments", ROOT / "contrib" / "dev" / "check_fragments.py")
assert SPEC is not None
assert SPEC.loader is not None
check_fragments = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(check_fragments)


def test_the_fragments_are_well_named() -> None:
    """Those in docs/changes now."""
    assert check_fragments.problems(ROOT / "docs" / "changes", check_fragments.known_kinds()) == []


@pytest.mark.parametrize("name", ["fix.md", "Fix_it.fixed.md", "fix-it.repaired.md", "fix-it.fixed.rst"])
def test_a_bad_name_is_found(tmp_path: Path, name: str) -> None:
    """A fragment that towncrier ignores would be lost without a word."""
    (tmp_path / name).write_text("It works.", encoding="utf-8")
    assert len(check_fragments.problems(tmp_path, check_fragments.known_kinds())) == 1


def test_an_empty_fragment_is_found(tmp_path: Path) -> None:
    """It would become an empty line of the change log."""
    (tmp_path / "fix-it.fixed.md").write_text("\n", encoding="utf-8")
    assert check_fragments.problems(tmp_path, check_fragments.known_kinds()) == ["fix-it.fixed.md: is empty"]
