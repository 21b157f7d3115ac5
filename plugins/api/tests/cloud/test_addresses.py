"""URLs and addresses, whatever is sent."""

import pytest
from holdfast.errors import InvalidRequest
from holdfast_api.addresses import check_address, check_cidr, check_netmask, read_url
from hypothesis import given
from hypothesis import strategies as st


def outcome(read):
    """What was read, or the words of the refusal."""
    try:
        return read(), None
    except InvalidRequest as refusal:
        return None, str(refusal)


@given(st.text(max_size=60) | st.text("htp:/[]@%#?.0a \\\t\x00", max_size=40).map("http://".__add__))
def test_a_url_is_taken_apart_or_refused_in_words(text):
    """Never another exception, never a name with blanks or control characters."""
    url, refusal = outcome(lambda: read_url("url", text, ("http", "https")))
    if refusal is not None:
        assert refusal.startswith("parameter url: ")
        return
    assert url.scheme in ("http", "https")
    assert url.host
    assert 0 <= url.port < 65536
    assert not any(letter.isspace() or ord(letter) < 32 for letter in url.host + url.path)


@given(st.text(max_size=40))
def test_addresses_are_read_or_refused_in_words(text):
    """Never another exception."""
    for check in (check_address, check_cidr, check_netmask):
        _, refusal = outcome(lambda check=check: check("p", text))
        assert refusal is None or refusal.startswith("parameter p: ")


@pytest.mark.parametrize(
    ("text", "host", "port", "path"),
    [
        ("http://Node1", "Node1", 0, ""),
        ("HTTPS://[fe80::1]:443/a", "fe80::1", 443, "/a"),
        ("http://sim/ablecube%2D31", "sim", 0, "/ablecube-31"),
    ],
)
def test_the_parts_of_a_url(text, host, port, path):
    """Letter case of names is kept."""
    url = read_url("url", text, ("http", "https"))
    assert (url.host, url.port, url.path) == (host, port, path)
