"""What the driver asks of the outer cloud, how it signs, and what it makes of answers."""

import ssl
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
from cs import CloudStack
from holdfast.errors import AuthenticationFailed, ConfigurationError, DriverError, Refused, Unreachable
from holdfast.model.secret import Secret
from holdfast.model.states import PowerAction, PowerState
from holdfast.model.views import BmcView
from holdfast_conformance.calls import kept_deadline
from holdfast_conformance.wire_faults import TcpFaultProxy, WireFaults
from holdfast_oobm_nestedcloudstack.driver import NestedCloudStackOobm
from holdfast_oobm_nestedcloudstack.signing import signature
from hypothesis import given
from hypothesis import strategies as st
from outer_cloud import API_KEY, ONE, SECRET_KEY, TWO, OuterCloud, answer

NAMES = ["apiKey", "command", "expires", "forced", "id", "listall", "response", "signatureVersion"]


@pytest.fixture
def cloud() -> Iterator[OuterCloud]:
    """An outer cloud over plain HTTP."""
    with OuterCloud() as cloud:
        yield cloud


@pytest.fixture
def driver() -> NestedCloudStackOobm:
    """With its defaults."""
    return NestedCloudStackOobm({})


def _view(cloud: OuterCloud, scheme: str = "http") -> BmcView:
    address = f"{scheme}://127.0.0.1:{cloud.port}/client/api"
    return BmcView("host-1", "nestedcloudstack", address, ONE, API_KEY, Secret(SECRET_KEY))


@given(st.dictionaries(st.sampled_from(NAMES), st.text(st.characters(codec="utf-8"), min_size=1), min_size=1))
def test_signatures_are_those_of_a_common_client(fields: dict[str, str]) -> None:
    """Whatever the values, `cs` signs alike."""
    client = CloudStack(endpoint="http://127.0.0.1", key=API_KEY, secret=SECRET_KEY)
    theirs = {name: value.replace("~", "-") for name, value in fields.items()}
    mine = signature(theirs, Secret(SECRET_KEY))
    client._sign(theirs)  # type: ignore[no-untyped-call]
    assert mine == theirs["signature"]


def _always(status: int, content: object) -> Callable[[BaseHTTPRequestHandler], bool]:
    def reply(handler: BaseHTTPRequestHandler) -> bool:
        answer(handler, status, content)
        return True

    return reply


@pytest.mark.parametrize(
    ("action", "command", "forced"),
    [
        (PowerAction.ON, "startVirtualMachine", None),
        (PowerAction.OFF, "stopVirtualMachine", "true"),
        (PowerAction.SOFT, "stopVirtualMachine", "false"),
        (PowerAction.CYCLE, "rebootVirtualMachine", None),
        (PowerAction.RESET, "rebootVirtualMachine", None),
    ],
)
def test_each_action_is_a_command(
    cloud: OuterCloud, driver: NestedCloudStackOobm, action: PowerAction, command: str, forced: str | None
) -> None:
    """For that VM, posted, with nothing in the address that a log would keep."""
    assert "job-1" in driver.power_action(_view(cloud), action, 5)
    assert (cloud.seen[-1]["command"], cloud.seen[-1].get("forced"), cloud.seen[-1]["id"]) == (command, forced, ONE)
    assert set(cloud.lines) == {"POST /client/api HTTP/1.1"}


@pytest.mark.parametrize("state", ["Starting", "Stopping", "Error", "Destroyed", "stopped", "", "Shutdown"])
def test_other_states_are_unknown(cloud: OuterCloud, driver: NestedCloudStackOobm, state: str) -> None:
    """A VM on its way down is not down."""
    cloud.states[ONE] = state
    assert driver.power_state(_view(cloud), 5) is PowerState.UNKNOWN


def test_a_vm_that_is_not_shown_is_refused(cloud: OuterCloud, driver: NestedCloudStackOobm) -> None:
    """Gone, or of another account: that is not off. Nor is the answer about another VM."""
    del cloud.states[ONE]
    with pytest.raises(Refused, match="shows no VM"):
        driver.power_state(_view(cloud), 5)
    other = {"listvirtualmachinesresponse": {"count": 1, "virtualmachine": [{"id": TWO, "state": "Stopped"}]}}
    cloud.quirk = _always(200, other)
    with pytest.raises(Refused, match="shows no VM"):
        driver.power_state(_view(cloud), 5)


@pytest.mark.parametrize("action", [PowerAction.CYCLE, PowerAction.RESET])
def test_a_reboot_of_a_stopped_vm_is_refused(
    cloud: OuterCloud, driver: NestedCloudStackOobm, action: PowerAction
) -> None:
    """It would leave it stopped."""
    with pytest.raises(Refused, match="use ON"):
        driver.power_action(replace(_view(cloud), port=TWO), action, 5)
    assert [fields["command"] for fields in cloud.seen] == ["listVirtualMachines"]


