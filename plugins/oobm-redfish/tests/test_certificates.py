"""A BMC that does not prove itself is told nothing, least of all a password."""

from collections.abc import Callable

import pytest
from certificates import Authority
from holdfast.errors import AuthenticationFailed, ConfigurationError, Refused, Unreachable
from holdfast.model.states import PowerAction, PowerState
from holdfast_oobm_redfish.driver import RedfishOobm
from holdfast_oobm_redfish.trust import read_fingerprints
from strict_bmc import SYSTEMS, StrictBmc

MakeDriver = Callable[..., RedfishOobm]


def test_a_certificate_of_the_given_authority_is_accepted(
    secure_bmc: StrictBmc, authority: Authority, make_driver: MakeDriver
) -> None:
    """HTTPS is the default, and the connection is kept for the next question."""
    driver = make_driver(ca_file=str(authority.ca_file))
    driver.self_test()
    for _ in range(3):
        assert driver.power_state(secure_bmc.view(), 5) is PowerState.ON
    assert secure_bmc.handshakes == 1
    driver.power_action(secure_bmc.view(), PowerAction.OFF, 5)
    assert driver.power_state(secure_bmc.view(), 5) is PowerState.OFF


def test_an_unknown_authority_is_refused_by_default(secure_bmc: StrictBmc, make_driver: MakeDriver) -> None:
    """The machine's own authorities do not know it."""
    _refused(secure_bmc, make_driver(), "unknown CA; give that CA's certificate as ca_file")


@pytest.mark.parametrize(
    ("name", "days", "words"),
    [
        ("127.0.0.1", (-9, -2), "has expired"),
        ("127.0.0.1", (2, 9), "not valid yet"),
        ("127.0.0.2", (-1, 9), "not made out to this IP address"),
        ("bmc.example", (-1, 9), "not made out to this IP address"),
    ],
)
def test_each_fault_of_a_certificate_has_its_words(
    authority: Authority, make_driver: MakeDriver, name: str, days: tuple[int, int], words: str
) -> None:
    """The operator reads what to renew."""
    pair = authority.issue(name, first_day=days[0], last_day=days[1])
    with StrictBmc(pair) as bmc:
        _refused(bmc, make_driver(ca_file=str(authority.ca_file)), words)


def test_the_name_in_the_certificate_can_be_prescribed(authority: Authority, make_driver: MakeDriver) -> None:
    """BMCs are often addressed by IP while their certificates name a host; a wrong name stays refused."""
    driver = make_driver(ca_file=str(authority.ca_file))
    with StrictBmc(authority.issue("bmc7.example")) as bmc:
        assert driver.power_state(bmc.view(certificate_name="bmc7.example"), 5) is PowerState.ON
        _refused(bmc, driver, "another name", certificate_name="bmc8.example")


def test_a_pinned_certificate_is_accepted_and_another_is_not(authority: Authority, make_driver: MakeDriver) -> None:
    """The pin stands in for authority, name and dates; while a certificate is renewed, two may be pinned."""
    old = authority.issue("127.0.0.1", first_day=-9, last_day=-2)
    pin = "SHA256:" + ":".join(old.fingerprint[at : at + 2] for at in range(0, 64, 2)).upper()
    driver = make_driver()
    with StrictBmc(old) as bmc:
        assert driver.power_state(bmc.view(certificate_fingerprint=pin), 5) is PowerState.ON
        both = f"{'0' * 64}, {pin}"
        assert driver.power_state(bmc.view(certificate_fingerprint=both), 5) is PowerState.ON
    with StrictBmc(authority.issue("127.0.0.1")) as impostor:
        _refused(impostor, make_driver(ca_file=str(authority.ca_file)), "mismatch", certificate_fingerprint=pin)


def test_a_pin_is_not_undone_by_accepting_any_certificate(secure_bmc: StrictBmc, make_driver: MakeDriver) -> None:
    """The stricter wins."""
    _refused(
        secure_bmc,
        make_driver(insecurely_accept_any_certificate=True),
        "fingerprint mismatch",
        certificate_fingerprint="0" * 64,
    )


def test_accepting_any_certificate_takes_the_long_word(secure_bmc: StrictBmc, make_driver: MakeDriver) -> None:
    """And nothing but `true` switches the checks off."""
    assert make_driver(insecurely_accept_any_certificate=True).power_state(secure_bmc.view(), 5) is PowerState.ON
    _refused(secure_bmc, make_driver(), "unknown CA", insecurely_accept_any_certificate="yes")


