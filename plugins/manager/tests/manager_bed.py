"""A simulated site with real managers on it, under virtual time: what the manager's tests stand on."""

import json
from collections.abc import Callable
from dataclasses import fields
from typing import Any

from holdfast.hooks.store import Change, Insert, Query, Update
from holdfast.model import (
    Alert,
    AsyncJob,
    Cluster,
    ClusterDetail,
    Configuration,
    Event,
    HaConfig,
    HAState,
    HaTransition,
    Host,
    Oobm,
    Permit,
    PermitState,
    Pod,
    PowerState,
    ResourceState,
    Row,
    Secret,
    ServiceOffering,
    StoragePool,
    Template,
    Vm,
    VmState,
    Work,
    Zone,
)
from holdfast.model.states import HostStatus
from holdfast.model.views import VmSpec
from holdfast_manager.manager import Manager
from holdfast_simulator.hub import SimulatedHub
from holdfast_simulator.site import ServerLife, VirtualSite
from holdfast_simulator.virtual_loop import Process
from holdfast_simulator.world.bmc import BmcMode
from holdfast_simulator.world.guests import Guest
from holdfast_simulator.world.happenings import Happening, What
from holdfast_simulator.world.host import SimHost
from holdfast_simulator.world.physics import Physics

PASSWORD = "correct-horse-battery"


