"""Checks the names of change fragments: `docs/changes/<name>.<kind>.md`, with a kind that towncrier knows."""

import re
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
NAME = re.compile(r"\+?[a-z0-9]+(?:-[a-z0-9]+)*\.([a-z]+)(?:\.[0-9]+)?\.md")
KEPT = frozenset({"README.md", ".gitignore"})


def problems(folder: Path, kinds: frozenset[str]) -> list[str]:
    """One sentence per badly named or empty fragment."""
    found = []
    for path in sorted(folder.iterdir()):
        if path.name in KEPT:
            continue
        match = NAME.fullmatch(path.name)
        if match is None:
            found.append(f"{path.name}: not named <words-with-dashes>.<kind>.md")
        elif match[1] not in kinds:
            found.append(f"{path.name}: kind {match[1]!r} is none of {', '.join(sorted(kinds))}")
        elif not path.read_text(encoding="utf-8").strip():
            found.append(f"{path.name}: is empty")
    return found


def known_kinds() -> frozenset[str]:
    """The kinds that the root's towncrier table names."""
    table = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    return frozenset(kind["directory"] for kind in table["tool"]["towncrier"]["type"])


def main() -> int:
    """Print what is wrong; 1 if anything is."""
    found = problems(ROOT / "docs" / "changes", known_kinds())
    for line in found:
        print(f"docs/changes/{line}", file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
