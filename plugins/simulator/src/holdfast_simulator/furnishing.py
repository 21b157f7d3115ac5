"""The rows of a simulated cloud, and the VMs that run in it from the start."""

from holdfast.hooks.store import Change, Insert, Query, Update
from holdfast.model import (
    Cluster,
    Configuration,
    HaConfig,
    HAState,
    Host,
    Json,
    Oobm,
    Permit,
    PermitState,
    Pod,
    PowerState,
    Secret,
    ServiceOffering,
    StoragePool,
    Template,
    Vm,
    VmState,
    Zone,
)
from holdfast.model.states import HostStatus
from holdfast.model.views import VmSpec

from holdfast_simulator.memory_store import MemoryStore
from holdfast_simulator.scenario import Scenario
from holdfast_simulator.world.guests import Guest
from holdfast_simulator.world.world import World

_VM_RAM = 1024


def furnish(scenario: Scenario, world: World, store: MemoryStore) -> None:
    """Hosts, pools and running HA VMs, in the world and in the tables alike."""
    size = scenario.world
    store.commit([Insert(Configuration(name=name, value=value)) for name, value in sorted(scenario.settings.items())])
    zones = [_zone(number, store) for number in range(1, size.zones + 1)]
    places = [_cluster(f"c{number}", store, zones[(number - 1) % size.zones]) for number in range(1, size.clusters + 1)]
    store.commit(
        [
            Insert(ServiceOffering(uuid="o1", name="o1", display_text="", cpu=1, speed=500, ram_size=_VM_RAM)),
            Insert(Template(uuid="t1", name="t1", display_text="", hypervisor_type="Simulator")),
        ]
    )
    for number in range(1, size.pools + 1):
        _pool(f"p{number}", world, store, zones[(number - 1) % size.zones][0])
    for number in range(1, size.hosts + 1):
        _host(f"h{number}", world, store, places[(number - 1) % size.clusters], size.devices())
    for number in range(1, size.vms + 1):
        _vm(number, (number - 1) % (size.hosts - size.spare) + 1, world, store)


def _zone(number: int, store: MemoryStore) -> tuple[int, int]:
    """A zone and its only pod, by database id."""
    (zone,) = store.commit([Insert(Zone(uuid=f"z{number}", name=f"z{number}"))])
    (pod,) = store.commit([Insert(Pod(uuid=f"pod{number}", name=f"pod{number}", data_center_id=zone))])
    return zone, pod


def _cluster(name: str, store: MemoryStore, within: tuple[int, int]) -> tuple[int, int, int]:
    """Zone, pod and cluster, by database id."""
    zone, pod = within
    row = Cluster(uuid=name, name=name, pod_id=pod, data_center_id=zone, hypervisor_type="Simulator")
    (cluster,) = store.commit([Insert(row)])
    return zone, pod, cluster


def _pool(name: str, world: World, store: MemoryStore, zone: int) -> None:
    world.add_pool(name)
    pool = StoragePool(
        uuid=name, name=name, pool_type="NetworkFilesystem", scope="ZONE", heartbeat="simulator", data_center_id=zone
    )
    store.commit([Insert(pool)])


def _pools_of(zone: int, store: MemoryStore) -> list[StoragePool]:
    return store.select(StoragePool, Query(equal={"data_center_id": zone}, order=("id",)))


def _host(
    name: str,
    world: World,
    store: MemoryStore,
    place: tuple[int, int, int],
    devices: tuple[tuple[int, int, int], ...],
) -> None:
    zone, pod, cluster = place
    machine = world.add_host(name)
    for pool in _pools_of(zone, store):
        machine.mount(pool.uuid)
    row = Host(
        uuid=name, name=name, hypervisor_type="Simulator", data_center_id=zone, pod_id=pod, cluster_id=cluster,
        url=f"http://sim/{name}", status=HostStatus.UP, cpus=machine.size.cpus, speed=machine.size.speed,
        ram=machine.size.ram,
    )  # fmt: skip
    (host_id,) = store.commit([Insert(row)])
    changes: list[Change] = [
        Insert(
            HaConfig(
                resource_id=host_id, enabled=True, ha_state=HAState.AVAILABLE, provider="simulatorhaprovider"
            )
        )
    ]  # fmt: skip
    for level, index, outlets in devices:
        changes.append(Insert(_fence_device(host_id, name, level, index, outlets)))
        machine.wire(level, outlets)
    store.commit(changes)


def _fence_device(host_id: int, host: str, level: int, index: int, outlets: int) -> Oobm:
    address = f"outlet-{level}-{index}-{host}" if outlets else f"bmc-{host}"
    return Oobm(
        host_id=host_id, enabled=True, power_state=PowerState.ON, driver="simulator", address=address, port="623",
        username="admin", password=Secret("word"), level=level, device_index=index,
        options=Json(f'{{"outlets": "{outlets}"}}' if outlets else "{}"),
    )  # fmt: skip


def _vm(number: int, host_id: int, world: World, store: MemoryStore) -> None:
    host = store.get(Host, host_id)
    assert host is not None
    name, pools = f"vm{number}", _pools_of(host.data_center_id, store)
    pool = pools[number % len(pools)] if pools else None
    vm = Vm(
        uuid=name, name=name, instance_name=f"i-{number}-VM", state=VmState.RUNNING, vm_template_id=1,
        service_offering_id=1, data_center_id=host.data_center_id, pod_id=host.pod_id, cluster_id=host.cluster_id,
        host_id=host_id, pool_id=pool.id if pool else None, cpu=1, cpu_speed=500, ram=_VM_RAM, ha_enabled=True,
    )  # fmt: skip
    (vm_id,) = store.commit([Insert(vm)])
    permit = Permit(vm_id=vm_id, run_epoch=1, host_id=host_id, state=PermitState.RUNNING, proof_kind="never-ran")
    store.commit([Insert(permit), Update(Vm, vm_id, {"run_epoch": 1})])
    spec = VmSpec(name, name, vm.instance_name, 1, 500, _VM_RAM, "t1", pool.uuid if pool else "")
    book = world.host(host.uuid).book
    book.guests[name] = Guest(spec, 1, starting=False)
    book.told[name] = 1
