"""What a BMC's configuration comes to, and what is refused before anything is sent."""

from pathlib import Path
from typing import Any

import pytest
from holdfast.errors import ConfigurationError, Refused
from holdfast.model.secret import Secret
from holdfast.model.views import BmcView
from holdfast.options import read_options
from holdfast_oobm_ipmi.driver import IpmiOobm
from holdfast_oobm_ipmi.target import read_kg, read_target
from hypothesis import given
from hypothesis import strategies as st

SECRET = "S3cret-of-bmc!"
DEFAULTS = {name: option.default for name, option in IpmiOobm.SETTINGS.items()}


OWN_KG = {"kg": Secret("own")}


def view(**changes: Any) -> BmcView:
    """A BMC that is configured as most are."""
    values: dict[str, Any] = {
        "host_uuid": "h1",
        "driver": "ipmi",
        "address": "192.0.2.1",
        "port": "",
        "username": "root",
        "password": Secret(SECRET),
    }
    return BmcView(**values | changes)


def test_settings_are_defaults_and_options_override_them() -> None:
    """What the BMC itself says counts more than the driver's table."""
    settings = DEFAULTS | {"port": 6230, "privilege": "operator", "kg": Secret("common"), "cipher_suite": "3"}
    common = read_target(view(), settings)
    assert (common.port, common.privilege, common.kg, common.suites) == (6230, 3, b"common", (3,))
    own = read_target(view(port="624", options={"privilege": "user", "cipher_suite": "17"}, secrets=OWN_KG), settings)
    assert (own.port, own.privilege, own.kg, own.suites) == (624, 2, b"own", (17,))


@pytest.mark.parametrize("written", ["[2001:db8::1]", " [2001:db8::1] "])
def test_ipv6_addresses_may_be_written_in_brackets(written: str) -> None:
    """As URLs, and everything that shows them, have them."""
    target = read_target(view(address=written), DEFAULTS)
    assert (target.address, target.where) == ("2001:db8::1", "BMC [2001:db8::1]:623 of host h1")


def test_ipv6_addresses_are_shown_in_brackets() -> None:
    """So that the port can be told from the address."""
    assert read_target(view(address="2001:db8::1"), DEFAULTS).where == "BMC [2001:db8::1]:623 of host h1"


@pytest.mark.parametrize("kg", ["0xabc", "0xzz", "0x" + "11" * 21, "k" * 21, "qq\0qq"])
def test_a_kg_that_cannot_be_one_is_refused_unseen(kg: str) -> None:
    """At start for the driver's table, at the call for a BMC's own; its text is in no error."""
    with pytest.raises(Refused) as caught:
        read_target(view(secrets={"kg": Secret(kg)}), DEFAULTS)
    assert kg[2:] not in str(caught.value)
    with pytest.raises(ConfigurationError, match="kg is \\(hidden\\)"):
        read_options(IpmiOobm.SETTINGS, {"kg": kg}, "holdfast.toml: oobm.ipmi", Path())


@given(st.binary(max_size=20))
def test_kg_in_digits_is_kg_in_bytes(key: bytes) -> None:
    """Zeros at its end do not matter to IPMI."""
    assert read_kg("0x" + key.hex(), "here") == key.rstrip(b"\0")


@given(st.text(max_size=30))
def test_any_password_is_taken_or_refused_unseen(password: str) -> None:
    """Whatever somebody types, only a `Refused` without it comes out."""
    whole = f"begin{password}end"
    refusal = ""
    try:
        assert whole not in repr(read_target(view(password=Secret(whole)), DEFAULTS))
    except Refused as error:
        refusal = str(error)
    assert whole not in refusal
    assert bool(refusal) == (len(whole.encode(errors="replace")) > 20 or "\0" in whole)


def test_a_password_that_is_no_text_is_refused() -> None:
    """Half a character from a broken terminal cannot be sent."""
    with pytest.raises(Refused, match="type it anew"):
        read_target(view(password=Secret("bad\udc80")), DEFAULTS)


@pytest.mark.parametrize(
    "changes",
    [
        {"password": Secret("another")},
        {"username": "admin"},
        {"port": "624"},
        {"address": "192.0.2.2"},
        {"host_uuid": "h2"},
        {"secrets": {"kg": Secret("key")}},
        {"options": {"privilege": "operator"}},
        {"options": {"cipher_suite": "3"}},
        {"options": {"uuid": "a1b2c3d4-e5f6-4711-8899-aabbccddeeff"}},
    ],
)
def test_each_change_needs_a_session_of_its_own(changes: dict[str, Any]) -> None:
    """A session that somebody else's credentials opened is never used for these."""
    salt = b"salt"
    key = read_target(view(), DEFAULTS).key(salt)
    assert read_target(view(**changes), DEFAULTS).key(salt) != key
    assert read_target(view(), DEFAULTS).key(salt) == key
    assert SECRET.encode() not in key
    assert read_target(view(), DEFAULTS).key(b"other salt") != key
