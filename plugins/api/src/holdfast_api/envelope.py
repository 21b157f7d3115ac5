"""Answers on the wire: one top-level key, as JSON on one line or as XML."""

import json
import re
from collections.abc import Mapping
from typing import Any
from xml.sax.saxutils import escape, quoteattr

VERSION = "4.22.0.0"
"""The CloudStack release whose conventions this API keeps; clients read it from listCapabilities."""

JSON_TYPE = "application/json; charset=UTF-8"
XML_TYPE = "text/xml; charset=UTF-8"

_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")
_HEADER_UNSAFE = re.compile(r"[^\x20-\x7e]")
_LONGEST_HEADER = 1000


def pruned(value: Any) -> Any:
    """The value without the fields that are None."""
    if isinstance(value, Mapping):
        return {key: pruned(inner) for key, inner in value.items() if inner is not None}
    if isinstance(value, (list, tuple)):
        return [pruned(inner) for inner in value]
    return value


def to_json(key: str, value: Any) -> bytes:
    """`{"<key>":<value>}` on one line."""
    text = json.dumps({key: value}, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return text.encode("utf-8", "replace")


def to_xml(key: str, value: Any) -> bytes:
    """The same as XML: lists repeat their element; characters that XML cannot carry become U+FFFD."""
    parts = ['<?xml version="1.0" encoding="UTF-8"?>']
    parts.append(f"<{key} cloud-stack-version={quoteattr(VERSION)}>")
    _append(parts, value)
    parts.append(f"</{key}>")
    return "".join(parts).encode("utf-8")


def _append(parts: list[str], value: Any) -> None:
    if isinstance(value, Mapping):
        for name, inner in value.items():
            for item in inner if isinstance(inner, (list, tuple)) else (inner,):
                _element(parts, str(name), item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            _element(parts, "item", item)
    else:
        parts.append(_text(value))


def _element(parts: list[str], name: str, value: Any) -> None:
    # Details may have names that are no XML names; they travel as an attribute.
    if _NAME.fullmatch(name):
        opening, closing = name, name
    else:
        shown = quoteattr(_NOT_XML.sub("\ufffd", name))
        opening, closing = f"entry name={shown}", "entry"
    parts.append(f"<{opening}>")
    _append(parts, value)
    parts.append(f"</{closing}>")


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return escape(_NOT_XML.sub("\ufffd", "" if value is None else str(value)))


def header_text(text: str) -> str:
    """The text as an HTTP header may carry it."""
    return _HEADER_UNSAFE.sub("?", text)[:_LONGEST_HEADER]