def test_one_bmc_can_have_its_own_table(secure_bmc: StrictBmc, authority: Authority, make_driver: MakeDriver) -> None:
    """In the settings, by address."""
    tables = {"127.0.0.1": {"ca_file": str(authority.ca_file)}}
    assert make_driver(bmcs=tables).power_state(secure_bmc.view(), 5) is PowerState.ON
    check = RedfishOobm.SETTINGS["bmcs"].check
    assert check is not None
    assert check(tables) == ""
    assert "unknown key pin" in check({"10.0.0.1": {"pin": "x"}})
    assert "64 hexadecimal" in check({"10.0.0.1": {"certificate_fingerprint": "x"}})


def test_a_ca_file_that_was_replaced_is_read_again(
    secure_bmc: StrictBmc, authority: Authority, make_driver: MakeDriver, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Without a restart of the manager."""
    folder = tmp_path_factory.mktemp("other")
    used = folder / "used.pem"
    used.write_bytes(Authority(folder).ca_file.read_bytes())
    driver = make_driver(ca_file=str(used))
    _refused(secure_bmc, driver, "unknown CA")
    used.write_bytes(authority.ca_file.read_bytes() + b"\n")
    assert driver.power_state(secure_bmc.view(), 5) is PowerState.ON


@pytest.mark.parametrize("content", [None, b"no certificate"])
def test_a_ca_file_that_cannot_be_used_fails_the_self_test(
    secure_bmc: StrictBmc, make_driver: MakeDriver, tmp_path_factory: pytest.TempPathFactory, content: bytes | None
) -> None:
    """At start, not at fence time; and if it breaks later, nothing is sent."""
    path = tmp_path_factory.mktemp("ca") / "ca.pem"
    if content is not None:
        path.write_bytes(content)
    driver = make_driver(ca_file=str(path))
    with pytest.raises(ConfigurationError, match="ca_file"):
        driver.self_test()
    _refused(secure_bmc, driver, "CA file")


def test_plain_http_on_the_port_is_unreachable(bmc: StrictBmc, make_driver: MakeDriver) -> None:
    """It is no TLS, so nothing was sent."""
    with pytest.raises(Unreachable, match="no TLS there"):
        make_driver(insecurely_accept_any_certificate=True).power_state(bmc.view(), 5)
    assert bmc.seen == []


def test_a_kept_connection_that_the_bmc_closed_is_replaced(
    secure_bmc: StrictBmc, authority: Authority, make_driver: MakeDriver
) -> None:
    """Without a word, and also for a question alone."""
    driver = make_driver(ca_file=str(authority.ca_file), retries=0)
    driver.power_state(secure_bmc.view(), 5)

    def answer_and_close(request: object) -> None:
        secure_bmc.answer(request)  # type: ignore[arg-type]
        request.close_connection = True  # type: ignore[attr-defined]

    secure_bmc.quirks["GET", f"{SYSTEMS}/1"] = answer_and_close
    for _ in range(3):
        assert driver.power_state(secure_bmc.view(), 5) is PowerState.ON
    assert len({seen.connection for seen in secure_bmc.requests("GET", f"{SYSTEMS}/1")}) == 3


def test_an_answer_nobody_asked_for_is_not_taken_for_the_next(
    secure_bmc: StrictBmc, authority: Authority, make_driver: MakeDriver
) -> None:
    """A BMC that answers twice would otherwise be one answer behind for ever."""
    driver = make_driver(ca_file=str(authority.ca_file), retries=0)

    def twice(request: object) -> None:
        secure_bmc.answer(request)  # type: ignore[arg-type]
        secure_bmc.answer(request)  # type: ignore[arg-type]

    secure_bmc.system.power = "Off"
    secure_bmc.quirks["GET", f"{SYSTEMS}/1"] = twice
    for state in (PowerState.OFF, PowerState.ON, PowerState.OFF, PowerState.ON):
        secure_bmc.system.power = state.value
        assert driver.power_state(secure_bmc.view(), 5) is state


def test_a_wrong_password_over_tls_is_told_apart(
    secure_bmc: StrictBmc, authority: Authority, make_driver: MakeDriver
) -> None:
    """It is no question of certificates."""
    with pytest.raises(AuthenticationFailed):
        make_driver(ca_file=str(authority.ca_file)).power_state(secure_bmc.view("wrong password"), 5)


@pytest.mark.parametrize("text", ["", " , ", "sha256:"])
def test_no_fingerprint_is_none(text: str) -> None:
    """An empty option pins nothing, and leaves the usual checks on."""
    assert read_fingerprints(text) == ()


def _refused(bmc: StrictBmc, driver: RedfishOobm, words: str, **options: str) -> None:
    """Refused with these words, in every method, and nothing was sent."""
    view, before = bmc.view(**options), len(bmc.seen)
    for call in (
        lambda: driver.power_state(view, 5),
        lambda: driver.power_action(view, PowerAction.OFF, 5),
        lambda: driver.set_password(view, "a new password", 5),
    ):
        with pytest.raises(Refused, match=words) as caught:
            call()
        assert not isinstance(caught.value, AuthenticationFailed)
    assert len(bmc.seen) == before
