"""The way to libvirtd: bounded waits, bounded threads, and plain words where it cannot be used."""

import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from holdfast.errors import ConfigurationError, Refused, Unreachable
from holdfast.model import PermitGrant, Proof, ProofKind
from holdfast.model.views import HostView, VmSpec
from holdfast_hypervisor_kvm import binding, connection
from holdfast_hypervisor_kvm.connection import Connection, refusal
from holdfast_hypervisor_kvm.deadline import Abandoned, Calls, Deadline
from holdfast_hypervisor_kvm.driver import KvmHypervisor


class LibvirtError(Exception):
    """As the binding's."""

    def get_error_message(self) -> str:
        return str(self)


class Handle:
    """A connection as the binding gives it."""

    def __init__(self, version: int = 9_000_000) -> None:
        self.version = version
        self.alive = True
        self.closed: tuple[Callable[..., None], Any] | None = None

    def setKeepAlive(self, _interval: int, _count: int) -> None:
        """Of no matter here."""

    def getLibVersion(self) -> int:
        return self.version

    def registerCloseCallback(self, callback: Callable[..., None], opaque: Any) -> None:
        self.closed = (callback, opaque)

    def isAlive(self) -> bool:
        return self.alive


class Bed:
    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.handles: list[Handle] = []
        self.answer: Callable[[], Handle] = Handle
        self.lost = 0
        module = SimpleNamespace(open=self._open, libvirtError=LibvirtError)
        monkeypatch.setattr(connection, "libvirt", lambda: module)
        self.connection = Connection("test:///", lambda handle: None, self._count)

    def _open(self, _uri: str) -> Handle:
        self.handles.append(self.answer())
        return self.handles[-1]

    def _count(self) -> None:
        self.lost += 1


@pytest.fixture
def bed(monkeypatch: pytest.MonkeyPatch) -> Bed:
    return Bed(monkeypatch)


def test_one_connection_serves_until_it_breaks(bed: Bed) -> None:
    """Then another one is opened, and the loss is told once."""
    for _ in range(3):
        assert bed.connection.ask("asking", Deadline(5), lambda handle: handle) is bed.handles[0]
    bed.handles[0].alive = False
    assert bed.connection.ask("asking", Deadline(5), lambda handle: handle) is bed.handles[1]
    callback, opaque = bed.handles[0].closed or (None, None)
    assert callback is not None
    callback(bed.handles[0], 0, opaque)
    assert bed.lost == 0, "the old connection's end is no news of the new one"
    callback, opaque = bed.handles[1].closed or (None, None)
    assert callback is not None
    callback(bed.handles[1], 0, opaque)
    callback(bed.handles[1], 0, opaque)
    assert bed.lost == 1


def test_a_no_of_libvirt_is_told_apart_from_a_broken_connection(bed: Bed) -> None:
    """The first is for the caller to judge; after the second the outcome is not known."""

    def no(handle: Handle) -> None:
        raise LibvirtError("no such thing")

    def broken(handle: Handle) -> None:
        handle.alive = False
        raise LibvirtError("end of file")

    with pytest.raises(LibvirtError, match="no such thing"):
        bed.connection.ask("asking", Deadline(5), no)
    with pytest.raises(Unreachable, match="no such thing"):
        bed.connection.look("asking", Deadline(5), no)
    with pytest.raises(Unreachable, match="connection to libvirtd broke"):
        bed.connection.ask("asking", Deadline(5), broken)


def test_a_libvirt_that_is_too_old_is_named(bed: Bed) -> None:
    """When the agent attaches, and to whoever asks afterwards: nothing happened."""
    bed.answer = lambda: Handle(8_006_000)
    with pytest.raises(ConfigurationError, match=r"libvirt 8\.6\.0 is older than 9\.0\.0"):
        bed.connection.open(Deadline(5))
    with pytest.raises(Refused, match="older than"):
        bed.connection.ask("asking", Deadline(5), lambda handle: handle)


def test_a_host_whose_libvirt_is_too_old_says_so_of_everything_and_loses_no_vm(bed: Bed, tmp_path: Path) -> None:
    """Downgraded under a VM that runs: nothing is called absent, nothing is started, and nothing counts as stopped."""
    bed.answer = lambda: Handle(8_006_000)
    driver = KvmHypervisor({"state_dir": tmp_path})
    driver._book.begin("vm-1", "i-2-1-VM", 3, "boot", 0.0)
    host = HostView("h1", "host1", "KVM", "z", "p", "c")
    vm = VmSpec("vm-2", "vm2", "i-2-2-VM", 1, 500, 64)
    grant = PermitGrant("vm-2", 1, "h1", 1, Proof(ProofKind.NEVER_RAN, "vm-2", 0.0))
    with pytest.raises(ConfigurationError, match="upgrade the host"):
        driver.attach(host, SimpleNamespace())  # type: ignore[arg-type]
    for ask in (
        lambda: driver.list_vms(host, 5.0),
        lambda: driver.start_vm(host, vm, grant, 5.0),
        lambda: driver.stop_vm(host, "vm-1", 3, False, 5.0),
    ):
        with pytest.raises(Refused, match=r"libvirt 8\.6\.0 is older than 9\.0\.0"):
            ask()


def test_a_libvirtd_that_is_not_there_is_unreachable(bed: Bed) -> None:
    """With its address."""

    def absent() -> Handle:
        raise LibvirtError("Failed to connect socket")

    bed.answer = absent
    with pytest.raises(Unreachable, match="test:///"):
        bed.connection.open(Deadline(5))


def test_a_missing_binding_is_named_with_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    """What to install, in words."""
    monkeypatch.setitem(sys.modules, "libvirt", None)
    with pytest.raises(ConfigurationError, match="python3-libvirt"):
        binding.libvirt()


def test_a_call_that_hangs_costs_its_place_and_no_more() -> None:
    """The caller leaves in time; the next ones learn at once; and the late end is told to whoever has to clean up."""
    calls, gate, late = Calls(2), threading.Event(), threading.Event()
    for _ in range(2):
        began = time.monotonic()
        with pytest.raises(Abandoned):
            calls.run("hanging", Deadline(0.2), gate.wait, late.set)
        assert time.monotonic() - began < 5
    with pytest.raises(Unreachable, match="earlier calls"):
        calls.run("asking", Deadline(0.2), lambda: 1)
    assert not late.is_set()
    gate.set()
    assert late.wait(5)
    assert calls.run("asking", Deadline(5), lambda: 1) == 1


def test_what_a_call_raises_reaches_its_caller() -> None:
    """Whatever it is."""
    with pytest.raises(ZeroDivisionError):
        Calls(1).run("dividing", Deadline(5), lambda: 1 // 0)


def test_refusals_are_one_line_with_advice() -> None:
    """Not pages of QEMU's command line."""
    text = 'internal error: qemu:\n  Failed to get "write" lock\n' + "x" * 5000
    said = str(refusal("VM a was not started", LibvirtError(text)))
    assert "\n" not in said
    assert said.startswith("VM a was not started: ")
    assert "refuses a second writer" in said
    assert len(said) < 800
