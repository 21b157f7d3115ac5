"""Secrets at rest: unreadable without the key, and never written with a wrong one."""

import base64
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from holdfast.errors import ConfigurationError, StoreError
from holdfast.hooks.database import Database
from holdfast.hooks.store import Insert, Query, Update
from holdfast.model import Host, Oobm, Secret
from holdfast_conformance.store_rows import host
from holdfast_store.cipher import KEY_BYTES, Cipher, WrongKey
from holdfast_store.store import SqlStore
from hypothesis import given
from hypothesis import strategies as st

Reopen = Callable[[], SqlStore]
ByHand = Callable[[str], None]
SECRET = "hunter2-4711"


@pytest.fixture
def reopen(database: Database, tmp_path: Path) -> Reopen:
    """Start the store again, as another process would."""

    def start() -> SqlStore:
        store = SqlStore({"data_dir": str(tmp_path)})
        store.bind(database)
        store.migrate()
        return store

    return start


def test_a_secret_is_nowhere_in_the_files(sqlite_store: SqlStore, tmp_path: Path) -> None:
    """Neither in the database nor in its logs, and not in base64 either."""
    (row_id,) = sqlite_store.commit([Insert(host(password=Secret(SECRET)))])
    sqlite_store.commit([Update(Host, row_id, {"password": Secret(f"{SECRET}-new")})])
    sqlite_store.commit([Insert(Oobm(host_id=row_id, password=Secret(SECRET)))])
    contents = b"".join(file.read_bytes() for file in tmp_path.iterdir())
    assert b"enc:v1:" in contents
    for shape in (SECRET.encode(), base64.b64encode(SECRET.encode())[:-4], SECRET.encode().hex().encode()):
        assert shape not in contents


def test_the_same_secret_is_never_stored_alike_twice(store: SqlStore, database: Database) -> None:
    """So that equal passwords do not show."""
    store.commit([Insert(host(password=Secret(SECRET))) for _ in range(3)])
    assert len(set(_stored(database))) == 3


def test_a_secret_typed_by_hand_is_read_as_it_is(store: SqlStore, database: Database, by_hand: ByHand) -> None:
    """And encrypted when it is next written."""
    (row_id,) = store.commit([Insert(host())])
    by_hand("UPDATE host SET password = 'typed'")
    row = store.get(Host, row_id)
    assert row is not None
    assert row.password == Secret("typed")
    store.commit([Update(Host, row_id, {"password": row.password}, expect={"password": Secret("typed")})])
    assert _stored(database)[0].startswith("enc:v1:")


def test_the_key_file_is_made_once_for_its_owner_alone(store: SqlStore, reopen: Reopen, tmp_path: Path) -> None:
    """Mode 0600; a second start finds it and reads what the first one wrote."""
    key = tmp_path / "key"
    content = key.read_bytes()
    assert key.stat().st_mode & 0o777 == 0o600
    store.commit([Insert(host(password=Secret(SECRET)))])
    assert reopen().select(Host, Query())[0].password == Secret(SECRET)
    assert key.read_bytes() == content


def test_a_missing_key_is_an_error_and_not_a_new_key(store: SqlStore, reopen: Reopen, tmp_path: Path) -> None:
    """Where to take it from is said."""
    (tmp_path / "key").unlink()
    with pytest.raises(ConfigurationError, match=r"key is missing.*backup"):
        reopen()
    assert not (tmp_path / "key").exists()


def test_a_wrong_key_is_found_at_start(store: SqlStore, reopen: Reopen, tmp_path: Path) -> None:
    """Even if no secret was written yet."""
    (tmp_path / "key").write_bytes(base64.b64encode(os.urandom(KEY_BYTES)))
    with pytest.raises(ConfigurationError, match=r"key is not the key with which"):
        reopen()


@pytest.mark.parametrize("content", [b"", b"not base64!", base64.b64encode(b"too short"), b"\xff\xfe\x00"])
def test_a_damaged_key_file_is_an_error(store: SqlStore, reopen: Reopen, tmp_path: Path, content: bytes) -> None:
    """Whatever is in it, nothing of it is shown."""
    (tmp_path / "key").write_bytes(content)
    with pytest.raises(ConfigurationError, match="does not hold a key") as caught:
        reopen()
    assert "too short" not in str(caught.value)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660])
def test_a_key_that_others_can_read_is_refused(store: SqlStore, reopen: Reopen, tmp_path: Path, mode: int) -> None:
    """With the command that mends it."""
    (tmp_path / "key").chmod(mode)
    with pytest.raises(ConfigurationError, match=r"chmod 600 .*key"):
        reopen()


def test_a_file_database_without_a_place_for_the_key_is_refused(database: Database) -> None:
    """A key in memory would lose the secrets at the next start."""
    with pytest.raises(ConfigurationError, match="set key_file"):
        SqlStore({}).bind(database)


def test_a_damaged_secret_names_its_row(store: SqlStore, by_hand: ByHand) -> None:
    """Cut short, altered, or copied from another column; the other rows can be read."""
    first, second = store.commit([Insert(host(password=Secret(SECRET))) for _ in range(2)])
    store.commit([Insert(Oobm(host_id=1, password=Secret(SECRET)))])
    for damage in ("substr(password, 1, 40)", "'enc:v1:%%%'", "'enc:v1:'", "(SELECT password FROM oobm)"):
        by_hand(f"UPDATE host SET password = {damage} WHERE id = {first}")
        with pytest.raises(StoreError, match=rf"host {first}: password"):
            store.select(Host, Query())
        assert store.get(Host, second) is not None


def test_a_secret_cannot_be_searched_for(store: SqlStore) -> None:
    """It is stored differently each time, so a search would find nothing and look like an answer."""
    for bad in (Query(equal={"password": Secret("x")}), Query(among={"password": [Secret("x")]})):
        with pytest.raises(StoreError, match=r"host\.password is encrypted"):
            store.select(Host, bad)


@given(text=st.text(), place=st.sampled_from(["host.password", "oobm.password"]))
def test_what_was_encrypted_is_decrypted_only_in_its_place(text: str, place: str) -> None:
    """The round trip, and no other one."""
    cipher = Cipher(bytes(KEY_BYTES))
    stored = cipher.encrypt(place, text)
    assert cipher.decrypt(place, stored) == text
    with pytest.raises(WrongKey):
        cipher.decrypt("user.secret_key", stored)
    with pytest.raises(WrongKey):
        Cipher(bytes([1]) * KEY_BYTES).decrypt(place, stored)


def _stored(database: Database) -> list[str]:
    with database.engine().connect() as connection:
        return [row[0] for row in connection.exec_driver_sql("SELECT password FROM host")]
