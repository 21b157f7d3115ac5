"""The shared world in real time outlives the process that simulates it."""

import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from holdfast.errors import ConfigurationError, Refused, Unreachable
from holdfast.model import GuestState, PermitGrant, PowerAction, PowerState, Proof, ProofKind, Secret
from holdfast.model.views import Beat, BmcView, DiskSpec, HostView, NicSpec, PoolView, VmReport, VmSpec
from holdfast_simulator.heartbeat import SimulatorHeartbeat
from holdfast_simulator.hypervisor import SimulatorHypervisor
from holdfast_simulator.journal import FileJournal
from holdfast_simulator.oobm import SimulatorOobm
from holdfast_simulator.shared import forget_shared_worlds, shared_world
from holdfast_simulator.world.bmc import BmcMode
from holdfast_simulator.world.host import Condition

HOST = HostView("uuid-1", "host-1", "Simulator", "z", "p", "c", url="http://sim/node1")
BMC = BmcView("uuid-1", "simulator", "10.0.0.1", "623", "admin", Secret("word"))
VM = VmSpec("vm-1", "vm-1", "i-1", 1, 1000, 1024)


class Ear:
    """A listener that waits for its first beat."""

    def __init__(self) -> None:
        self.connected: list[tuple[str, str, int, int, int]] = []
        self.heard = threading.Event()

    def on_connected(self, host_uuid: str, boot_id: str, cpus: int, speed: int, ram: int) -> None:
        self.connected.append((host_uuid, boot_id, cpus, speed, ram))

    def on_beat(self, beat: Beat) -> None:
        self.heard.set()

    def on_vm(self, host_uuid: str, report: VmReport) -> None:
        """Not looked at."""


@pytest.fixture
def settings(tmp_path: Path) -> Iterator[dict[str, Path]]:
    yield {"path": tmp_path / "data" / "simulator.db"}
    forget_shared_worlds()


def grant(epoch: int) -> PermitGrant:
    return PermitGrant("vm-1", epoch, "uuid-1", 1, Proof(ProofKind.NEVER_RAN, "vm-1", 0.0))


def test_a_host_comes_into_being_when_it_is_attached(settings: dict[str, Path]) -> None:
    """By its URL, with the default size, and beats in real time."""
    ear = Ear()
    SimulatorHypervisor(settings).attach(HOST, ear)
    assert ear.heard.wait(10)
    assert ear.connected == [("uuid-1", "node1-boot-1", 32, 2400, 128 * 2**30)]
    assert shared_world(settings).world.host("uuid-1").name == "node1"


def test_all_drivers_of_one_path_share_one_world(settings: dict[str, Path]) -> None:
    """And another path is another world."""
    hypervisor, oobm, heartbeat = (made(settings) for made in (SimulatorHypervisor, SimulatorOobm, SimulatorHeartbeat))
    assert hypervisor.gateway.world is oobm.gateway.world is heartbeat.gateway.world
    other = SimulatorOobm({"path": settings["path"].with_name("other.db")})
    assert other.gateway.world is not oobm.gateway.world


def test_a_bmc_without_its_host_is_unreachable(settings: dict[str, Path]) -> None:
    """And makes no host up that would stand in the way of the real one."""
    with pytest.raises(Unreachable, match="attached first"):
        SimulatorOobm(settings).power_state(BMC, 5.0)
    SimulatorHypervisor(settings).attach(HOST, Ear())
    assert SimulatorOobm(settings).power_state(BMC, 5.0) is PowerState.ON


def test_runs_and_refusals_survive_the_end_of_the_process(settings: dict[str, Path]) -> None:
    """The simulated hosts go on while nobody simulates them."""
    hypervisor = SimulatorHypervisor(settings)
    hypervisor.start_vm(HOST, VM, grant(4), 5.0)
    SimulatorHeartbeat(settings).prepare(PoolView("pool", "pool", "NFS", "simulator"), "uuid-1", 5.0)
    hypervisor.stop_vm(HOST, "vm-2", 9, False, 5.0)
    shared_world(settings).world.host("uuid-1").bmc().set_mode(BmcMode.LYING)
    forget_shared_worlds()
    world = shared_world(settings).world
    host = world.host("uuid-1")
    assert host.condition is Condition.UP
    assert host.boot_id == "node1-boot-1"
    assert host.pools == ["pool"]
    assert host.bmc().mode is BmcMode.LYING
    reports = SimulatorHypervisor(settings).list_vms(HOST, 5.0)
    assert reports == (VmReport("vm-1", GuestState.RUNNING, 4),)
    with pytest.raises(Refused):
        SimulatorHypervisor(settings).start_vm(HOST, VmSpec("vm-2", "", "", 1, 1, 1), grant(9), 5.0)


def test_disks_and_networks_of_a_vm_are_kept(settings: dict[str, Path]) -> None:
    """They come back from the world's file as they went in."""
    pool = PoolView("pool", "pool", "NetworkFilesystem", "simulator", details={"mount": "/mnt"})
    spec = replace(VM, disks=(DiskSpec(pool, "vm-1"),), nics=(NicSpec("02:00:00:00:00:01", "guests"),))
    SimulatorHypervisor(settings).start_vm(HOST, spec, grant(1), 5.0)
    forget_shared_worlds()
    assert SimulatorHypervisor(settings).list_vms(HOST, 5.0) == (VmReport("vm-1", GuestState.RUNNING, 1),)
    assert shared_world(settings).world.host("uuid-1").book.guests["vm-1"].spec == spec


def test_an_accepted_order_is_carried_out_though_the_process_ends(settings: dict[str, Path]) -> None:
    """What fell due meanwhile has happened when the world wakes, runs included."""
    SimulatorHypervisor(settings).start_vm(HOST, VM, grant(1), 5.0)
    SimulatorOobm(settings).power_action(BMC, PowerAction.OFF, 5.0)
    forget_shared_worlds()
    path = settings["path"]
    _make_due(path)
    oobm = SimulatorOobm(settings)
    assert oobm.power_state(BMC, 5.0) is PowerState.OFF
    assert shared_world(settings).world.live_runs("vm-1") == []


def _make_due(path: Path) -> None:
    """Move the accepted orders into the past, as if the process had been down for long."""
    journal = FileJournal(path)
    ((name, state),) = journal.load().items()
    (order,) = state["bmcs"]["1"]["pending"]
    order[0] -= 3600
    journal.save(name, lambda: state)
    journal.close()


def test_a_path_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    """With what to do."""
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigurationError, match=r"file/simulator\.db.*set another `path`"):
        SimulatorOobm({"path": tmp_path / "file" / "simulator.db"})


def test_no_password_reaches_the_journal(settings: dict[str, Path]) -> None:
    """Only a digest of it."""
    SimulatorHypervisor(settings).attach(HOST, Ear())
    SimulatorOobm(settings).set_password(BMC, "very-secret-word", 5.0)
    forget_shared_worlds()
    assert b"very-secret-word" not in settings["path"].read_bytes()
