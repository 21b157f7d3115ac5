"""What the IPMI driver says and does with real BMC implementations, confirmed by other clients."""

import gc
import logging
import os
import threading
from collections.abc import Callable
from dataclasses import replace
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import pytest
from holdfast.errors import AuthenticationFailed, DeadlineExceeded, Refused, Unreachable
from holdfast.model.secret import Secret
from holdfast.model.states import PowerAction, PowerState
from holdfast_oobm_ipmi.driver import IpmiOobm

DEADLINE = 5.0
SHORT = 1.0
PASSWORD = "S3cret-of-bmc!"  # the one in conftest.py
GUID = "a1b2c3d4-e5f6-4711-8899-aabbccddeeff"
OTHER_GUID = "00000000-1111-4222-8333-444444444444"


@pytest.mark.parametrize("client", ["ipmitool", "ipmipower"])
def test_other_clients_see_what_the_driver_sees(
    driver: IpmiOobm, bench: Any, witness: Callable[[int, str], str], client: str
) -> None:
    """After each action the witness reads the same state."""
    for action, state in ((PowerAction.OFF, PowerState.OFF), (PowerAction.ON, PowerState.ON)):
        driver.power_action(bench.bmc, action, DEADLINE)
        assert driver.power_state(bench.bmc, DEADLINE) is state
        assert witness(bench.sim.port, client) == state.lower()


def test_pyghmi_s_own_bmc_is_switched_and_read(driver: IpmiOobm, bench: Any, pyghmi_bmc: int, tmp_path: Path) -> None:
    """A second implementation, with its own idea of the order of a UUID's bytes."""
    bmc = replace(bench.bmc, port=str(pyghmi_bmc), options={"uuid": GUID})
    assert driver.power_state(bmc, DEADLINE) is PowerState.OFF
    driver.power_action(bmc, PowerAction.ON, DEADLINE)
    assert (tmp_path / "power").read_text(encoding="ascii") == "on"
    assert driver.power_state(bmc, DEADLINE) is PowerState.ON
    with pytest.raises(Refused, match="asking for SOFT was refused"):
        driver.power_action(bmc, PowerAction.SOFT, DEADLINE)


def test_a_user_whom_the_bmc_ignores_is_told_from_a_dead_bmc(driver: IpmiOobm, bench: Any, pyghmi_bmc: int) -> None:
    """pyghmi's BMC never answers an unknown user: the text names the step at which it fell silent."""
    with pytest.raises(DeadlineExceeded, match="naming the user"):
        driver.power_state(replace(bench.bmc, port=str(pyghmi_bmc), username="nobody"), SHORT)


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"username": "nobody"}, AuthenticationFailed, "user 'nobody' is not known"),
        ({"password": Secret("Wr0ng-password!")}, AuthenticationFailed, "password of user 'fencer' is wrong"),
        ({"secrets": {"kg": Secret("no such key")}}, AuthenticationFailed, "key Kg is wrong"),
        ({"options": {"cipher_suite": "17"}}, AuthenticationFailed, "cipher suite 17 not accepted"),
        ({"options": {"cipher_suite": "0"}}, Refused, "cipher_suite '0' is not possible"),
        ({"options": {"privilege": "root"}}, Refused, "privilege 'root' is not possible"),
        ({"options": {"uuid": OTHER_GUID}}, Refused, "belongs to another system"),
        ({"port": "623/udp"}, Refused, "is not a UDP port"),
        ({"port": "70000"}, Refused, "is not a UDP port"),
        ({"address": ""}, Refused, "no address is configured"),
        ({"address": "no-such-bmc.invalid"}, Unreachable, "cannot be looked up"),
        ({"username": "a name too long for IPMI"}, Refused, "user name has 24 bytes"),
        ({"password": Secret("a password beyond twenty")}, Refused, "password has 24 bytes"),
    ],
)
def test_each_wrong_setting_has_its_own_text(
    driver: IpmiOobm, bench: Any, change: dict[str, Any], error: type[Exception], words: str
) -> None:
    """What is wrong, at which BMC of which host, and never a state."""
    wrong = replace(bench.bmc, **change)
    with pytest.raises(error, match=words) as caught:
        driver.power_state(wrong, DEADLINE)
    assert "host host-1" in str(caught.value)
    with pytest.raises(error, match=words):
        driver.power_action(wrong, PowerAction.OFF, DEADLINE)
    assert driver.power_state(bench.bmc, DEADLINE) is PowerState.ON


def test_a_port_where_nobody_listens_fails_at_once(driver: IpmiOobm, bench: Any, make_sim: Any) -> None:
    """The network says so long before the deadline."""
    sim = make_sim()
    sim.stop()
    with pytest.raises(Unreachable, match="Connection refused"):
        driver.power_state(replace(bench.bmc, port=str(sim.port)), 60)


def test_a_bmc_with_kg_wants_it(driver: IpmiOobm, bench: Any, make_sim: Any) -> None:
    """Without Kg the text says so; with it, as text or in hexadecimal digits, the state is read."""
    bmc = replace(bench.bmc, port=str(make_sim(kg="k3y-of-the-bmc").port))
    with pytest.raises(AuthenticationFailed, match="wants a key Kg"):
        driver.power_state(bmc, DEADLINE)
    for kg in ("k3y-of-the-bmc", "0x" + b"k3y-of-the-bmc".hex()):
        assert driver.power_state(replace(bmc, secrets={"kg": Secret(kg)}), DEADLINE) is PowerState.OFF


