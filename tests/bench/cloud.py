"""A cloud for benchmarks: the rows of its hosts and VMs in a SQLite file, and drivers that answer as a real one would.

The manager, the store, the coordinator, the HA provider and the placement plugins are the shipped ones. Only the ends
of the wires are made up: BMCs that answer after a fixed time, and agents that start what they are told to.
"""

import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from holdfast.adapter import adapt
from holdfast.config import from_document
from holdfast.discovery import discover
from holdfast.errors import Unreachable
from holdfast.hooks.hypervisor import HostListener
from holdfast.hooks.markers import hookimpl
from holdfast.hooks.points import POINTS
from holdfast.hooks.store import Change, Insert, Query
from holdfast.model import (
    Cluster,
    HaConfig,
    HAState,
    Host,
    Oobm,
    Permit,
    PermitGrant,
    PermitState,
    Pod,
    PowerAction,
    PowerState,
    Row,
    Secret,
    ServiceOffering,
    StoragePool,
    Template,
    Vm,
    VmState,
    Zone,
)
from holdfast.model.states import GuestState, HostStatus
from holdfast.model.views import Beat, BmcView, HostView, VmReport, VmSpec
from holdfast.plugins import Plugins
from holdfast_store.sqlite import SqliteDatabase
from holdfast_store.store import SqlStore

_BATCH = 5_000
_MEMORIES = {1: (512, 1024, 2048), 2: (2048, 4096, 8192), 4: (4096, 8192)}
SIZES = tuple((cores, memory) for cores, memories in _MEMORIES.items() for memory in memories)
"""Cores and MiB of the VMs."""


# --- rows -------------------------------------------------------------------------------------------------------


def open_store(folder: Path) -> SqlStore:
    """A new store in a SQLite file, with the durability that a server uses."""
    store = SqlStore({"data_dir": str(folder)})
    store.bind(SqliteDatabase({"data_dir": str(folder)}))
    store.migrate()
    return store


