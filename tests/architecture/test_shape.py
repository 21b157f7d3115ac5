"""Modules stay small enough to read, and say by their name what is in them."""

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LONGEST_MODULE = 600
LONGEST_FUNCTION = 60
GRAB_BAGS = frozenset({"base", "common", "helper", "helpers", "misc", "shared_utils", "tools", "util", "utils"})
DATA = frozenset({"core/src/holdfast/settings_catalogue.py"})
"""Tables, one entry per setting: long because there are many settings."""


def _modules() -> Iterator[Path]:
    for pattern in (
        "core/src",
        "plugins/*/src",
        "tests/conformance/src",
        "contrib/lab/src",
        "contrib/plugin-template/src",
    ):
        for folder in sorted(ROOT.glob(pattern)):
            yield from sorted(folder.rglob("*.py"))


def _name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def test_modules_are_short() -> None:
    """None is longer than 600 lines."""
    found = {_name(path): len(path.read_text(encoding="utf-8").splitlines()) for path in _modules()}
    assert {name: lines for name, lines in found.items() if lines > LONGEST_MODULE and name not in DATA} == {}


def test_modules_that_count_as_data_hold_no_code() -> None:
    """The exemption is for tables alone."""
    for name in DATA:
        tree = ast.parse((ROOT / name).read_text(encoding="utf-8"))
        kinds = {type(node).__name__ for node in tree.body}
        assert kinds <= {"Expr", "Import", "ImportFrom", "Assign", "AnnAssign"}, name


def test_functions_are_short() -> None:
    """None is longer than 60 lines, its docstring aside."""
    found = {}
    for path in _modules():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                first = node.body[1] if ast.get_docstring(node) and len(node.body) > 1 else node.body[0]
                lines = (node.end_lineno or 0) - first.lineno + 1
                if lines > LONGEST_FUNCTION:
                    found[f"{_name(path)}:{node.name}"] = lines
    assert found == {}


def test_no_module_is_a_grab_bag() -> None:
    """A module is named after what it holds."""
    assert [_name(path) for path in _modules() if GRAB_BAGS & {path.stem, path.parent.name}] == []


def test_every_module_says_what_it_is_for() -> None:
    """The first line of each file is for the reader."""
    found = []
    for path in _modules():
        text = path.read_text(encoding="utf-8")
        if text.strip() and not ast.get_docstring(ast.parse(text)):
            found.append(_name(path))
    assert found == []


def test_tests_folders_are_no_packages() -> None:
    """Modules of the same name in two tests folders would otherwise hide each other."""
    found = [_name(path) for path in ROOT.glob("*/**/tests/__init__.py") if ".venv" not in path.parts]
    assert found == []
