"""A plugin's table is checked against what the plugin declares."""

from pathlib import Path
from typing import Any

import pytest
from holdfast.errors import ConfigurationError
from holdfast.model import Secret
from holdfast.options import Option, read_options, shown
from hypothesis import given
from hypothesis import strategies as st

DATA = Path("/data")
OPTIONS = {
    "text": Option(str, "t"),
    "whole": Option(int, 5, low=1, high=10),
    "number": Option(float, 1.5, low=0.5),
    "flag": Option(bool, False),
    "list": Option(tuple, ()),
    "table": Option(dict, {}),
    "path": Option(Path, Path("x")),
    "password": Option(Secret, Secret("")),
    "choice": Option(str, "a", choices=("alpha", "beta", "a")),
    "even": Option(int, 2, check=lambda value: "" if value % 2 == 0 else "it must be even"),
}


def read(**table: Any) -> dict[str, Any]:
    """The values for one table."""
    return read_options(OPTIONS, table, "here.toml: p.q", DATA)


@pytest.mark.parametrize(
    ("key", "value", "wanted"),
    [
        ("text", "x", "x"), ("whole", 10, 10), ("number", 2, 2.0), ("number", 0.5, 0.5), ("flag", True, True),
        ("list", ["a", "b"], ("a", "b")), ("table", {"a": 1}, {"a": 1}), ("path", "sub/y", DATA / "sub/y"),
        ("path", "/abs", Path("/abs")), ("password", "p", Secret("p")), ("choice", "beta", "beta"), ("even", 4, 4),
    ],
)  # fmt: skip
def test_good_values_arrive_typed(key: str, value: Any, wanted: Any) -> None:
    """Each type once."""
    found = read(**{key: value})[key]
    assert found == wanted
    assert type(found) is type(wanted)


@pytest.mark.parametrize(
    ("key", "value", "complaint"),
    [
        ("txt", 1, r'p\.q\.txt is not a known key; did you mean "text"\?. Known keys: text, whole'),
        ("text", 1, r"p\.q\.text is a whole number \(1\); allowed is text"),
        ("whole", "5", r"p\.q\.whole is text \('5'\); allowed is a whole number from 1 to 10"),
        ("whole", True, r"p\.q\.whole is true or false \(true\); allowed is a whole number"),
        ("whole", 1.0, r"p\.q\.whole is a number"),
        ("whole", 0, r"p\.q\.whole is 0; allowed is a whole number from 1 to 10"),
        ("whole", 11, r"p\.q\.whole is 11; allowed"),
        ("number", 0.4, r"p\.q\.number is 0\.4; allowed is a number of at least 0\.5"),
        ("number", float("nan"), r"p\.q\.number is nan"),
        ("number", float("inf"), r"p\.q\.number is inf"),
        ("flag", 1, r"p\.q\.flag is a whole number \(1\); allowed is true or false"),
        ("flag", "yes", r"p\.q\.flag is text"),
        ("list", "a", r"p\.q\.list is text .*allowed is a list of texts"),
        ("list", [1], r"p\.q\.list is a list"),
        ("table", [], r"p\.q\.table is a list"),
        ("path", "", r"p\.q\.path is text \(''\); allowed is a path"),
        ("choice", "alpa", r'p\.q\.choice is \'alpa\'; allowed is one of alpha, beta, a; did you mean "alpha"'),
        ("even", 3, r"p\.q\.even is 3; it must be even"),
        ("password", 5, r"p\.q\.password is a whole number \(hidden\); allowed is text, \{ env"),
        ("password", {"env": "HOLDFAST_ABSENT"}, r"names the environment variable HOLDFAST_ABSENT, which is not set"),
        ("password", {"file": "/no/such/file"}, r"names the file /no/such/file, which cannot be read"),
        ("password", {"env": "A", "file": "B"}, r"password is a table \(hidden\)"),
    ],
)
def test_bad_values_are_refused_with_place_found_and_allowed(key: str, value: Any, complaint: str) -> None:
    """Every complaint starts with the file."""
    with pytest.raises(ConfigurationError, match=rf"^here\.toml: .*{complaint}|^here\.toml: {complaint}"):
        read(**{key: value})


def test_a_required_option_must_be_given() -> None:
    """The complaint says what is to be given, and what for."""
    with pytest.raises(ConfigurationError, match=r"p\.url is missing; give text \(where notices go\)"):
        read_options({"url": Option(str, doc="where notices go")}, {}, "here.toml: p", DATA)


def test_a_secret_may_come_from_the_environment_or_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """So that it need not stand in the configuration; the file's last line end is not part of it."""
    monkeypatch.setenv("HOLDFAST_TEST_SECRET", "from env")
    (tmp_path / "secret").write_text("from file\n")
    assert read(password={"env": "HOLDFAST_TEST_SECRET"})["password"] == Secret("from env")
    assert read(password={"file": str(tmp_path / "secret")})["password"] == Secret("from file")


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(), st.lists, max_leaves=3))
def test_any_value_is_accepted_in_range_or_refused_with_its_key(value: Any) -> None:
    """Never another error, never a value out of range."""
    for key, option in OPTIONS.items():
        complaint, found = "", None
        try:
            found = read(**{key: value})[key]
        except ConfigurationError as error:
            complaint = str(error)
        assert (f"p.q.{key}" in complaint) != isinstance(found, option.type)
        assert option.low is None or complaint or (isinstance(found, (int, float)) and found >= option.low)


@pytest.mark.parametrize("name", ["oobm.ipmi.password", "x.api_key", "x.auth_token", "database.mysql.passwd"])
def test_a_value_whose_key_sounds_secret_is_not_shown(name: str) -> None:
    """Also where the plugin declares nothing."""
    assert shown(name, "hunter2") == "(hidden)"
    assert shown("x.t", {"password": "hunter2", "a": 1}) == "{password = (hidden), a = 1}"


def test_a_key_file_is_shown() -> None:
    """Its place is no secret."""
    assert shown("server.key_file", Path("/k")) == "'/k'"