def fill(store: SqlStore, hosts: int, per_cluster: int, vms_per_host: int = 0, state: HAState | None = None) -> None:
    """Hosts with HA and out-of-band management on, named host-00000 and so on, and running HA VMs on each."""
    (zone,) = store.commit([Insert(Zone(uuid="zone", name="zone"))])
    (pod,) = store.commit([Insert(Pod(uuid="pod", name="pod", data_center_id=zone))])
    store.commit([Insert(Template(uuid="t", name="t", display_text="t", hypervisor_type="Simulator"))])
    store.commit([Insert(ServiceOffering(uuid="o", name="o", display_text="", cpu=1, speed=1000, ram_size=1024))])
    (pool,) = store.commit(
        [
            Insert(
                StoragePool(uuid="pool", name="pool", pool_type="NetworkFilesystem", data_center_id=zone, scope="ZONE")
            )
        ]
    )
    count = -(-hosts // per_cluster)
    names = [f"cluster-{number:04}" for number in range(count)]
    clusters = store.commit(
        [Insert(Cluster(uuid=n, name=n, pod_id=pod, data_center_id=zone, hypervisor_type="Simulator")) for n in names]
    )
    rows = [_host(number, zone, pod, clusters[number // per_cluster]) for number in range(hosts)]
    ids = _insert(store, rows)
    _insert(store, [HaConfig(resource_id=i, enabled=True, provider="simulatorhaprovider", ha_state=state) for i in ids])
    _insert(store, [_oobm(host_id, row.uuid) for host_id, row in zip(ids, rows, strict=True)])
    if vms_per_host:
        _fill_vms(store, list(zip(ids, rows, strict=True)), vms_per_host, pool)


def _insert(store: SqlStore, rows: list[Any]) -> list[int]:
    ids: list[int] = []
    for start in range(0, len(rows), _BATCH):
        ids += store.commit([Insert(row) for row in rows[start : start + _BATCH]])
    return ids


def _host(number: int, zone: int, pod: int, cluster: int) -> Host:
    name = f"host-{number:05}"
    return Host(
        uuid=name, name=name, hypervisor_type="Simulator", data_center_id=zone, pod_id=pod, cluster_id=cluster,
        url=f"http://sim/{name}", status=HostStatus.UP, cpus=64, speed=2500, ram=512 << 30,
    )  # fmt: skip


def _oobm(host_id: int, name: str) -> Oobm:
    return Oobm(
        host_id=host_id, enabled=True, driver="simulator", address=f"bmc-{name}", port="623", username="admin",
        password=Secret("bench"), power_state=PowerState.ON,
    )  # fmt: skip


def _fill_vms(store: SqlStore, hosts: list[tuple[int, Host]], per_host: int, pool: int) -> None:
    rows = []
    for host_id, host in hosts:
        for _ in range(per_host):
            number = len(rows)
            cpu, ram = SIZES[number * 7919 % len(SIZES)]
            rows.append(
                Vm(
                    uuid=f"vm-{number:06}", name=f"vm-{number:06}", instance_name=f"i-{number}", state=VmState.RUNNING,
                    vm_template_id=1, service_offering_id=1, data_center_id=host.data_center_id, pod_id=host.pod_id,
                    cluster_id=host.cluster_id, host_id=host_id, pool_id=pool, cpu=cpu, cpu_speed=1000, ram=ram,
                    ha_enabled=True, run_epoch=1, affinity_group=f"group-{number // 15}" if number % 5 == 0 else "",
                )
            )  # fmt: skip
    ids = _insert(store, rows)
    _insert(
        store,
        [
            Permit(vm_id=vm_id, run_epoch=1, host_id=row.host_id, state=PermitState.RUNNING, proof_kind="never-ran")
            for vm_id, row in zip(ids, rows, strict=True)
        ],
    )


# --- a store that is watched --------------------------------------------------------------------------------------


class WatchedStore:
    """A store that notes each batch: when its commit returned, what it took, and its changes."""

    def __init__(self, store: SqlStore) -> None:
        self._store = store
        self.get, self.select, self.count = store.get, store.select, store.count
        self.batches: list[tuple[float, float, tuple[Change, ...]]] = []

    def commit(self, changes: tuple[Change, ...]) -> tuple[int, ...]:
        """Commit, and note."""
        began = time.monotonic()
        ids = self._store.commit(changes)
        done = time.monotonic()
        self.batches.append((done, done - began, tuple(changes)))
        return ids


def written_tables(changes: tuple[Change, ...]) -> list[str]:
    """The table of each change that writes."""
    found: list[type[Row]] = []
    for change in changes:
        record = type(change.row) if isinstance(change, Insert) else getattr(change, "record", None)
        if record is not None:
            found.append(record)
    return [record.TABLE for record in found]


# --- drivers ------------------------------------------------------------------------------------------------------


class Fleet:
    """What is true of the hosts, and the thread that beats for them."""

    def __init__(self, bmc_seconds: float, start_seconds: float) -> None:
        self.bmc_seconds = bmc_seconds
        self.start_seconds = start_seconds
        self.dead: set[str] = set()
        self.power_reads = 0
        self.guests: dict[str, dict[str, int]] = {}
        """Host uuid -> VM uuid -> run epoch of the runs that the host has."""
        self.cpu = 0.0
        """CPU seconds of the beating thread so far: the beats' making, and the manager's `on_beat`."""
        self.beats = 0
        self._listeners: dict[str, HostListener] = {}
        self._guard = threading.Lock()
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="beats", daemon=True)

    def house(self, store: SqlStore) -> None:
        """Let every host have the runs that the store believes in."""
        hosts = {host.id: host.uuid for host in store.select(Host, Query())}
        for vm in store.select(Vm, Query(unequal={"host_id": None})):
            self.guests.setdefault(hosts[vm.host_id or 0], {})[vm.uuid] = vm.run_epoch

    def start(self) -> None:
        """Begin to beat for every attached host."""
        self._thread.start()

    def stop(self) -> None:
        """Beat no more."""
        self._ending.set()
        self._thread.join()

    def attach(self, uuid: str, listener: HostListener) -> None:
        """A host connects, and beats from now on."""
        with self._guard:
            self._listeners[uuid] = listener
        listener.on_connected(uuid, "boot", 64, 2500, 512 << 30)

    def detach(self, uuid: str) -> None:
        """Deliver its beats no more."""
        with self._guard:
            self._listeners.pop(uuid, None)

    def _beat(self) -> None:
        """One beat a second for each host, a fiftieth of the hosts at a time."""
        slices, sequence = 50, 0
        began, turn = time.monotonic(), 0
        while not self._ending.is_set():
            if turn % slices == 0:
                sequence += 1
                with self._guard:
                    attached = list(self._listeners.items())
            for uuid, listener in attached[turn % slices :: slices]:
                if uuid not in self.dead:
                    listener.on_beat(Beat(uuid, "boot", sequence, False))
                    self.beats += 1
            turn += 1
            self.cpu = time.thread_time()
            self._ending.wait(max(0.0, began + turn / slices - time.monotonic()))


class FleetHypervisor:
    """Hypervisor driver `simulator` over a `Fleet`."""

    runs_on = "server"

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet

    @hookimpl
    def attach(self, host: HostView, listener: HostListener) -> None:
        """The host's agent connects."""
        self._fleet.attach(host.uuid, listener)

    @hookimpl
    def detach(self, host_uuid: str) -> None:
        """Its connection ends."""
        self._fleet.detach(host_uuid)

    @hookimpl
    def start_vm(self, host: HostView, vm: VmSpec, permit: PermitGrant, deadline: float) -> None:
        """Takes as long as a start does."""
        time.sleep(self._fleet.start_seconds)
        self._fleet.guests.setdefault(host.uuid, {})[vm.uuid] = permit.run_epoch

    @hookimpl
    def stop_vm(self, host: HostView, vm_uuid: str, run_epoch: int, graceful: bool, deadline: float) -> None:
        """Ends the run at once."""
        if self._fleet.guests.get(host.uuid, {}).get(vm_uuid, run_epoch + 1) <= run_epoch:
            del self._fleet.guests[host.uuid][vm_uuid]

    @hookimpl
    def list_vms(self, host: HostView, deadline: float) -> tuple[VmReport, ...]:
        """All runs of the host; a dead one does not answer."""
        if host.uuid in self._fleet.dead:
            time.sleep(deadline)
            raise Unreachable(f"no answer within {deadline:g} s")
        guests = self._fleet.guests.get(host.uuid, {})
        return tuple(VmReport(uuid, GuestState.RUNNING, epoch) for uuid, epoch in list(guests.items()))


class FleetOobm:
    """OOBM driver `simulator` over a `Fleet`."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet

    @hookimpl
    def power_state(self, bmc: BmcView, deadline: float) -> PowerState:
        """The chassis power, after the BMC's usual time."""
        time.sleep(self._fleet.bmc_seconds)
        self._fleet.power_reads += 1
        return PowerState.OFF if bmc.host_uuid in self._fleet.dead else PowerState.ON

    @hookimpl
    def power_action(self, bmc: BmcView, action: PowerAction, deadline: float) -> str:
        """Accepted. A dead rack has no mains: ON changes nothing."""
        time.sleep(self._fleet.bmc_seconds)
        return "accepted"


class Hub:
    """What the manager asks of the plugin loader: the fleet's drivers, and the installed ones for all else."""

    def __init__(self, fleet: Fleet) -> None:
        catalogue = discover()
        self._installed = Plugins(from_document({}, catalogue=catalogue), catalogue)
        provider = self._installed.driver_class("provider", "simulatorhaprovider")({})
        self._drivers = {
            (point, name): adapt(POINTS[point], driver, f"benchmark's {point}")
            for point, name, driver in (
                ("provider", "simulatorhaprovider", provider),
                ("oobm", "simulator", FleetOobm(fleet)),
                ("hypervisor", "simulator", FleetHypervisor(fleet)),
            )
        }

    def driver(self, point: str, name: str) -> Any:
        """The fleet's driver."""
        return self._drivers[(point, name)]

    def drivers(self, point: str) -> tuple[Any, ...]:
        """Nobody is notified."""
        return ()

    def selected(self, point: str) -> tuple[str, ...] | None:
        """The default configuration's choice."""
        return self._installed.config.selected(point)

    def driver_class(self, point: str, name: str) -> Any:
        """An installed driver's class."""
        return self._installed.driver_class(point, name)

    def settings(self, point: str, name: str) -> Mapping[str, Any]:
        """An installed driver's settings."""
        return self._installed.settings(point, name)