@pytest.mark.parametrize("privilege", ["operator", "administrator"])
def test_privileges_are_asked_for(driver: IpmiOobm, bench: Any, privilege: str) -> None:
    """A session works at each level that may switch."""
    bmc = replace(bench.bmc, options={"privilege": privilege, "cipher_suite": "3", "uuid": GUID})
    driver.power_action(bmc, PowerAction.OFF, DEADLINE)
    assert driver.power_state(bmc, DEADLINE) is PowerState.OFF


def test_switching_needs_privilege(driver: IpmiOobm, bench: Any) -> None:
    """A session at user level reads, and is refused to switch."""
    bmc = replace(bench.bmc, options={"privilege": "user"})
    assert driver.power_state(bmc, DEADLINE) is PowerState.ON
    with pytest.raises(Refused, match="privilege"):
        driver.power_action(bmc, PowerAction.OFF, DEADLINE)
    assert driver.power_state(bmc, DEADLINE) is PowerState.ON


def test_sessions_are_reused(driver: IpmiOobm, bench: Any) -> None:
    """The second question takes one packet there and one back."""
    driver.power_state(bench.bmc, DEADLINE)
    before = dict(bench.proxy.counts)
    driver.power_state(bench.bmc, DEADLINE)
    assert bench.proxy.counts["requests"] - before["requests"] == 1
    assert bench.proxy.counts["answers"] - before["answers"] == 1


def test_a_bmc_that_restarts_is_logged_in_to_again(driver: IpmiOobm, bench: Any) -> None:
    """It knows nothing of our session any more, and the next question is answered all the same."""
    assert driver.power_state(bench.bmc, DEADLINE) is PowerState.ON
    bench.sim.stop()
    bench.sim.start()
    bench.force_power(PowerState.OFF)
    assert driver.power_state(bench.bmc, DEADLINE) is PowerState.OFF


def test_a_password_that_the_bmc_would_cut_is_not_left_behind(driver: IpmiOobm, bench: Any) -> None:
    """ipmi_sim accepts 20 bytes and keeps 16: the change is refused, and the old password still works."""
    with pytest.raises(Refused, match="old one was put back"):
        driver.set_password(bench.bmc, "more-than-16-bytes", DEADLINE)
    assert driver.power_state(bench.bmc, DEADLINE) is PowerState.ON


def test_both_names_are_the_same_driver() -> None:
    """Configurations that say `ipmitool` get this driver, and no program."""
    found = {point.name: point.load() for point in entry_points(group="holdfast.oobm") if "ipmi" in point.name}
    assert found == {"ipmi": IpmiOobm, "ipmitool": IpmiOobm}


def test_many_states_come_in_one_call(driver: IpmiOobm, bench: Any) -> None:
    """Good, dark, refused and misconfigured BMCs side by side: each has its own outcome."""
    bmcs = {
        "good": bench.bmc,
        "other": bench.other_bmc,
        "wrong": bench.wrong_password(),
        "misconfigured": replace(bench.bmc, port="none"),
        "nowhere": replace(bench.bmc, address="127.0.0.1", port="1"),
    }
    found = driver.power_states([replace(bmc, host_uuid=name) for name, bmc in bmcs.items()], DEADLINE)
    assert found["good"] is PowerState.ON
    assert found["other"] is PowerState.OFF
    assert isinstance(found["wrong"], AuthenticationFailed)
    assert isinstance(found["misconfigured"], Refused)
    assert isinstance(found["nowhere"], Unreachable)


def test_a_silent_bmc_is_given_up_in_a_reading_of_many(bench: Any) -> None:
    """After `batch_patience_seconds`, while the caller would have waited much longer."""
    driver = IpmiOobm({"batch_patience_seconds": 0.4})
    bench.make_unreachable()
    found = driver.power_states([bench.bmc, bench.other_bmc], 60)
    assert found["host-2"] is PowerState.OFF
    assert isinstance(found["host-1"], DeadlineExceeded)
    assert "0.4 s" in str(found["host-1"])
    driver.close()


def test_one_thread_serves_all_and_ends(bench: Any) -> None:
    """However many BMCs, one thread; after `close` none, no session and no socket."""
    handles = len(os.listdir("/proc/self/fd"))
    driver = IpmiOobm({})
    direct = replace(bench.bmc, port=str(bench.sim.port))
    driver.power_states([direct, bench.other_bmc], DEADLINE)
    assert [thread.name for thread in threading.enumerate()].count("oobm-ipmi") == 1
    driver.close()
    assert [thread.name for thread in threading.enumerate()].count("oobm-ipmi") == 0
    assert len(os.listdir("/proc/self/fd")) == handles


def test_a_driver_that_nobody_holds_ends_its_thread(bench: Any) -> None:
    """Without `close`, as when a server stops."""
    driver = IpmiOobm({})
    driver.power_state(bench.bmc, DEADLINE)
    del driver
    gc.collect()
    assert [thread.name for thread in threading.enumerate()].count("oobm-ipmi") == 0


def test_nothing_secret_is_logged_even_at_debug(driver: IpmiOobm, bench: Any, caplog: pytest.LogCaptureFixture) -> None:
    """Not the password, not Kg, not as bytes either."""
    caplog.set_level(logging.DEBUG)
    bmc = replace(bench.bmc, secrets={"kg": Secret("k3y-of-the-bmc")})
    with pytest.raises(AuthenticationFailed):
        driver.power_state(bmc, DEADLINE)
    driver.power_state(bench.bmc, DEADLINE)
    shown = caplog.text + repr(driver._target(bmc)) + repr(vars(driver))
    assert PASSWORD not in shown
    assert "k3y-of-the-bmc" not in shown
