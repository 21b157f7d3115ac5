"""Room on hosts: what they have, and what their VMs take."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from holdfast.model import Cluster, Host, Vm, VmState

from holdfast_api.call import Call
from holdfast_api.rows import among, by_id

_TAKES_NOTHING = frozenset({VmState.STOPPED, VmState.DESTROYED, VmState.EXPUNGING, VmState.ERROR})
_MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class Room:
    """A host's CPU in MHz and memory in bytes: there, to give out with overcommit, and given out."""

    cpu: int
    cpu_limit: int
    cpu_used: int
    ram: int
    ram_limit: int
    ram_used: int

    def shortage(self, cpu: int, ram: int) -> str:
        """What a VM of `cpu` MHz and `ram` bytes lacks here, in words; "" if it fits."""
        lacks = []
        if ram and self.ram_used + ram > self.ram_limit:
            free = max(0, self.ram_limit - self.ram_used)
            lacks.append(f"needs {ram // _MIB} MB of memory, {free // _MIB} MB free of {self.ram_limit // _MIB} MB")
        if cpu and self.cpu_used + cpu > self.cpu_limit:
            free = max(0, self.cpu_limit - self.cpu_used)
            lacks.append(f"needs {cpu} MHz of CPU, {free} MHz free of {self.cpu_limit} MHz")
        return "; ".join(lacks)


def rooms(call: Call, hosts: Sequence[Host], *, without: int = 0) -> dict[int, Room]:
    """Host id → its room; the VM `without` counts for nothing."""
    clusters = by_id(call.store, Cluster, (host.cluster_id for host in hosts))
    cpu: dict[int, int] = {}
    ram: dict[int, int] = {}
    for vm in residents(call, (host.id for host in hosts)):
        if vm.host_id is not None and vm.id != without:
            cpu[vm.host_id] = cpu.get(vm.host_id, 0) + vm.cpu * vm.cpu_speed
            ram[vm.host_id] = ram.get(vm.host_id, 0) + vm.ram * _MIB
    return {
        host.id: _room(host, clusters.get(host.cluster_id), cpu.get(host.id, 0), ram.get(host.id, 0)) for host in hosts
    }


def residents(call: Call, hosts: Iterable[int]) -> list[Vm]:
    """VMs that are, or may be, on these hosts."""
    return [
        vm for vm in among(call.store, Vm, "host_id", hosts) if vm.removed is None and vm.state not in _TAKES_NOTHING
    ]


def _room(host: Host, cluster: Cluster | None, cpu: int, ram: int) -> Room:
    total = host.cpus * host.speed
    return Room(
        cpu=total,
        cpu_limit=int(total * (cluster.cpu_overcommit_ratio if cluster else 1.0)),
        cpu_used=cpu,
        ram=host.ram,
        ram_limit=int(host.ram * (cluster.memory_overcommit_ratio if cluster else 1.0)),
        ram_used=ram,
    )
