"""The power state is what the BMC says plainly, of the system that is meant, and otherwise unknown."""

import gzip
import json
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from uuid import UUID

import pytest
from holdfast.errors import DeadlineExceeded, DriverError, Refused, Unreachable
from holdfast.model.states import PowerState
from holdfast_oobm_redfish.driver import RedfishOobm
from holdfast_oobm_redfish.resets import read_state
from hypothesis import given
from hypothesis import strategies as st
from strict_bmc import ROOT, SESSIONS, SYSTEMS, Request, StrictBmc, StrictSystem

ONE, TWO = "11111111-2222-3333-4444-555555555555", "99999999-2222-3333-4444-555555555555"
SYSTEM = f"{SYSTEMS}/1"


@pytest.mark.parametrize("layout", ["Members", "Links.Members"])
def test_both_layouts_of_collections_are_read(bmc: StrictBmc, driver: RedfishOobm, layout: str) -> None:
    """New services list members at the top, old ones under Links."""
    bmc.layout = layout
    assert driver.power_state(bmc.view(), 5) is PowerState.ON


@pytest.mark.parametrize(
    "word", ["PoweringOn", "PoweringOff", "Paused", "off", "OFF", "Off ", "", None, 0, False, ["Off"]]
)
def test_anything_but_plain_words_is_unknown(bmc: StrictBmc, driver: RedfishOobm, word: object) -> None:
    """A chassis on its way down is not down."""
    bmc.system.power = word
    assert driver.power_state(bmc.view(), 5) is PowerState.UNKNOWN


@given(st.one_of(st.text(), st.none(), st.booleans(), st.integers(), st.lists(st.text())))
def test_only_the_word_off_reads_off(word: object) -> None:
    """No other JSON value does."""
    assert (read_state(word) is PowerState.OFF) == (word == "Off")


def test_a_missing_power_state_is_unknown(bmc: StrictBmc, driver: RedfishOobm) -> None:
    """An answer without the word says nothing."""
    bmc.quirks["GET", SYSTEM] = lambda request: request.reply(200, {"Id": "1"})
    assert driver.power_state(bmc.view(), 5) is PowerState.UNKNOWN


def test_several_systems_without_a_choice_are_refused_by_name(bmc: StrictBmc, driver: RedfishOobm) -> None:
    """Fencing the neighbour would be worse than not fencing."""
    bmc.systems = {"Node1": StrictSystem(), "Node2": StrictSystem("Off")}
    with pytest.raises(Refused, match=r"2 systems behind it: Node1, Node2\. Set `system` or `uuid`"):
        driver.power_state(bmc.view(), 5)


@pytest.mark.parametrize("options", [{"system": "Node2"}, {"system": f"{SYSTEMS}/Node2"}, {"uuid": TWO}])
def test_a_system_is_chosen_by_id_or_uuid(bmc: StrictBmc, driver: RedfishOobm, options: dict[str, str]) -> None:
    """Hosts behind one BMC are told apart, and share one login."""
    bmc.systems = {"Node1": StrictSystem("On", ONE), "Node2": StrictSystem("Off", TWO)}
    assert driver.power_state(bmc.view(**options), 5) is PowerState.OFF
    assert driver.power_state(bmc.view(system="Node1"), 5) is PowerState.ON
    assert bmc.opened == 1


def test_a_uuid_with_swapped_fields_is_the_same(bmc: StrictBmc, driver: RedfishOobm) -> None:
    """SMBIOS and Redfish disagree on the order of bytes."""
    bmc.systems = {"1": StrictSystem("Off", str(UUID(bytes=UUID(ONE).bytes_le)))}
    assert driver.power_state(bmc.view(uuid=ONE), 5) is PowerState.OFF


@pytest.mark.parametrize("shown", [TWO, None])
def test_a_bmc_of_another_host_is_refused(bmc: StrictBmc, driver: RedfishOobm, shown: str | None) -> None:
    """Its OFF would be a proof about somebody else."""
    bmc.systems = {"1": StrictSystem("Off", shown)}
    with pytest.raises(Refused, match="another host answers there"):
        driver.power_state(bmc.view(uuid=ONE), 5)


