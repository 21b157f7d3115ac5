"""Signatures are those of the Python package `cs`, which CloudStack's users sign with."""

from datetime import UTC, datetime

from cs import CloudStack
from holdfast.model import Secret
from holdfast_cli.client import as_text
from holdfast_cli.signing import signature, signed
from hypothesis import given
from hypothesis import strategies as st

_NAMES = st.text("abcXYZ0123456789[].", min_size=1, max_size=12).filter(lambda name: name != "signature")
_VALUES = st.text(st.characters(codec="utf-8"), max_size=30)
_KEYS = st.text("abcdefGHIJ0123-_", min_size=1, max_size=90)


@given(st.dictionaries(_NAMES, _VALUES, max_size=8), _KEYS)
def test_signs_any_text_as_cs_does(parameters: dict[str, str], secret: str) -> None:
    """Whatever the names and values, both sign alike."""
    theirs = dict(parameters)
    CloudStack("http://127.0.0.1/client/api", "key", secret)._sign(theirs)  # type: ignore[no-untyped-call]

    assert theirs["signature"] == signature(parameters, Secret(secret))


def test_a_signed_call_says_when_it_ends() -> None:
    """Key, version and expiry are part of what is signed."""
    whole = signed({"command": "listZones"}, "key", Secret("secret"), datetime(2026, 1, 31, 23, 55, tzinfo=UTC))
    rest = {name: value for name, value in whole.items() if name != "signature"}

    assert whole["expires"] == "2026-02-01T00:05:00+0000"
    assert whole["signatureVersion"] == "3"
    assert whole["apiKey"] == "key"
    assert whole["signature"] == signature(rest, Secret("secret"))


def test_values_are_written_as_the_api_reads_them() -> None:
    """Booleans, numbers, lists and lists of maps have one spelling each; None is left out."""
    written = as_text({"a": True, "b": 5, "c": ["x", "y"], "d": [{"k": 1}], "e": None, "f": "text"})

    assert written == {"a": "true", "b": "5", "c": "x,y", "d[0].k": "1", "f": "text"}
