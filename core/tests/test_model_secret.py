"""A secret shows itself nowhere but through `reveal()`."""

import copy
import io
import json
import logging
import pickle
import pprint
import traceback
from collections.abc import Callable
from typing import Any

import pytest
from holdfast.model import Oobm, Secret, User
from holdfast.model.views import BmcView
from hypothesis import given
from hypothesis import strategies as st

HIDDEN = "correct-horse-battery"

SHOWN: dict[str, Callable[[Any], str]] = {
    "repr": repr,
    "str": str,
    "f-string": lambda secret: f"{secret}",
    "conversion": lambda secret: f"{secret!r:>40}{secret!s:^40}{secret!a}",
    "padded": lambda secret: f"{secret:>40}",
    "cut": lambda secret: f"{secret:.100}",
    "percent": lambda secret: "%s %r" % (secret, secret),  # noqa: UP031
    "format": "{0} {0!r} {0:s}".format,
    "in a list": lambda secret: str([secret]),
    "in a dictionary": lambda secret: repr({"password": secret, secret: 1}),
    "pprint": pprint.pformat,
    "json with default": lambda secret: json.dumps({"password": secret}, default=str),
    "in a record": lambda secret: repr(Oobm(host_id=1, password=secret)),
    "in a user": lambda secret: repr(User(uuid="u", username="n", password="hash", account_id=1, secret_key=secret)),
    "in a view": lambda secret: repr(BmcView("h", "ipmi", "10.0.0.1", "623", "admin", secret)),
    "in an error": lambda secret: "".join(traceback.format_exception(ValueError("refused", secret))),
}


@pytest.mark.parametrize("way", SHOWN)
def test_no_usual_way_of_showing_shows_it(way: str) -> None:
    """Neither whole nor in part; that there is one may be seen."""
    shown = SHOWN[way](Secret(HIDDEN))
    assert HIDDEN not in shown
    assert "horse" not in shown


@pytest.mark.parametrize("call", ["%s", "%r", "%20s"])
def test_it_is_not_logged(call: str) -> None:
    """As an argument, as the message, or as an extra of a record."""
    stream = io.StringIO()
    logger = logging.Logger("holdfast-test-secret")
    handler = logging.StreamHandler(stream)
    handler.setFormatter(logging.Formatter("%(message)s %(args)s %(extra_field)s", defaults={"extra_field": ""}))
    logger.addHandler(handler)
    secret = Secret(HIDDEN)
    logger.warning("password " + call, secret, extra={"extra_field": secret})
    logger.warning(secret)
    assert "****" in stream.getvalue()
    assert HIDDEN not in stream.getvalue()


def test_it_is_not_json_by_itself() -> None:
    """A response that holds one by mistake fails loudly, and the error does not show it."""
    with pytest.raises(TypeError) as refused:
        json.dumps({"password": Secret(HIDDEN)})
    assert HIDDEN not in str(refused.value)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_it_is_not_pickled(protocol: int) -> None:
    """No queue, cache or process boundary carries it."""
    with pytest.raises(TypeError, match="not pickled") as refused:
        pickle.dumps(Secret(HIDDEN), protocol)
    assert HIDDEN not in str(refused.value)


def test_it_has_no_dictionary_to_dump() -> None:
    """`vars()`, which generic serialisers use, finds nothing; and no attribute can be hung on it."""
    with pytest.raises(TypeError):
        vars(Secret(HIDDEN))
    with pytest.raises(AttributeError):
        Secret(HIDDEN).note = HIDDEN  # type: ignore[attr-defined]


def test_copies_are_refused_as_pickles_are() -> None:
    """A deep copy of a record would carry it where nobody looks."""
    with pytest.raises(TypeError):
        copy.deepcopy(Secret(HIDDEN))


@given(st.text(), st.text())
def test_it_compares_by_its_text_and_with_nothing_else(one: str, other: str) -> None:
    """Equal secrets are equal and hash alike; a secret is never equal to a plain text."""
    assert (Secret(one) == Secret(other)) is (one == other)
    assert Secret(one) != one
    assert hash(Secret(one)) == hash(Secret(one))
    assert Secret(one).reveal() == one
    assert bool(Secret(one)) is bool(one)


@given(st.text(min_size=1))
def test_its_length_does_not_show(text: str) -> None:
    """Every secret looks the same."""
    assert repr(Secret(text)) == str(Secret("")) == "Secret(****)"
