"""Keys come from the environment or from a file that nobody else may read."""

from pathlib import Path

import pytest
from holdfast.errors import ConfigurationError
from holdfast.log_output import redact
from holdfast.model import Secret
from holdfast_cli.client import Keys
from holdfast_cli.credentials import as_file, client_from, read_file, write_file


def _written(folder: Path, mode: int = 0o600) -> Path:
    path = folder / "api.toml"
    write_file(path, as_file("http://127.0.0.1:9/client/api", Keys("a", Secret("b"))))
    path.chmod(mode)
    return path


def test_a_written_file_is_its_owners_alone(tmp_path: Path) -> None:
    """Also where a laxer one stood before."""
    (tmp_path / "api.toml").write_text("old")
    path = _written(tmp_path)

    assert path.stat().st_mode & 0o777 == 0o600
    assert read_file(path)["secret_key"] == "b"


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660])
def test_a_file_that_others_may_read_is_refused(tmp_path: Path, mode: int) -> None:
    """The error names the command that mends it, and not the secret."""
    path = _written(tmp_path, mode)

    with pytest.raises(ConfigurationError, match=f"chmod 600 {path}"):
        client_from(str(path), {})


def test_the_environment_wins_over_the_file(tmp_path: Path) -> None:
    """Key by key."""
    client = client_from(str(_written(tmp_path)), {"HOLDFAST_API_URL": "http://127.0.0.1:10/client/api"})

    assert client.endpoint == "http://127.0.0.1:10/client/api"


def test_missing_keys_are_named_with_the_places_they_may_stand_in(tmp_path: Path) -> None:
    """Variable and file."""
    with pytest.raises(ConfigurationError, match=r"HOLDFAST_API_KEY.*holdfast/api.toml"):
        client_from(None, {"XDG_CONFIG_HOME": str(tmp_path)})


@pytest.mark.parametrize(
    ("text", "complaint"),
    [("url = 5\n", "url is no text"), ("apikey = 'x'\n", 'did you mean "api_key"'), ("url = \n", "not valid TOML")],
)
def test_a_faulty_file_is_refused(tmp_path: Path, text: str, complaint: str) -> None:
    """With what is wrong about it."""
    path = tmp_path / "api.toml"
    write_file(path, text)

    with pytest.raises(ConfigurationError, match=complaint):
        read_file(path)


def test_a_file_that_was_named_must_be_there(tmp_path: Path) -> None:
    """Falling back to another API would be worse than an error."""
    with pytest.raises(ConfigurationError, match="cannot be read"):
        client_from(str(tmp_path / "none.toml"), {"HOLDFAST_API_KEY": "a", "HOLDFAST_SECRET_KEY": "b"})


@pytest.mark.parametrize(
    "url",
    ["foo", "file:///etc/passwd", "http://", "http://here:99999/", "http://[::1/client/api", "ftp://here/client/api"],
)
def test_a_url_that_no_call_can_go_to_is_refused(url: str) -> None:
    """Before anything is sent, with how one is written."""
    with pytest.raises(ConfigurationError, match="write http://HOST:PORT/client/api"):
        client_from(None, {"HOLDFAST_API_URL": url, "HOLDFAST_API_KEY": "a", "HOLDFAST_SECRET_KEY": "b"})


def test_a_password_in_the_url_is_refused_and_not_repeated() -> None:
    """Nothing reads it, and it would be shown with each error."""
    environ = {"HOLDFAST_API_URL": "http://me:hunter2@here/", "HOLDFAST_API_KEY": "a", "HOLDFAST_SECRET_KEY": "b"}
    with pytest.raises(ConfigurationError, match="leave it out") as caught:
        client_from(None, environ)
    assert "hunter2" not in str(caught.value)


def test_what_is_missing_is_still_named_where_secrets_are_masked(tmp_path: Path) -> None:
    """The command line masks what looks like a key's value."""
    with pytest.raises(ConfigurationError) as caught:
        client_from(None, {"XDG_CONFIG_HOME": str(tmp_path)})
    assert redact(str(caught.value)) == str(caught.value)
