"""Writes the generated pages of docs/reference from the code; with --check, says which are out of date."""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

from reference_pages import api, cli, configuration, db_properties, hooks, settings, states

REFERENCE = Path(__file__).resolve().parents[2] / "docs" / "reference"
PAGES: dict[str, Callable[[], str]] = {
    "api.md": api.write,
    "cli.md": cli.write,
    "configuration.md": configuration.write,
    "db-properties.md": db_properties.write,
    "hooks.md": hooks.write,
    "settings.md": settings.write,
    "states.md": states.write,
}


def main() -> int:
    """1 if --check found a page that is out of date, else 0."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; status 1 if a page is out of date")
    parser.add_argument("--into", metavar="FOLDER", type=Path, default=REFERENCE, help="where to write")
    parser.add_argument("pages", nargs="*", choices=[[], *PAGES], metavar="PAGE", help="only these (default: all)")
    arguments = parser.parse_args()
    stale = []
    for name in arguments.pages or PAGES:
        text, path = PAGES[name](), arguments.into / name
        if arguments.check:
            if not path.is_file() or path.read_text(encoding="utf-8") != text:
                stale.append(name)
        else:
            path.write_text(text, encoding="utf-8")
    if stale:
        print(f"out of date: {', '.join(stale)}; run: sh contrib/dev/run docs", file=sys.stderr)
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
