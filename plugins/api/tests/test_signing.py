"""Signed calls: every way that a client may sign, and every way to get it wrong."""

import base64
import hashlib
import hmac
from datetime import UTC, datetime, timedelta
from urllib.parse import quote, quote_plus, urlencode

import pytest
from cs import CloudStackApiException
from holdfast.model import Secret
from holdfast_api import signing
from hypothesis import given
from hypothesis import strategies as st

SECRET = "s3cr3t-Key_of~the*user"


def digest(line, secret=SECRET):
    made = hmac.new(secret.encode(), line.encode(), hashlib.sha1).digest()
    return base64.b64encode(made).decode()


def like_cs(parameters):
    """PyPI's cs: names raw, sorted as they are; `~` and `*` left alone."""
    return digest("&".join(f"{k}={quote(v, safe='*')}" for k, v in sorted(parameters.items())).lower())


def like_cmk(parameters):
    """cmk: Go's QueryEscape, which encodes `*` and leaves `~`."""
    line = "&".join(f"{k}={quote_plus(v)}" for k, v in sorted(parameters.items())).lower()
    return digest(line.replace("+", "%20"))


def like_marvin(parameters):
    """Marvin: Python 2's quote_plus, which encodes `~` too; sorted by lower-case name."""
    ordered = sorted(parameters.items(), key=lambda pair: pair[0].lower())
    encoded = (f"{k.lower()}={quote_plus(v).replace('~', '%7E').lower().replace('+', '%20')}" for k, v in ordered)
    return digest("&".join(encoded))


def like_java(parameters):
    """URLEncoder: `*` left, `~` encoded."""
    encoded = (f"{k}={quote(v, safe='*').replace('~', '%7E')}" for k, v in sorted(parameters.items()))
    return digest("&".join(encoded).lower())


def with_encoded_names(parameters):
    """Clients that encode names as they encode values."""
    return digest("&".join(f"{quote(k, safe='')}={quote(v, safe='')}" for k, v in sorted(parameters.items())).lower())


def with_raw_brackets(parameters):
    """Clients that leave brackets alone in values."""
    return digest("&".join(f"{k}={quote(v, safe='[]')}" for k, v in sorted(parameters.items())).lower())


SIGNERS = [like_cs, like_cmk, like_marvin, like_java, with_encoded_names, with_raw_brackets]
AWKWARD = {
    "command": "listUsers",
    "apiKey": "Key-1_2",
    "apikeya": "sorts differently by raw and lower-case name",
    "keyword": "~*[a] b+c/한글%&=\"'",
    "details[0].some~key": "x",
    "Zone": "UPPER",
    "response": "json",
}


@pytest.mark.parametrize("signer", SIGNERS)
def test_every_known_way_to_sign_is_good(signer):
    """The table of tolerances, on parameters that have all the characters clients disagree about."""
    assert signing.fits(AWKWARD | {"signature": "x"}, signer(AWKWARD), Secret(SECRET))


@pytest.mark.parametrize("signer", SIGNERS)
def test_no_way_to_sign_survives_a_change(signer):
    """Changed value, added parameter, removed parameter, other secret."""
    good = signer(AWKWARD)
    for changed in (AWKWARD | {"Zone": "UPPERS"}, AWKWARD | {"more": ""}, dict(list(AWKWARD.items())[:-1])):
        assert not signing.fits(changed, good, Secret(SECRET))
    assert not signing.fits(AWKWARD, good, Secret(SECRET + "x"))


@given(
    parameters=st.dictionaries(
        st.text("abcXYZ[0].~*", min_size=1, max_size=8).filter(lambda name: name.lower() != "signature"),
        st.text(max_size=12).filter(lambda text: text.isprintable()),
        min_size=1,
        max_size=6,
    ),
    signer=st.sampled_from([like_cs, like_cmk, like_java]),
)
def test_any_parameters_can_be_signed(parameters, signer):
    """Rule: what a client signs, the server accepts; a truncated signature it does not."""
    made = signer(parameters)
    assert signing.fits(parameters, made, Secret(SECRET))
    assert not signing.fits(parameters, made[:-2], Secret(SECRET))


def test_a_huge_request_is_not_read_in_every_way():
    """The work for one request is bounded however large it is."""
    assert len(list(signing.readings({"Ab[]~*": "~*[]" * 50_000, "aC": "x"}))) <= 8


def test_cs_calls_signed_by_get_and_post(api):
    """PyPI's cs works unchanged, with awkward characters too."""
    for method in ("get", "post"):
        client = api.client(method=method)
        assert client.listUsers(username="admin")["count"] == 1
        assert client.listUsers(keyword="~*[a] b+c/한글%&=\"'") == {}


