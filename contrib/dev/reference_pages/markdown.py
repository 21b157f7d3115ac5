"""Pieces of Markdown. Every generated page starts with the same note."""

import inspect
from collections.abc import Iterable, Sequence

NOTE = "<!-- Written by `sh contrib/dev/run docs`. Change the code, not this page. -->"


def page(title: str, *blocks: str) -> str:
    """A whole page from its blocks."""
    return "\n\n".join([NOTE, f"# {title}", *(block.strip("\n") for block in blocks if block.strip())]) + "\n"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table; cells may hold any text."""
    lines = [_row(head), "|" + "---|" * len(head)]
    lines += [_row(row) for row in rows]
    return "\n".join(lines)


def code(text: str) -> str:
    """An inline literal, or nothing for an empty text."""
    return f"`{text}`" if text else ""


def prose(docstring: str | None) -> str:
    """A docstring as paragraphs, each sentence flowing; double line breaks are kept."""
    text = inspect.cleandoc(docstring or "")
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in text.split("\n\n"))


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(_cell(cell) for cell in cells) + " |"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
