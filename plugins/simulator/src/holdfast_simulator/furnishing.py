"""The rows of a simulated cloud, and the VMs that run in it from the start."""

from holdfast.hooks.store import Change, Insert, Update
from holdfast.model import (
    Cluster,
    Configuration,
    HaConfig,
    HAState,
    Host,
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
    (zone,) = store.commit([Insert(Zone(uuid="z1", name="z1"))])
    (pod,) = store.commit([Insert(Pod(uuid="pod1", name="pod1", data_center_id=zone))])
    names = [f"c{number}" for number in range(1, size.clusters + 1)]
    clusters = store.commit(
        [
            Insert(Cluster(uuid=name, name=name, pod_id=pod, data_center_id=zone, hypervisor_type="Simulator"))
            for name in names
        ]
    )
    store.commit(
        [
            Insert(ServiceOffering(uuid="o1", name="o1", display_text="", cpu=1, speed=500, ram_size=_VM_RAM)),
            Insert(Template(uuid="t1", name="t1", display_text="", hypervisor_type="Simulator")),
        ]
    )
    _pools(scenario, world, store, zone)
    for number in range(1, size.hosts + 1):
        _host(f"h{number}", world, store, (zone, pod, clusters[(number - 1) % size.clusters]))
    for number in range(1, size.vms + 1):
        _vm(number, (number - 1) % (size.hosts - size.spare) + 1, world, store)


def _pools(scenario: Scenario, world: World, store: MemoryStore, zone: int) -> None:
    for number in range(1, scenario.world.pools + 1):
        name = f"p{number}"
        world.add_pool(name)
        pool = StoragePool(
            uuid=name, name=name, pool_type="NetworkFilesystem", scope="ZONE", heartbeat="simulator",
            data_center_id=zone,
        )  # fmt: skip
        store.commit([Insert(pool)])


def _host(name: str, world: World, store: MemoryStore, place: tuple[int, int, int]) -> None:
    zone, pod, cluster = place
    machine = world.add_host(name)
    for pool in world.pools:
        machine.mount(pool)
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
        ),
        Insert(
            Oobm(
                host_id=host_id, enabled=True, power_state=PowerState.ON, driver="simulator", address=f"bmc-{name}",
                port="623", username="admin", password=Secret("word"),
            )
        ),
    ]  # fmt: skip
    store.commit(changes)


def _vm(number: int, host_id: int, world: World, store: MemoryStore) -> None:
    host = store.get(Host, host_id)
    assert host is not None
    name, pools = f"vm{number}", list(world.pools)
    pool = number % len(pools) + 1 if pools else None
    vm = Vm(
        uuid=name, name=name, instance_name=f"i-{number}-VM", state=VmState.RUNNING, vm_template_id=1,
        service_offering_id=1, data_center_id=host.data_center_id, pod_id=host.pod_id, cluster_id=host.cluster_id,
        host_id=host_id, pool_id=pool, cpu=1, cpu_speed=500, ram=_VM_RAM, ha_enabled=True,
    )  # fmt: skip
    (vm_id,) = store.commit([Insert(vm)])
    permit = Permit(vm_id=vm_id, run_epoch=1, host_id=host_id, state=PermitState.RUNNING, proof_kind="never-ran")
    store.commit([Insert(permit), Update(Vm, vm_id, {"run_epoch": 1})])
    spec = VmSpec(name, name, vm.instance_name, 1, 500, _VM_RAM, "t1", f"p{pool}" if pool else "")
    book = world.host(host.uuid).book
    book.guests[name] = Guest(spec, 1, starting=False)
    book.told[name] = 1
