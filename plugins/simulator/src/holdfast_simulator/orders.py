"""What operators order while things go wrong: jobs in the store, as the API would leave them."""

import json
from typing import Any

from holdfast.hooks.store import Insert, Query
from holdfast.model import AsyncJob, Host, JobStatus, Json, Moment, ResourceState, Vm, VmState, Work, WorkStep
from holdfast.model.states import OPEN_STEPS

from holdfast_simulator.memory_store import MemoryStore
from holdfast_simulator.world.world import World

_DOWN = (VmState.STOPPED, VmState.ERROR)


class Operator:
    """Orders by the names of hosts and VMs. Whether an order makes sense at that moment is for the server to say."""

    def __init__(self, world: World, store: MemoryStore) -> None:
        self._world = world
        self._store = store
        self._count = 0
        self._stopped: set[str] = set()
        """VMs that were ordered to stop, and are to run again in the end."""

    def stop(self, vm: str, forced: bool) -> None:
        """Stop a VM; HA leaves it stopped."""
        self._stopped.add(vm)
        self._vm_job("stopVirtualMachine", vm, forced=forced)

    def start(self, vm: str) -> None:
        """Start a VM."""
        self._vm_job("startVirtualMachine", vm)

    def reboot(self, vm: str) -> None:
        """Reboot a VM."""
        self._vm_job("rebootVirtualMachine", vm)

    def migrate(self, vm: str, host: str) -> None:
        """Move a running VM; to a host that the planner chooses if none is given."""
        there = {"hostid": self._host(host).id} if host else {}
        self._vm_job("migrateVirtualMachine", vm, "virtualmachineid", **there)

    def host(self, host: str, command: str, key: str = "id") -> None:
        """An order about a host, which `key` names: "prepareHostForMaintenance"."""
        row = self._host(host)
        self._order(command, ("Host", row.uuid), row.id, **{key: row.id})

    def start_what_was_stopped(self) -> None:
        """Order the start of VMs that an order stopped and that nobody is about to start."""
        for name in sorted(self._stopped):
            vm = self._vm(name)
            busy = self._store.count(Work, Query(equal={"instance_id": vm.id}, among={"step": OPEN_STEPS}))
            if vm.state in _DOWN and not busy and not self.pending(vm.uuid):
                self.start(name)

    def make_room(self) -> None:
        """Take hosts that answer back from maintenance, where a fence left them, if a VM waits for a host to run on."""
        if not self._store.count(Work, Query(equal={"step": WorkStep.SCHEDULED}, above={"investigations": 0})):
            return
        for row in self._store.select(
            Host, Query(equal={"resource_state": ResourceState.MAINTENANCE, "removed": None})
        ):
            if self._world.host(row.uuid).speaking and not self.pending(row.uuid):
                self.host(row.uuid, "cancelHostMaintenance")

    def pending(self, instance_uuid: str = "") -> int:
        """How many orders are not carried out yet."""
        about = {"instance_uuid": instance_uuid} if instance_uuid else {}
        return self._store.count(AsyncJob, Query(equal={"job_status": JobStatus.PENDING, **about}))

    def _vm(self, name: str) -> Vm:
        (vm,) = self._store.select(Vm, Query(equal={"uuid": name}))
        return vm

    def _host(self, name: str) -> Host:
        (host,) = self._store.select(Host, Query(equal={"uuid": name}))
        return host

    def _vm_job(self, command: str, name: str, key: str = "id", **info: Any) -> None:
        vm = self._vm(name)
        self._order(command, ("VirtualMachine", vm.uuid), vm.host_id, **{key: vm.id}, **info)

    def _order(self, command: str, about: tuple[str, str], host_id: int | None, **info: Any) -> None:
        self._count += 1
        now = Moment(self._world.time.wall())
        job = AsyncJob(
            uuid=f"order-{self._count}", user_id=1, account_id=1, job_cmd=command, job_cmd_info=Json(json.dumps(info)),
            instance_type=about[0], instance_uuid=about[1], host_id=host_id, created=now, last_updated=now,
        )  # fmt: skip
        self._store.commit([Insert(job)])
