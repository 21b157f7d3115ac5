"""The thread that talks with all BMCs, seen from its callers, without any BMC."""

import asyncio
import socket
import threading
from collections.abc import Iterator

import pytest
from holdfast.errors import DeadlineExceeded, DriverError, Unreachable
from holdfast.model.secret import Secret
from holdfast.model.views import BmcView
from holdfast_conformance.calls import kept_deadline
from holdfast_oobm_ipmi import resolver
from holdfast_oobm_ipmi.connection import Connection
from holdfast_oobm_ipmi.driver import IpmiOobm
from holdfast_oobm_ipmi.pool import Limits
from holdfast_oobm_ipmi.resolver import Resolver
from holdfast_oobm_ipmi.target import Target
from holdfast_oobm_ipmi.worker import Worker

TARGET = Target("h1", "127.0.0.1", 623, b"root", Secret("S3cret-of-bmc!"))


@pytest.fixture
def worker() -> Iterator[Worker]:
    """Ended after the test."""
    worker = Worker(Limits())
    yield worker
    worker.close()


@pytest.fixture
def dark_port() -> Iterator[int]:
    """A port where packets go in and nothing comes out."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as hole:
        hole.bind(("127.0.0.1", 0))
        yield hole.getsockname()[1]


def test_the_thread_begins_with_the_first_request(worker: Worker) -> None:
    """A driver that is loaded and not used costs nothing."""
    assert "oobm-ipmi" not in {thread.name for thread in threading.enumerate()}
    assert worker.perform(TARGET, _nothing, 5) is None
    assert "oobm-ipmi" in {thread.name for thread in threading.enumerate()}


def test_it_can_be_used_after_it_was_closed(worker: Worker) -> None:
    """The next request starts a new thread."""
    worker.perform(TARGET, _nothing, 5)
    worker.close()
    worker.close()
    assert worker.perform(TARGET, _nothing, 5) is None


@pytest.mark.parametrize("deadline", [0.0, -1.0, float("nan")])
def test_a_deadline_that_is_over_is_told_at_once(worker: Worker, deadline: float) -> None:
    """Nothing is sent, and no thread is begun."""
    with pytest.raises(DeadlineExceeded, match="before anything was sent"):
        worker.perform(TARGET, _nothing, deadline)


def test_an_operation_that_never_ends_is_given_up(worker: Worker) -> None:
    """The caller comes back, and so does the next one for the same BMC."""
    outcome = kept_deadline(0.2, lambda: worker.perform(TARGET, _for_ever, 0.2))
    assert isinstance(outcome.error, DeadlineExceeded)
    assert worker.perform(TARGET, _nothing, 5) is None


def test_an_error_that_nobody_foresaw_is_a_driver_error_without_its_text(
    worker: Worker, caplog: pytest.LogCaptureFixture
) -> None:
    """Its text may show anything; the log has the place."""
    with pytest.raises(DriverError, match="ZeroDivisionError"):
        worker.perform(TARGET, _broken, 5)
    assert "unforeseen ZeroDivisionError" in caplog.text


def test_callers_of_a_closed_worker_are_not_left_waiting(worker: Worker) -> None:
    """Closing ends their calls with an error."""
    begun = threading.Event()

    async def wait(_connection: Connection) -> None:
        begun.set()
        await asyncio.Event().wait()

    def close() -> None:
        begun.wait()
        worker.close()

    thread = threading.Thread(target=close)
    thread.start()
    outcome = kept_deadline(30, lambda: worker.perform(TARGET, wait, 30))
    thread.join()
    assert isinstance(outcome.error, Unreachable)


def test_dark_bmcs_do_not_slow_each_other(dark_port: int) -> None:
    """A hundred of them in one reading take no longer than one, and each has its own error."""
    driver = IpmiOobm({"batch_patience_seconds": 0.3})
    bmcs = [
        BmcView(f"h{index}", "ipmi", "127.0.0.1", str(dark_port), f"user{index}", Secret("S3cret-of-bmc!"))
        for index in range(100)
    ]
    outcome = kept_deadline(30.0, lambda: driver.power_states(bmcs, 30.0))
    driver.close()
    assert len(outcome.value) == 100
    assert all(isinstance(error, DeadlineExceeded) for error in outcome.value.values())
    assert "asking for the authentication capabilities" in str(outcome.value["h0"])


def test_a_reading_that_came_too_late_is_an_error_of_each(dark_port: int) -> None:
    """It raises nothing itself, however busy the machine is."""
    driver = IpmiOobm({})
    bmcs = [BmcView(f"h{n}", "ipmi", "127.0.0.1", str(dark_port), "user", Secret("S3cret-of-bmc!")) for n in range(3)]
    found = driver.power_states(bmcs, 1e-9)
    driver.close()
    assert {key: type(error) for key, error in found.items()} == {f"h{n}": DeadlineExceeded for n in range(3)}


def test_nothing_to_read_is_nothing_read() -> None:
    """And needs no thread."""
    assert IpmiOobm({}).power_states([], 5) == {}


def test_a_name_keeps_its_address_when_dns_is_down(monkeypatch: pytest.MonkeyPatch) -> None:
    """DNS may be down together with the hosts that have to be fenced."""
    found = [(socket.AF_INET, ("192.0.2.1", 623))]

    async def look() -> None:
        names = Resolver(asyncio.get_running_loop())
        monkeypatch.setattr(resolver, "_look_up", lambda *_arguments: found)
        assert await names.find("bmc.example", 623) == found
        monkeypatch.setattr(resolver, "FRESH_SECONDS", 0.0)
        monkeypatch.setattr(resolver, "_look_up", _no_dns)
        assert await names.find("bmc.example", 623) == found
        with pytest.raises(Unreachable, match="other\\.example cannot be looked up"):
            await names.find("other.example", 623)
        names.close()

    asyncio.run(look())


async def _nothing(_connection: Connection) -> None:
    return None


async def _for_ever(_connection: Connection) -> None:
    await asyncio.Event().wait()


async def _broken(_connection: Connection) -> None:
    raise ZeroDivisionError("a text that nobody shall see")


def _no_dns(*_arguments: object) -> None:
    raise socket.gaierror(-3, "Temporary failure in name resolution")
