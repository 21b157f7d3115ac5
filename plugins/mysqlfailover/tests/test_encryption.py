"""Encrypted values are read as CloudStack wrote them."""

from pathlib import Path

import pytest
from holdfast.errors import ConfigurationError
from holdfast.model.secret import Secret
from holdfast_mysqlfailover.encryption import CannotDecrypt, decrypt, encrypt, is_encrypted, management_secret
from hypothesis import given
from hypothesis import strategies as st

SECRET = Secret("management secret 1")
PLAIN = "cl0ud-pässwörd=한"
V2 = "ENC(PL+dg6GcXn998F+9RH9lax1fjFPUeHL3QZBbB8H/WclbQhL34nVSjf/XtdtJIn+D)"
V1 = "ENC(LESyUVtrKXnfgJ2ecjqM0eNeKP6KecjNaGsVq2RoBjo=)"
# Both made by OpenJDK 17: AES/GCM/NoPadding under the SHA-256 of the secret, and PBEWithMD5AndDES with 1000 rounds.


@pytest.mark.parametrize(
    ("text", "version"), [(V2, ""), (V2, "V2"), (V1, ""), (V1, "V1")], ids=["V2", "only V2", "V1", "only V1"]
)
def test_values_that_java_encrypted_are_read(text: str, version: str) -> None:
    """Without a version the newer is tried first."""
    assert decrypt(text, SECRET, version) == PLAIN


@pytest.mark.parametrize(("text", "version"), [(V2, "V1"), (V1, "V2")])
def test_a_version_that_does_not_fit_is_an_error(text: str, version: str) -> None:
    """An operator who forbids the old one means it."""
    with pytest.raises(CannotDecrypt):
        decrypt(text, SECRET, version)


@pytest.mark.parametrize("text", [V2, V1, "ENC()", "ENC(%%%)", "ENC(AAAA)", V2[:30] + ")", "ENC(" + "A" * 64 + ")"])
def test_a_wrong_secret_or_damage_is_an_error_without_the_text(text: str) -> None:
    """Whatever is wrong with it."""
    with pytest.raises(CannotDecrypt) as caught:
        decrypt(text, Secret("another"))
    assert PLAIN not in str(caught.value)


@given(text=st.text(), secret=st.text(min_size=1))
def test_what_is_encrypted_is_decrypted(text: str, secret: str) -> None:
    """Never to the same text twice."""
    try:
        secret.encode(), text.encode()
    except UnicodeEncodeError:
        return
    once, again = encrypt(text, Secret(secret)), encrypt(text, Secret(secret))
    assert once != again
    assert is_encrypted(once)
    assert decrypt(once, Secret(secret)) == decrypt(again, Secret(secret)) == text


def test_the_secret_comes_from_the_first_line_of_a_file(tmp_path: Path) -> None:
    """As CloudStack reads it."""
    (tmp_path / "key").write_text("secret one\nsecond line\n")
    found = management_secret("file", tmp_path / "key", "here")
    assert found == Secret("secret one")


def test_the_secret_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Under CloudStack's name."""
    monkeypatch.setenv("CLOUD_SECRET_KEY", "from env")
    assert management_secret("env", Path("none"), "here") == Secret("from env")
    monkeypatch.delenv("CLOUD_SECRET_KEY")
    with pytest.raises(ConfigurationError, match=r"here is env, but .* CLOUD_SECRET_KEY is not set"):
        management_secret("env", Path("none"), "here")


def test_nothing_is_needed_for_plain_files() -> None:
    """The type is none then."""
    assert management_secret("none", Path("none"), "here") is None


@pytest.mark.parametrize("content", [None, "", "\nlate\n", b"\xff\xfe"])
def test_an_unusable_key_file_is_named(tmp_path: Path, content: str | bytes | None) -> None:
    """With the setting that names another one."""
    path = tmp_path / "key"
    if content is not None:
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(ConfigurationError, match=r"here is file, but the key file .*key"):
        management_secret("file", path, "here")


@pytest.mark.parametrize("kind", ["web", "File ", "vault"])
def test_other_types_are_refused(kind: str) -> None:
    """web waits for a person at each start, which no server that restarts at night can do."""
    with pytest.raises(ConfigurationError, match="allowed are none, file, env"):
        management_secret(kind, Path("none"), "here")