class Bed:
    """`hosts` hosts h1, h2 … in one cluster with `pools` shared pools, and managers ms1 … that are running.

    Whatever happens, `double_runs` collects every instant at which a VM had two live runs.
    """

    def __init__(
        self,
        hosts: int = 3,
        pools: int = 1,
        servers: int = 2,
        settings: dict[str, str] | None = None,
        physics: Physics | None = None,
        seed: str = "1",
        settle: float = 10.0,
        manager_class: Callable[..., Manager] = Manager,
    ) -> None:
        self.site = VirtualSite(seed, physics)
        self.world, self.store, self.loop = self.site.world, self.site.store, self.site.loop
        self.double_runs: list[str] = []
        self.world.chronicle.watchers.append(self._watch)
        self._manager_class = manager_class
        self._furnish(hosts, pools, settings or {})
        self.lives: dict[str, ServerLife] = {}
        self.managers: dict[str, Manager] = {}
        for number in range(1, servers + 1):
            self.start(f"ms{number}")
        if settle:
            self.run(settle)

    def close(self) -> None:
        """Take it apart."""
        for life in self.lives.values():
            life.process.on_crash = None
        self.site.close()

    # --- making things -------------------------------------------------------------------------------------------

    def _furnish(self, hosts: int, pools: int, settings: dict[str, str]) -> None:
        self.put(*(Configuration(name=name, value=value) for name, value in settings.items()))
        (self.zone,) = self.put(Zone(uuid="z1", name="z1"))
        (self.pod,) = self.put(Pod(uuid="p1", name="p1", data_center_id=self.zone))
        (self.cluster,) = self.put(
            Cluster(uuid="c1", name="c1", pod_id=self.pod, data_center_id=self.zone, hypervisor_type="Simulator")
        )
        self.put(Template(uuid="t1", name="t1", display_text="", hypervisor_type="Simulator"))
        self.put(ServiceOffering(uuid="o1", name="o1", display_text="", cpu=2, speed=1000, ram_size=4096))
        self.pools = [self._pool(f"pool{number}") for number in range(1, pools + 1)]
        self.host_ids = [self.add_host(f"h{number}") for number in range(1, hosts + 1)]

    def _pool(self, name: str) -> int:
        self.world.add_pool(name, name)
        (made,) = self.put(
            StoragePool(
                uuid=name, name=name, pool_type="NetworkFilesystem", data_center_id=self.zone,
                cluster_id=self.cluster, heartbeat="simulator",
            )
        )  # fmt: skip
        return made

    def add_host(self, name: str, **values: Any) -> int:
        """A host, in the world and in the tables, with HA and OOBM on."""
        machine = self.world.add_host(name, name)
        for pool in self.world.pools:
            machine.mount(pool)
        row = Host(
            uuid=name, name=name, hypervisor_type="Simulator", data_center_id=self.zone, pod_id=self.pod,
            cluster_id=self.cluster, url=f"http://sim/{name}",
            **{"cpus": machine.size.cpus, "speed": machine.size.speed, "ram": machine.size.ram, **values},
        )  # fmt: skip
        (host_id,) = self.put(row)
        self.put(HaConfig(resource_id=host_id, enabled=True, provider="simulatorhaprovider"))
        self.put(
            Oobm(
                host_id=host_id, enabled=True, driver="simulator", address=f"bmc-{name}", port="623",
                username="admin", password=Secret(PASSWORD), power_state=PowerState.ON,
            )
        )  # fmt: skip
        return host_id

    def add_vm(self, name: str, host: int | None = 1, **values: Any) -> int:
        """A VM; it runs on host number `host` from now on, unless that is None."""
        at = None if host is None else self.store.get(Host, host)
        row = Vm(
            **{
                "uuid": name, "name": name, "instance_name": f"i-{name}", "vm_template_id": 1,
                "service_offering_id": 1, "data_center_id": self.zone, "pool_id": self.pools[0] if self.pools else None,
                "cpu": 2, "cpu_speed": 1000, "ram": 4096, "ha_enabled": True, "cluster_id": self.cluster,
                "state": VmState.STOPPED if at is None else VmState.RUNNING, "host_id": host,
                "run_epoch": 0 if at is None else 1, **values,
            }
        )  # fmt: skip
        (vm_id,) = self.put(row)
        if at is not None:
            self.put(Permit(vm_id=vm_id, run_epoch=1, host_id=at.id, state=PermitState.RUNNING, proof_kind="never-ran"))
            spec = VmSpec(name, name, row.instance_name, row.cpu, row.cpu_speed, row.ram, "t1", "pool1")
            book = self.world.host(at.uuid).book
            book.guests[name] = Guest(spec, 1, starting=False)
            book.told[name] = 1
        return vm_id

    def add_vms(self, count: int, host: int = 1, **values: Any) -> list[int]:
        """Several VMs, called vm1 … for host 1."""
        return [self.add_vm(f"vm{number}", host, **values) for number in range(1, count + 1)]

    def put(self, *rows: Row) -> tuple[int, ...]:
        """Insert rows as somebody with a database client would."""
        return self.store.commit([Insert(row) for row in rows])

    def edit(self, record: type[Row], row_id: int, **values: Any) -> None:
        """Change a row by hand."""
        self.store.commit([Update(record, row_id, values)])

    def setting(self, name: str, value: str) -> None:
        """Change a global setting."""
        found = self.store.select(Configuration, Query(equal={"name": name}))
        changes: list[Change] = [Insert(Configuration(name=name, value=value))]
        if found:
            changes = [Update(Configuration, found[0].id, {"value": value})]
        self.store.commit(changes)

    def cluster_setting(self, name: str, value: str) -> None:
        """Set a cluster's detail, which is where switches and scoped settings live."""
        self.put(ClusterDetail(cluster_id=self.cluster, name=name, value=value))

    # --- management servers ----------------------------------------------------------------------------------------

    def start(self, name: str, skew: float = 0.0, rate: float = 1.0) -> Manager:
        """A new life of a management server."""
        life = self.site.open(name, skew, rate)
        manager = self._manager_class(name, life.runtime, life.store, life.coordinator, SimulatedHub(life))
        self.lives[name], self.managers[name] = life, manager
        self.loop.spawn(life.process, manager.start())
        return manager

    def crash(self, name: str) -> None:
        """`kill -9`."""
        self.site.crash(self.lives.pop(name))
        del self.managers[name]

    def crash_at(self, name: str, step: int, restart_after: float = 1.0) -> None:
        """Kill the server before its `step`-th callback from now, and start it again some seconds later."""
        life = self.lives[name]
        life.process.crash_at_step = life.process.steps + step

        def crashed(process: Process) -> None:
            self.site.crash(life)
            self.site.time.call_at(self.site.time.now() + restart_after, self.start, name)

        life.process.on_crash = crashed

    def owner(self, host: str) -> str:
        """The management server that watches a host."""
        for name, manager in self.managers.items():
            if host in manager.hosts.actors:
                return name
        raise AssertionError(f"nobody watches {host}")

    def other(self, name: str) -> str:
        """Another management server."""
        return next(one for one in self.managers if one != name)

    def cut(self, kind: str, here: str, there: str, both_ways: bool = True) -> None:
        """Cut a path."""
        self.world.network.set_up(kind, here, there, False, both_ways)

    def mend(self, kind: str, here: str, there: str) -> None:
        """Mend a path."""
        self.world.network.set_up(kind, here, there, True)

    # --- time --------------------------------------------------------------------------------------------------------

    def run(self, seconds: float) -> None:
        """Let virtual time pass."""
        self.site.run(seconds)

    def run_until(self, fact: Callable[[], bool], seconds: float, step: float = 0.1) -> float:
        """Let time pass until something is so; the time that it took. `AssertionError` after `seconds`."""
        began = self.loop.time()
        while not fact():
            assert self.loop.time() - began < seconds, f"not so after {seconds} s\n{self.show()}"
            self.site.run(step)
        return self.loop.time() - began

    # --- what is there -----------------------------------------------------------------------------------------------

    def machine(self, host: str) -> SimHost:
        """A simulated host."""
        return self.world.host(host)

    def host(self, host_id: int) -> Host:
        """A host's row."""
        found = self.store.get(Host, host_id)
        assert found is not None
        return found

    def ha(self, host_id: int) -> HaConfig:
        """A host's HA row."""
        return self.store.select(HaConfig, Query(equal={"resource_id": host_id}))[0]

    def state(self, host_id: int) -> str | None:
        """A host's HA state."""
        return self.ha(host_id).ha_state

    def vm(self, vm_id: int) -> Vm:
        """A VM's row."""
        found = self.store.get(Vm, vm_id)
        assert found is not None
        return found

    def vms(self) -> list[Vm]:
        """All VMs."""
        return self.store.select(Vm, Query())

    def works(self, **equal: Any) -> list[Work]:
        """VM-HA work items."""
        return self.store.select(Work, Query(equal=equal))

    def permits(self, **equal: Any) -> list[Permit]:
        """Permits."""
        return self.store.select(Permit, Query(equal=equal))

    def alerts(self, name: str) -> list[Alert]:
        """Alerts of a name."""
        return self.store.select(Alert, Query(equal={"name": name}))

    def events(self, kind: str) -> list[Event]:
        """Events of a type."""
        return self.store.select(Event, Query(equal={"type": kind}))

    def transitions(self, host_id: int) -> list[tuple[str, str, str]]:
        """(from, event, to) of a host's stored transitions."""
        rows = self.store.select(HaTransition, Query(equal={"host_id": host_id}))
        return [(row.prev_state, row.event, row.state) for row in rows]

    def runs_elsewhere(self, host_id: int, *vm_ids: int) -> bool:
        """Whether every one of the VMs runs, and none on that host."""
        rows = [self.vm(vm_id) for vm_id in vm_ids] if vm_ids else self.vms()
        return all(vm.state == VmState.RUNNING and vm.host_id != host_id and self.world.serving(vm.uuid) for vm in rows)

    def orders(self, host: str, action: str = "") -> list[Happening]:
        """Power actions that reached a host's BMC."""
        return [
            one for one in self.world.chronicle.trace
            if one.what is What.POWER_ORDERED and one.host == host and (not action or one.detail == action)
        ]  # fmt: skip

    def starts(self, vm: str) -> list[Happening]:
        """Runs of a VM that came into being."""
        return [one for one in self.world.chronicle.trace if one.what is What.GUEST_BEGAN and one.vm == vm]

    def job(self, command: str, host: int | None = None, **info: Any) -> int:
        """Ask for a job as the API would."""
        number = len(self.store.select(AsyncJob, Query())) + 1
        (job_id,) = self.put(
            AsyncJob(
                uuid=f"job{number}", user_id=1, account_id=1, job_cmd=command, job_cmd_info=json.dumps(info),  # type: ignore[arg-type]
                host_id=host,
            )
        )  # fmt: skip
        return job_id

    def outcome(self, job_id: int, seconds: float = 90.0) -> AsyncJob:
        """Wait for a job's end."""

        def row() -> AsyncJob:
            found = self.store.get(AsyncJob, job_id)
            assert found is not None
            return found

        self.run_until(lambda: row().job_status != 0, seconds)
        return row()

    def _watch(self, happening: Happening) -> None:
        if happening.what is What.GUEST_BEGAN:
            live = self.world.live_runs(happening.vm)
            if len(live) > 1:
                self.double_runs.append(f"{happening.line()}: live runs {live}")

    def check_once(self) -> None:
        """No VM ever had two live runs, and every VM that is Running in the tables runs where they say."""
        assert self.double_runs == []
        for vm in self.vms():
            opened = [permit for permit in self.permits(vm_id=vm.id) if permit.state != PermitState.ENDED]
            assert len(opened) <= 1, opened
            if vm.state == VmState.RUNNING:
                host = self.host(vm.host_id or 0)
                assert self.world.live_runs(vm.uuid) == [(host.uuid, opened[0].run_epoch)], self.show()

    def show(self) -> str:
        """The state of everything, for a failing test."""
        lines = []
        for host_id in self.host_ids:
            host, row = self.host(host_id), self.ha(host_id)
            lines.append(
                f"{host.name} {host.status} {host.resource_state} | {row.ha_state} {row.reason!r} "
                f"{row.waiting_for} {row.incident} | {self.machine(host.uuid).condition}"
            )
        lines += [f"{vm.name} {vm.state} on {vm.host_id} run {vm.run_epoch} {vm.reason!r}" for vm in self.vms()]
        lines += [f"permit {p.vm_id}/{p.run_epoch} on {p.host_id} {p.state}" for p in self.permits()]
        lines += [
            f"work {w.id} vm {w.instance_id} {w.step} -> {w.target_host_id} tried {w.tried}" for w in self.works()
        ]
        lines += [f"job {j.job_cmd} {j.job_status} {j.job_result}" for j in self.store.select(AsyncJob, Query())]
        lines += [f"alert {a.name}: {a.content}" for a in self.store.select(Alert, Query())]
        lines += [line.line() for line in self.world.chronicle.trace[-25:]]
        return "\n".join(lines)

    def everything_stored(self) -> str:
        """All rows as text, for looking for what must not be there."""
        from holdfast.model import RECORDS

        return "\n".join(
            str({field.name: getattr(row, field.name) for field in fields(row)})  # type: ignore[arg-type]
            for record in RECORDS
            for row in self.store.select(record, Query())
        )


__all__ = ["PASSWORD", "Bed", "BmcMode", "HAState", "HostStatus", "ResourceState"]