def test_a_refused_off_of_a_stopped_vm_is_success(cloud: OuterCloud, driver: NestedCloudStackOobm) -> None:
    """Once read back; a running one stays refused, with the cloud's words but not the key."""
    cloud.refusing = True
    assert "already" in driver.power_action(replace(_view(cloud), port=TWO), PowerAction.OFF, 5)
    with pytest.raises(Refused, match=r"answered 530 no stopVirtualMachine for \*\*\*\* now"):
        driver.power_action(_view(cloud), PowerAction.OFF, 5)


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, b""), (200, b"Stopped"), (200, b"[]"), (200, b"{}"), (200, b'{"a": 1}'), (200, b'{"a": {}, "b": {}}'),
        (200, b'{"a": {"errorcode": 530}}'), (200, b"[" * 100_000), (500, b'{"a": {}}'), (503, b""), (302, b""),
        (200, b" " * (2 << 20)), (404, b"<html>"),
    ],
)  # fmt: skip
def test_odd_answers_are_no_state(cloud: OuterCloud, driver: NestedCloudStackOobm, status: int, body: bytes) -> None:
    """Nothing is concluded from them."""
    cloud.quirk = _always(status, body)
    with pytest.raises(DriverError) as caught:
        driver.power_state(_view(cloud), 5)
    assert isinstance(caught.value, (Unreachable, Refused))
    assert not isinstance(caught.value, AuthenticationFailed)


@pytest.mark.parametrize(
    "faults",
    [
        WireFaults(reset_after=0), WireFaults(reset_after=60), WireFaults(truncate=1.0), WireFaults(garbage=1.0),
        WireFaults(bytes_per_second=20.0), WireFaults(silent=True), WireFaults(loss=1.0), WireFaults(delay=2.0),
    ],
    ids=["reset", "reset in the answer", "cut off", "garbage", "dripping", "silence", "hung up", "late"],
)  # fmt: skip
def test_no_wire_fault_reads_off(cloud: OuterCloud, driver: NestedCloudStackOobm, faults: WireFaults) -> None:
    """The VM runs all the time; the deadline is kept."""
    with TcpFaultProxy(("127.0.0.1", cloud.port), replace(faults, on_requests=False)) as wire:
        view = replace(_view(cloud), address=f"http://127.0.0.1:{wire.port}")
        outcome = kept_deadline(0.6, lambda: driver.power_state(view, 0.6))
        assert isinstance(outcome.error, Unreachable), repr(outcome)


@pytest.mark.parametrize(
    "change",
    [
        {"address": "127.0.0.1"}, {"address": "ftp://127.0.0.1/"}, {"address": "http://"}, {"address": "http://h:x/"},
        {"address": "http://user@h/client/api"}, {"address": "http://h/client/api?a=b"}, {"address": "http://[/"},
        {"port": "623"}, {"port": ""},
    ],
)  # fmt: skip
def test_bad_configuration_is_refused(cloud: OuterCloud, driver: NestedCloudStackOobm, change: dict[str, Any]) -> None:
    """And nothing is sent."""
    with pytest.raises(Refused, match=r"URL of an API|no uuid"):
        driver.power_state(replace(_view(cloud), **change), 5)
    assert cloud.seen == []


def test_a_certificate_is_checked(tmp_path: Path) -> None:
    """Of a CA that is given, for the name in the URL; otherwise nothing is sent."""
    certificate, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
         "-keyout", str(key), "-out", str(certificate), "-subj", "/CN=outer", "-addext", "subjectAltName=IP:127.0.0.1"],
        check=True, capture_output=True,
    )  # fmt: skip
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with OuterCloud(context) as cloud:
        trusting = NestedCloudStackOobm({"ca_file": str(certificate)})
        trusting.self_test()
        assert trusting.power_state(_view(cloud, "https"), 5) is PowerState.ON
        with pytest.raises(Refused, match=r"certificate is not accepted .*nothing was sent"):
            NestedCloudStackOobm({}).power_state(_view(cloud, "https"), 5)
        with pytest.raises(Unreachable):
            trusting.power_state(_view(cloud, "http"), 5)
        assert len(cloud.seen) == 1
    with pytest.raises(ConfigurationError, match="ca_file"):
        NestedCloudStackOobm({"ca_file": str(tmp_path / "none.pem")}).self_test()


def test_clocks_that_differ_show_as_credentials(cloud: OuterCloud, driver: NestedCloudStackOobm) -> None:
    """The text names the clocks."""

    cloud.quirk = _always(401, {"listvirtualmachinesresponse": {"errorcode": 401, "errortext": "signature expired"}})
    with pytest.raises(AuthenticationFailed, match=r"signature expired; check .* clocks"):
        driver.power_state(_view(cloud), 5)
