"""Many BMCs are read in one call; what one of them does is no matter to the others."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace

import pytest
from holdfast.errors import AuthenticationFailed, DriverError, Refused, Unreachable
from holdfast.model.states import PowerState
from holdfast.model.views import BmcView
from holdfast_oobm_redfish.driver import RedfishOobm
from holdfast_oobm_redfish.sweep import Sweep
from strict_bmc import SYSTEMS, Request, StrictBmc, StrictSystem


@pytest.fixture
def dark_port() -> Iterator[int]:
    """A port that takes connections and says nothing."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(64)
        yield listener.getsockname()[1]


def test_each_host_gets_its_own_answer(bmc: StrictBmc, driver: RedfishOobm, dark_port: int) -> None:
    """States, and errors in the place of states."""
    bmc.systems = {"on": StrictSystem(), "off": StrictSystem("Off"), "odd": StrictSystem("Paused")}
    views = [replace(bmc.view(system=name), host_uuid=name) for name in bmc.systems]
    views.append(replace(bmc.view(system="none"), host_uuid="none"))
    views.append(replace(bmc.view("wrong password"), host_uuid="wrong"))
    views.append(replace(bmc.view(), host_uuid="dark", port=str(dark_port)))
    found = driver.power_states(views, 1.0)
    assert (found["on"], found["off"], found["odd"]) == (PowerState.ON, PowerState.OFF, PowerState.UNKNOWN)
    assert isinstance(found["none"], Refused)
    assert isinstance(found["wrong"], AuthenticationFailed)
    assert isinstance(found["dark"], Unreachable)
    assert len(found) == len(views)


def test_dark_bmcs_take_no_threads_from_the_others(bmc: StrictBmc, make_driver: Callable[..., RedfishOobm]) -> None:
    """One thread, many dark: the first sweep learns it, and the next has time for the one that is there."""
    driver = make_driver(scheme="http", retries=0, threads=1)
    with socket.socket() as full, ExitStack() as stuffing:
        # A backlog that is full drops packets, as a dead machine does.
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        port = full.getsockname()[1]
        for _ in range(4):
            waiting = stuffing.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(("127.0.0.1", port))
        dark = [replace(bmc.view(), host_uuid=f"dark-{number}", port=str(port)) for number in range(20)]
        driver.power_states(dark[:1], 0.2)
        found = driver.power_states([*dark, replace(bmc.view(), host_uuid="here")], 3.0)
        assert found["here"] is PowerState.ON
        assert all(isinstance(found[view.host_uuid], Unreachable) for view in dark)


def test_bmcs_that_take_connections_and_hang_hold_up_nobody(
    bmc: StrictBmc, make_driver: Callable[..., RedfishOobm], dark_port: int
) -> None:
    """They have a few threads of their own; the one thread of the others is free."""
    driver = make_driver(scheme="http", retries=0, threads=1)
    hung = [replace(bmc.view(), host_uuid=f"hung-{number}", port=str(dark_port)) for number in range(10)]
    driver.power_states(hung[:1], 0.2)
    found = driver.power_states([*hung, replace(bmc.view(), host_uuid="here")], 1.0)
    assert found["here"] is PowerState.ON
    assert all(isinstance(found[view.host_uuid], Unreachable) for view in hung)


def test_a_bmc_that_comes_back_is_read_again(bmc: StrictBmc, driver: RedfishOobm) -> None:
    """In the very next sweep."""
    path = f"{SYSTEMS}/1"
    bmc.quirks["GET", path] = lambda request: request.complain(503, "restarting")
    view = bmc.view()
    assert isinstance(driver.power_states([view], 5)[view.host_uuid], Unreachable)
    del bmc.quirks["GET", path]
    assert driver.power_states([view], 5)[view.host_uuid] is PowerState.ON


def test_a_sweep_ends_at_its_deadline(bmc: StrictBmc, make_driver: Callable[..., RedfishOobm]) -> None:
    """With more BMCs that hang than threads, those in the queue are not asked, and say so."""
    driver, free = make_driver(scheme="http", retries=0, threads=2), threading.Event()

    def hang(request: Request) -> None:
        free.wait(10)
        request.close_connection = True

    driver.power_state(bmc.view(), 5)
    bmc.quirks["GET", f"{SYSTEMS}/1"] = hang
    found = driver.power_states([replace(bmc.view(), host_uuid=f"host-{number}") for number in range(5)], 0.5)
    assert not free.is_set()
    free.set()
    assert len(found) == 5
    assert all(isinstance(answer, Unreachable) for answer in found.values())


def test_no_bmcs_are_no_trouble(driver: RedfishOobm) -> None:
    """And closing twice is none either."""
    assert driver.power_states([], 1.0) == {}
    driver.close()
    driver.close()


def test_a_broken_reading_is_an_error_of_that_host_alone(bmc: StrictBmc) -> None:
    """A sweep raises nothing itself."""

    def read(view: BmcView, deadline: float) -> PowerState:
        if view.host_uuid == "bad":
            raise ZeroDivisionError
        return PowerState.ON

    sweep = Sweep(read, 2)
    found = sweep.ask([replace(bmc.view(), host_uuid="bad"), replace(bmc.view(), host_uuid="good")], 1.0)
    sweep.close()
    assert type(found["bad"]) is DriverError
    assert found["good"] is PowerState.ON
