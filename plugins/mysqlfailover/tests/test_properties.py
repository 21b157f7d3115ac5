"""Properties files are read as Java reads them."""

import json
from pathlib import Path

import pytest
from holdfast.errors import ConfigurationError
from holdfast_mysqlfailover.properties import read_properties
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

ODD = r"""# a comment \
! another
plain=value
  indented = spaced value<blanks>
colon:value
blank value of blank
tab	value
escaped\ key\=with\:all = a\tb\nc\\d\u00e9\uD55C
continued = one, \
            two, \
    three
continued.comment = a \
# not a comment
empty=
alone
double\\
=no key
trailing.backslash = x\\
unknown\escape = \q\z
surrogate = \uD83D\uDE00
latin = é
db.cloud.password=p\\a=ss:w#ord!
eof = last\
""".replace("<blanks>", "  ")

TEXTS = st.text(st.characters(codec="utf-8"))
JAVA = {
    "": "no key",
    "alone": "",
    "blank": "value of blank",
    "colon": "value",
    "continued": "one, two, three",
    "continued.comment": "a # not a comment",
    "db.cloud.password": "p\\a=ss:w#ord!",
    "double\\": "",
    "empty": "",
    "eof": "last",
    "escaped key=with:all": "a\tb\nc\\d\u00e9\ud55c",
    "indented": "spaced value  ",
    "latin": "é",
    "plain": "value",
    "surrogate": "\U0001f600",
    "tab": "value",
    "trailing.backslash": "x\\",
    "unknownescape": "qz",
}
"""What java.util.Properties of OpenJDK 17 made of ODD."""


def _file(folder: Path, text: str) -> Path:
    path = folder / "db.properties"
    path.write_bytes(text.encode("iso-8859-1"))
    return path


def test_odd_spellings_are_read_as_java_reads_them(tmp_path: Path) -> None:
    """Escapes, continued lines, blanks, comments, Latin-1, surrogate pairs, and a backslash at the very end."""
    entries = read_properties(_file(tmp_path, ODD))
    assert {key: entry.text for key, entry in entries.items()} == JAVA


def test_every_entry_knows_its_line(tmp_path: Path) -> None:
    """Continued lines count as many lines as they are."""
    entries = read_properties(_file(tmp_path, ODD))
    lines = ODD.splitlines()
    for key in ("plain", "colon", "continued", "empty", "latin", "eof"):
        assert lines[entries[key].line - 1].startswith(key)


@given(st.dictionaries(TEXTS.filter(bool), TEXTS, max_size=5))
@settings(deadline=None, max_examples=30, suppress_health_check=[HealthCheck.too_slow])
def test_what_is_escaped_is_read_back(tmp_path_factory: pytest.TempPathFactory, values: dict[str, str]) -> None:
    """Whatever the texts are."""
    escaped = "".join(f"{_escaped(key)}={_escaped(value)}\n" for key, value in values.items())
    entries = read_properties(_file(tmp_path_factory.mktemp("p"), escaped))
    assert {key: entry.text for key, entry in entries.items()} == values


def _escaped(text: str) -> str:
    units = text.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at]:02x}{units[at + 1]:02x}" for at in range(0, len(units), 2))


def test_a_missing_file_says_where_it_should_be(tmp_path: Path) -> None:
    """And which setting names another place."""
    with pytest.raises(ConfigurationError, match=r"db\.properties does not exist.*\[database\.mysql\]"):
        read_properties(tmp_path / "db.properties")


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    """Nor is anything else that cannot be read."""
    with pytest.raises(ConfigurationError, match="cannot be read"):
        read_properties(tmp_path)


@pytest.mark.parametrize("mark", [b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff"])
def test_a_byte_order_mark_is_refused(tmp_path: Path, mark: bytes) -> None:
    """Else the first key would be another, silently: that of the host, say, and its default would hold."""
    path = tmp_path / "db.properties"
    path.write_bytes(mark + b"db.cloud.host=db1\n")
    with pytest.raises(ConfigurationError, match=r"db\.properties begins with a byte order mark"):
        read_properties(path)


@pytest.mark.parametrize("bad", ["\\u12", "\\uXYZW", "\\u"])
def test_a_broken_escape_names_its_line(tmp_path: Path, bad: str) -> None:
    """As in a Windows path of a key store."""
    path = _file(tmp_path, f"a=1\nb=2\nc=C:{bad}sers\n")
    with pytest.raises(ConfigurationError, match="line 3") as caught:
        read_properties(path)
    assert json.dumps(bad)[1:4] in json.dumps(str(caught.value))


def test_one_key_with_two_values_is_refused(tmp_path: Path) -> None:
    """With both lines; the same value twice is harmless."""
    path = _file(tmp_path, "a=1\nb=2\na=1\n")
    assert read_properties(path)["a"].text == "1"
    path = _file(tmp_path, "a=1\nb=secret\n\nb=other\n")
    with pytest.raises(ConfigurationError, match=r"b stands on line 2 .*line 4") as caught:
        read_properties(path)
    assert "secret" not in str(caught.value)


def test_no_value_is_shown_by_accident(tmp_path: Path) -> None:
    """It may be a password."""
    assert "hunter2" not in repr(read_properties(_file(tmp_path, "db.cloud.password=hunter2\n")))