def test_another_host_is_noticed_after_a_good_reading(bmc: StrictBmc, driver: RedfishOobm) -> None:
    """Addresses move between BMCs while a login is kept; a system that shows no UUID for a while is still itself."""
    bmc.systems = {"1": StrictSystem("On", ONE)}
    assert driver.power_state(bmc.view(uuid=ONE), 5) is PowerState.ON
    bmc.system.uuid = None
    assert driver.power_state(bmc.view(uuid=ONE), 5) is PowerState.ON
    bmc.systems = {"1": StrictSystem("Off", TWO)}
    with pytest.raises(Refused, match="another host"):
        driver.power_state(bmc.view(uuid=ONE), 5)


def test_an_unknown_system_is_refused_with_those_there_are(bmc: StrictBmc, driver: RedfishOobm) -> None:
    """The operator sees what to write."""
    bmc.systems = {"Blade1": StrictSystem(), "Blade2": StrictSystem()}
    with pytest.raises(Refused, match="no system 'Blade9'; there are Blade1, Blade2"):
        driver.power_state(bmc.view(system="Blade9"), 5)


def test_a_system_that_moved_is_found_again(bmc: StrictBmc, driver: RedfishOobm) -> None:
    """Firmware updates rename resources."""
    driver.power_state(bmc.view(), 5)
    bmc.systems = {"System.Embedded.1": StrictSystem("Off")}
    assert driver.power_state(bmc.view(), 5) is PowerState.OFF


def test_collections_on_several_pages_are_read_whole(bmc: StrictBmc, driver: RedfishOobm) -> None:
    """A second page may hold the system that is meant."""
    bmc.systems = {"A": StrictSystem(), "B": StrictSystem("Off")}
    first = {"Members": [{"@odata.id": f"{SYSTEMS}/A"}], "Members@odata.nextLink": f"{SYSTEMS}?$skip=1"}
    bmc.quirks["GET", SYSTEMS] = lambda request: request.reply(200, first)
    second = {"Members": [{"@odata.id": f"{SYSTEMS}/B"}]}
    bmc.quirks["GET", f"{SYSTEMS}?$skip=1"] = lambda request: request.reply(200, second)
    assert driver.power_state(bmc.view(system="B"), 5) is PowerState.OFF


def test_the_last_of_many_systems_is_found(bmc: StrictBmc, driver: RedfishOobm) -> None:
    """Rack managers have more than a chassis has slots."""
    bmc.systems = {f"node{number}": StrictSystem(uuid=str(UUID(int=number + 1))) for number in range(80)}
    bmc.systems["node79"].power = "Off"
    assert driver.power_state(bmc.view(uuid=str(UUID(int=80))), 20) is PowerState.OFF
    assert driver.power_state(bmc.view(system="node79"), 20) is PowerState.OFF


def test_an_answer_that_is_compressed_unasked_is_read(bmc: StrictBmc, driver: RedfishOobm) -> None:
    """Some BMCs always compress."""
    body = gzip.compress(json.dumps({"PowerState": "Off"}).encode())
    bmc.quirks["GET", SYSTEM] = lambda request: request.reply(200, body, Content_Encoding="gzip")
    assert driver.power_state(bmc.view(), 5) is PowerState.OFF


ODD_BODIES = {
    "no JSON": b"<html>Off</html>",
    "empty": b"",
    "a list": b'["Off"]',
    "a text": b'"Off"',
    "cut off": b'{"PowerState": "Off"',
    "deep": b"[" * 100_000,
    "too large": b'{"PowerState": "Off", "x": "' + b"x" * (2 << 20) + b'"}',
    "a bomb": gzip.compress(b'{"PowerState": "Off", "x": "' + b"x" * (8 << 20) + b'"}'),
}


