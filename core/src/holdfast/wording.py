"""How error messages list what there is and point at the nearest name."""

from collections.abc import Iterable
from difflib import get_close_matches


def listed(names: Iterable[str]) -> str:
    """The names, comma-separated, or "(none)"."""
    return ", ".join(names) or "(none)"


def nearest(wrong: str, names: Iterable[str]) -> str:
    """ "; did you mean X?", or nothing if no name is near."""
    found = get_close_matches(wrong.lower(), list(names), n=1, cutoff=0.6)
    return f'; did you mean "{found[0]}"?' if found else ""
