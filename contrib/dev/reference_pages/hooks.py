"""hooks.md: the extension points, from their interfaces."""

import inspect
from collections.abc import Callable, Iterator
from typing import Any

from holdfast.adapter import attributes, contract
from holdfast.hooks.markers import is_optional
from holdfast.hooks.points import POINTS, Point

from reference_pages.markdown import page, prose, table

SELECTION = {
    "one": "one driver, by `driver` in the point's table",
    "many": "all that are enabled",
    "ordered": "an ordered list",
    "per host": "per host",
    "per pool": "per storage pool",
    "service": "those that `[server] services` lists",
    "words": "by its word on the command line",
}


def write() -> str:
    """The page."""
    overview = table(
        ("point", "entry-point group", "interface", "chosen"),
        (
            (
                f"[{point.name}](#{point.name})",
                f"`{point.group}`",
                f"`{point.interface.__module__}.{point.interface.__name__}`",
                SELECTION.get(point.name, SELECTION.get(point.selection, "")),
            )
            for point in POINTS.values()
        ),
    )
    intro = (
        "A driver is a plain class whose methods are marked `@hookimpl` (from `holdfast.hooks.markers`). "
        "It need not subclass the interface, may take fewer arguments, and may leave optional methods out. "
        "The entry-point name is the word in the configuration, and the name of the driver's own table. "
        "Errors are those of `holdfast.errors`."
    )
    return page("Extension points", intro, overview, *(block for point in POINTS.values() for block in _point(point)))


def _point(point: Point) -> Iterator[str]:
    yield f"## {point.name}"
    yield prose(point.interface.__doc__)
    names = attributes(point.interface)
    if names:
        yield "Attributes that a driver may set:"
        yield "\n".join(f"- `{name}` (default `{getattr(point.interface, name)!r}`)" for name in names)
    for name, method in contract(point.interface).items():
        yield f"### {point.name}.{name}"
        yield f"```python\n{_declaration(name, method)}\n```"
        yield prose(method.__doc__)


def _declaration(name: str, method: Callable[..., Any]) -> str:
    signature = inspect.signature(method)
    parameters = ", ".join(_parameter(one) for one in list(signature.parameters.values())[1:])
    word = "async def" if inspect.iscoroutinefunction(method) else "def"
    note = "  # optional" if is_optional(method) else ""
    return f"{word} {name}({parameters}) -> {_type(signature.return_annotation)}{note}"


def _parameter(parameter: inspect.Parameter) -> str:
    return f"{parameter.name}: {_type(parameter.annotation)}"


def _type(annotation: Any) -> str:
    text = inspect.formatannotation(annotation)
    for prefix in ("collections.abc.", "typing."):
        text = text.replace(prefix, "")
    words = [word.rpartition(".")[2] if word.startswith("holdfast.") else word for word in _split(text)]
    return "".join(words)


def _split(text: str) -> Iterator[str]:
    word = ""
    for letter in text:
        if letter.isalnum() or letter in "._":
            word += letter
            continue
        yield word
        yield letter
        word = ""
    yield word