@pytest.mark.parametrize("name", ODD_BODIES)
def test_odd_bodies_are_no_state(bmc: StrictBmc, driver: RedfishOobm, name: str) -> None:
    """An answer that cannot be read is as good as none."""
    headers = {"Content_Encoding": "gzip"} if name == "a bomb" else {}
    bmc.quirks["GET", SYSTEM] = lambda request: request.reply(200, ODD_BODIES[name], **headers)
    with pytest.raises(Unreachable):
        driver.power_state(bmc.view(), 5)


@pytest.mark.parametrize("length", [10, 1000])
def test_a_body_of_another_length_than_announced_is_no_state(bmc: StrictBmc, driver: RedfishOobm, length: int) -> None:
    """Neither cut short by the wire nor by its own header."""

    def lie(request: Request) -> None:
        request.send_response(200)
        request.send_header("Content-Length", str(length))
        request.end_headers()
        request.wfile.write(b'{"PowerState": "Off"}')
        request.close_connection = True

    bmc.quirks["GET", SYSTEM] = lie
    with pytest.raises(Unreachable):
        driver.power_state(bmc.view(), 5)


@pytest.mark.parametrize("status", [500, 502, 503, 504, 418, 429])
def test_an_error_is_no_state_whatever_its_body(bmc: StrictBmc, driver: RedfishOobm, status: int) -> None:
    """A body that says Off under an error is not believed."""
    bmc.quirks["GET", SYSTEM] = lambda request: request.reply(status, {"PowerState": "Off"})
    with pytest.raises(DriverError, match=str(status)):
        driver.power_state(bmc.view(), 5)


def test_a_question_is_repeated_when_the_bmc_is_busy(bmc: StrictBmc, make_driver: Callable[..., RedfishOobm]) -> None:
    """Reading twice does no harm."""
    answers = [503, 200]
    bmc.quirks["GET", SYSTEM] = lambda request: request.reply(answers.pop(0), {"PowerState": "Off"})
    assert make_driver(scheme="http", retries=1).power_state(bmc.view(), 5) is PowerState.OFF


def test_a_busy_bmc_is_given_the_time_that_it_asks_for(bmc: StrictBmc, make_driver: Callable[..., RedfishOobm]) -> None:
    """Within reason, and within the deadline."""
    began = time.monotonic()

    def busy(request: Request) -> None:
        if time.monotonic() - began < 1.0:
            return request.complain(503, "starting", Retry_After="1")
        return bmc.answer(request)

    bmc.quirks["GET", SYSTEM] = busy
    driver = make_driver(scheme="http", retries=1)
    with pytest.raises(Unreachable, match="starting"):
        driver.power_state(bmc.view(), 0.5)
    assert driver.power_state(bmc.view(), 5) is PowerState.ON


def test_a_redirect_to_another_place_is_not_followed(bmc: StrictBmc, driver: RedfishOobm) -> None:
    """It would be handed the session's token, and its answer would be taken for the BMC's."""
    with StrictBmc() as other:
        other.quirks["GET", "*"] = lambda request: request.reply(200, {"PowerState": "Off"})
        for place in (
            f"http://127.0.0.1:{other.port}/x",
            f"http://localhost:{bmc.port}/x",
            "https://127.0.0.1/x",
            "http://[/",
        ):
            bmc.quirks["GET", SYSTEM] = partial(Request.reply, status=307, Location=place)
            with pytest.raises(DriverError):
                driver.power_state(bmc.view(), 5)
        assert other.seen == []


def test_a_redirect_within_the_bmc_is_followed(bmc: StrictBmc, driver: RedfishOobm) -> None:
    """Trailing slashes and aliases; but not round in circles."""
    bmc.quirks["GET", ROOT] = lambda request: request.reply(308, Location="/redfish/v1")
    bmc.quirks["GET", "/redfish/v1"] = lambda request: request.reply(200, bmc._root())
    assert driver.power_state(bmc.view(), 5) is PowerState.ON
    bmc.quirks["GET", SYSTEM] = lambda request: request.reply(302, Location=SYSTEM)
    with pytest.raises(Refused, match="circles"):
        driver.power_state(bmc.view(), 5)