def test_cs_fetches_lists_page_by_page(api):
    """fetch_list goes by count."""
    assert [one["name"] for one in api.client().listDomains(fetch_list=True)] == ["ROOT"]


def test_cs_raises_on_errors(api):
    """The error of the envelope arrives in cs's exception."""
    with pytest.raises(CloudStackApiException) as caught:
        api.client().getUserKeys()
    assert caught.value.error["errorcode"] == 431


@pytest.fixture
def signed(api, ask):
    """Ask with a signature of our own making."""
    key, secret = api.keys()

    def asking(*, tamper=None, with_secret=secret, **parameters):
        sent = {"command": "listDomains", "apiKey": key, "response": "json", **parameters}
        line = "&".join(f"{k}={quote(v, safe='*')}" for k, v in sorted(sent.items())).lower()
        sent |= {"signature": digest(line, with_secret)} | (tamper or {})
        return ask(api.url, urlencode(sent))

    return asking


def stamp(**ahead):
    return (datetime.now(UTC) + timedelta(**ahead)).strftime("%Y-%m-%dT%H:%M:%S+0000")


def test_version_two_needs_no_time(signed):
    """Signatures without signatureVersion have no expiry."""
    assert signed().status == 200


@pytest.mark.parametrize(
    ("extra", "status"),
    [
        ({"signatureVersion": "3", "expires": 10}, 200),
        ({"signatureversion": "3", "expires": 10}, 200),
        ({"signatureVersion": "3", "expires": -1}, 401),
        ({"signatureVersion": "3"}, 401),
        ({"signatureVersion": "3", "expires": "tomorrow"}, 401),
        ({"expires": -1}, 401),
    ],
)
def test_version_three_is_good_until_it_expires(signed, extra, status):
    """An expired, missing or unreadable time is 401. Numbers are minutes from now."""
    sent = {name: stamp(minutes=value) if isinstance(value, int) else value for name, value in extra.items()}
    assert signed(**sent).status == status


@pytest.mark.parametrize(
    "tamper", [{"signature": "AAAA"}, {"signature": ""}, {"apiKey": "nobody"}, {"keyword": "added"}, {"apiKey": "한"}]
)
def test_a_wrong_signature_is_401_and_says_no_more(signed, tamper):
    """The same text for an unknown key as for a wrong signature."""
    answer = signed(tamper=tamper)
    assert answer.status == 401
    assert list(answer.json) == ["errorresponse"]
    error = answer.json["errorresponse"]
    assert error["errorcode"] == 401
    assert error["errortext"].startswith("unable to verify user credentials and/or request signature")


def test_old_keys_are_good_no_more(api, signed):
    """registerUserKeys replaces the pair."""
    assert signed().status == 200
    api.keys()
    assert signed().status == 401


def test_an_unknown_command_is_401_for_nobody_and_432_for_a_user(api, signed, ask):
    """Who is not authenticated does not learn which commands there are."""
    nobody = ask(api.url, {"command": "makeCoffee"})
    assert (nobody.status, list(nobody.json)) == (401, ["errorresponse"])
    known = ask(api.url, {"command": "listUsers"})
    assert known.json == nobody.json
    user = signed(command="makeCoffee")
    assert (user.status, list(user.json)) == (432, ["errorresponse"])


def test_names_of_commands_are_case_sensitive(signed):
    """As registered, to the letter."""
    assert signed(command="listdomains").status == 432


def test_enforcement_demands_post_and_a_near_time(api, signed, ask):
    """enforce.post.requests.and.timestamps: lists may still be read with GET."""
    api.admin("updateConfiguration", name="enforce.post.requests.and.timestamps", value="true")
    near, far = stamp(minutes=10), stamp(minutes=30)
    assert signed().status == 401
    assert signed(signatureVersion="3", expires=far).status == 401
    assert signed(signatureVersion="3", expires=near).status == 200
    changing = {"command": "updateConfiguration", "name": "ha.tag", "value": "x"}
    assert signed(signatureVersion="3", expires=near, **changing).status == 405


def test_a_disabled_user_cannot_sign(api, signed, store):
    """Nor one whose account is disabled."""
    from holdfast.hooks.store import Update
    from holdfast.model import Account, User

    for record in (User, Account):
        store.commit([Update(record, 1, {"state": "disabled"})])
        assert signed().status == 401
        store.commit([Update(record, 1, {"state": "enabled"})])
    assert signed().status == 200