@pytest.mark.parametrize("link", ["@evil.example/x", "https://evil.example//x/y", "x", "", 7, {"@odata.id": None}])
def test_a_link_that_is_no_path_is_refused(bmc: StrictBmc, driver: RedfishOobm, link: object) -> None:
    """Put after the BMC's address, some of these would name another one."""
    bmc.quirks["GET", SYSTEMS] = lambda request: request.reply(200, {"Members": [link]})
    with pytest.raises(Refused, match="names an address that is none"):
        driver.power_state(bmc.view(), 5)


@pytest.mark.parametrize("start", ["https://evil.example", "//evil.example"])
def test_a_full_link_loses_its_host(bmc: StrictBmc, driver: RedfishOobm, start: str) -> None:
    """Whatever host it names, the question goes to the BMC."""
    link = {"@odata.id": f"{start}{SYSTEM}"}
    bmc.quirks["GET", SYSTEMS] = lambda request: request.reply(200, {"Members": [link]})
    assert driver.power_state(bmc.view(), 5) is PowerState.ON


@pytest.mark.parametrize("drip", ["status line", "headers", "body"])
def test_an_answer_that_drips_ends_at_the_deadline(bmc: StrictBmc, driver: RedfishOobm, drip: str) -> None:
    """Each byte in time does not make the whole in time."""

    def slowly(request: Request) -> None:
        text = {
            "status line": b"HTTP/1.1 200 OK" + b" " * 1000,
            "headers": b"HTTP/1.1 200 OK\r\nX: " + b"x" * 1000,
            "body": b'HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{"PowerState": "Off"}' + b" " * 1000,
        }[drip]
        for byte in text:
            request.wfile.write(bytes([byte]))
            request.wfile.flush()
            if ended.wait(0.02):
                return

    ended = threading.Event()
    driver.power_state(bmc.view(), 5)
    bmc.quirks["GET", SYSTEM] = slowly
    with pytest.raises(DeadlineExceeded):
        driver.power_state(bmc.view(), 0.4)
    ended.set()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"address": ""}, "no host"),
        ({"address": "https://10.0.0.1"}, "without a URL"),
        ({"address": "a b"}, "no host"),
        ({"port": "many"}, "not a TCP port"),
        ({"port": "0"}, "not a TCP port"),
        ({"port": "70000"}, "not a TCP port"),
        ({"username": "a:b"}, "user name"),
        ({"options": {"uuid": "x"}}, "not a UUID"),
        ({"options": {"scheme": "ftp"}}, "choose one of https, http"),
        ({"options": {"authentication": "none"}}, "choose one of auto"),
        ({"options": {"certificate_fingerprint": "ab:cd"}}, "64 hexadecimal digits"),
    ],
)
def test_bad_configuration_is_refused_with_its_own_words(
    bmc: StrictBmc, driver: RedfishOobm, change: dict[str, object], words: str
) -> None:
    """And nothing is sent."""
    with pytest.raises(Refused, match=words):
        driver.power_state(replace(bmc.view(), **change), 5)  # type: ignore[arg-type]
    assert bmc.seen == []


def test_a_closed_port_is_unreachable_with_a_hint(bmc: StrictBmc, driver: RedfishOobm) -> None:
    """Port 623 is what configurations from IPMI bring along."""
    with pytest.raises(Unreachable, match="623 is IPMI's port"):
        driver.power_state(replace(bmc.view(), port="623"), 5)


def test_a_name_that_nobody_knows_is_unreachable(driver: RedfishOobm, bmc: StrictBmc) -> None:
    """The text says to use an address."""
    with pytest.raises(Unreachable, match="name"):
        driver.power_state(replace(bmc.view(), address="bmc.invalid"), 5)


def test_the_session_collection_is_taken_from_the_root(bmc: StrictBmc, driver: RedfishOobm) -> None:
    """One login, then one request for each reading."""
    for _ in range(3):
        driver.power_state(bmc.view(), 5)
    assert [seen.path for seen in bmc.seen].count(SYSTEM) == 3
    assert len(bmc.requests("POST", SESSIONS)) == 1
