"""A cloud to call commands on: signed calls by PyPI's `cs`, with every answer held against what listApis declares."""

import json
from dataclasses import replace
from typing import Any

import pytest
from cs import CloudStackApiException
from holdfast.errors import PluginError
from holdfast.hooks.store import Insert, Query, Update
from holdfast.model import (
    AsyncJob,
    Event,
    HaConfig,
    Host,
    JobStatus,
    Oobm,
    Permit,
    PowerState,
    Vm,
    VmState,
)
from holdfast_api.registry import Registry
from holdfast_store.sqlite import SqliteDatabase
from holdfast_store.store import SqlStore

GIB = 1 << 30


class KvmProvider:
    hypervisor, display_name = "KVM", "KVMHAProvider"


class SimulatorProvider:
    hypervisor, display_name = "Simulator", "SimulatorHAProvider"


class InstalledPlugins:
    """The part of `Plugins` that commands use."""

    def __init__(self) -> None:
        self.installed: dict[str, dict[str, type | None]] = {
            "hypervisor": {"kvm": None, "simulator": None},
            "heartbeat": {"nfs": None, "simulator": None},
            "oobm": {"ipmitool": None, "redfish": None, "simulator": None},
            "provider": {"kvmhaprovider": KvmProvider, "simulatorhaprovider": SimulatorProvider},
        }

    def names(self, point: str) -> tuple[str, ...]:
        return tuple(sorted(self.installed.get(point, {})))

    def driver_class(self, point: str, name: str) -> type:
        found = self.installed[point][name]
        if found is None:
            raise PluginError(f"{name} is broken")
        return found


class Cloud:
    """Calls commands as an administrator and knows the rows behind the answers."""

    def __init__(self, api: Any) -> None:
        self.api, self.store = api, api.store
        self.plugins = InstalledPlugins()
        api.context.plugins.names = self.plugins.names
        api.context.plugins.driver_class = self.plugins.driver_class
        self.client = api.client()
        self.registry = Registry.collect()

    def __call__(self, command: str, **parameters: Any) -> Any:
        """The value under the envelope's key, found to have no field that is not declared."""
        answer = getattr(self.client, command)(**parameters)
        one = self.registry.commands[command]
        shown = self.registry.objects[one.responds]
        if not one.is_async:
            self.check(answer.get(shown.name, []) if shown.wrapped else [answer], shown.fields, command)
        return answer

    def check(self, answers: Any, fields: Any, where: str) -> None:
        """Every field of every answer is declared, nested ones too, and has the type that is declared."""
        known = {field.name: field for field in fields}
        for answer in [answers] if isinstance(answers, dict) else answers:
            assert set(answer) <= set(known), f"{where} does not declare {sorted(set(answer) - set(known))}"
            for name, value in answer.items():
                field = known[name]
                assert isinstance(value, PYTHON[field.type]), f"{where}.{name} is {value!r}, declared {field.type}"
                if field.fields:
                    self.check(value, field.fields, f"{where}.{name}")

    def one(self, command: str, **parameters: Any) -> Any:
        """The only object that the command answers with."""
        name = self.registry.objects[self.registry.commands[command].responds].name
        found = self(command, **parameters)[name]
        if isinstance(found, list):
            [found] = found
        return found

    def names(self, command: str, **parameters: Any) -> list[str]:
        """Names of the objects in a list, in order."""
        answer = self(command, **parameters)
        items = answer.get(self.registry.objects[self.registry.commands[command].responds].name, [])
        assert answer.get("count", 0) >= len(items)
        return [item["name"] for item in items]

    def refused(self, command: str, **parameters: Any) -> tuple[int, str]:
        """Code and text of a refusal, which has changed nothing."""
        before = self.rows(Event), self.rows(AsyncJob)
        with pytest.raises(CloudStackApiException) as caught:
            getattr(self.client, command)(**parameters)
        assert (self.rows(Event), self.rows(AsyncJob)) == before, "a refused call changed something"
        error = caught.value.error
        assert "Traceback" not in error["errortext"]
        return error["errorcode"], error["errortext"]

    def rows(self, record: Any, **equal: Any) -> list[Any]:
        return self.store.select(record, Query(equal=equal, order=("id",)))

    def row(self, record: Any, uuid: str) -> Any:
        [found] = self.rows(record, uuid=uuid)
        return found

    def job(self, command: str, **parameters: Any) -> AsyncJob:
        """Order a job; its row."""
        answer = self(command, **parameters)
        job = self.row(AsyncJob, answer["jobid"])
        assert job.job_cmd == command
        assert job.job_status == JobStatus.PENDING
        return job

    def info(self, command: str, **parameters: Any) -> dict[str, Any]:
        """What a management server is told of an ordered job."""
        found = json.loads(self.job(command, **parameters).job_cmd_info)
        assert isinstance(found, dict)
        return found

    def finish(self, job: AsyncJob, result: dict[str, Any]) -> Any:
        """End a job as a management server would, and read its result as a client would."""
        ended = {"job_status": JobStatus.SUCCESS, "job_result": json.dumps(result), "completed": job.created}
        self.store.commit([Update(AsyncJob, job.id, ended)])
        answer = self("queryAsyncJobResult", jobid=job.uuid)
        assert answer["jobstatus"] == 1
        shown = self.registry.objects[self.registry.commands[job.job_cmd].responds]
        found = answer["jobresult"]
        if shown.wrapped:
            [found] = found.values()
        self.check(found, shown.fields, job.job_cmd)
        return found

    def set(self, row: Any, **values: Any) -> Any:
        """Change a row as a management server would."""
        self.store.commit([Update(type(row), row.id, values)])
        return self.store.get(type(row), row.id)

    def events(self, type_: str) -> list[str]:
        return [row.description for row in self.rows(Event, type=type_)]

    # What a cloud is made of, by its usual commands.

    def zone(self, name: str = "z1", **more: Any) -> Any:
        return self.one("createZone", name=name, dns1="8.8.8.8", internaldns1="8.8.8.8", networktype="Advanced", **more)

    def pod(self, zone: Any, name: str = "p1", **more: Any) -> Any:
        return self.one("createPod", zoneid=zone["id"], name=name, gateway="10.0.0.1", netmask="255.255.255.0", **more)

    def cluster(self, pod: Any, name: str = "c1", hypervisor: str = "Simulator", **more: Any) -> Any:
        return self.one(
            "addCluster",
            clustername=name,
            zoneid=pod["zoneid"],
            podid=pod["id"],
            hypervisor=hypervisor,
            clustertype="CloudManaged",
            **more,
        )

    def host(self, cluster: Any, name: str = "ablecube31", *, up: bool = True, **more: Any) -> Any:
        """A host; `up`: attached by a management server, with 4 CPUs of 2,000 MHz and 8 GiB."""
        simulated = cluster["hypervisortype"] == "Simulator"
        made = self.one(
            "addHost",
            zoneid=cluster["zoneid"],
            podid=cluster["podid"],
            clusterid=cluster["id"],
            hypervisor=cluster["hypervisortype"],
            url=f"http://sim/{name}" if simulated else f"http://{name}",
            username="root",
            password="pw-of-the-host",
            **more,
        )
        if not up:
            return made
        self.set(self.row(Host, made["id"]), status="Up", cpus=4, speed=2000, ram=8 * GIB)
        return self.one("listHosts", id=made["id"])

    def pool(self, zone: Any, name: str = "pool1", url: str = "sim://pool1/a", **more: Any) -> Any:
        return self.one("createStoragePool", zoneid=zone["id"], name=name, url=url, **more)

    def offering(self, name: str = "2C-4GB-HA", **more: Any) -> Any:
        size = {"cpunumber": 2, "cpuspeed": 1000, "memory": 4096, "offerha": True}
        return self.one("createServiceOffering", name=name, displaytext=name, **(size | more))

    def template(self, name: str = "debian", **more: Any) -> Any:
        kind = {"format": "QCOW2", "hypervisor": "Simulator", "url": "http://x/y.qcow2", "displaytext": name}
        return self.one("registerTemplate", name=name, **(kind | more))

    def configure_oobm(self, host: Any, **more: Any) -> Any:
        how = {"driver": "simulator", "address": "bmc1", "port": "623", "username": "admin", "password": "bmc-password"}
        return self.one("configureOutOfBandManagement", hostid=host["id"], **(how | more))

    def enable_oobm(self, host: Any) -> Any:
        """As the management server does when the job says so."""
        [row] = self.rows(Oobm, host_id=self.row(Host, host["id"]).id)
        return self.set(row, enabled=True, power_state=PowerState.ON)

    def configure_ha(self, host: Any, **values: Any) -> HaConfig:
        """As the management server does when the job says so."""
        host_id = self.row(Host, host["id"]).id
        row = replace(HaConfig(resource_id=host_id, provider="simulatorhaprovider"), **values)
        self.store.commit([Insert(row)])
        return self.rows(HaConfig, resource_id=host_id)[0]

    def run(self, vm: Any, host: Any) -> Vm:
        """As the management server starts a VM: a permit, and the VM running under it."""
        row, where = self.row(Vm, vm["id"]), self.row(Host, host["id"])
        permit = Permit(
            vm_id=row.id, run_epoch=row.run_epoch + 1, host_id=where.id, state="running", proof_kind="never-ran"
        )
        self.store.commit([Insert(permit)])
        return self.set(
            row,
            state=VmState.RUNNING,
            host_id=where.id,
            cluster_id=where.cluster_id,
            pod_id=where.pod_id,
            run_epoch=row.run_epoch + 1,
        )


PYTHON: dict[str, type | tuple[type, ...]] = {
    "string": str,
    "uuid": str,
    "boolean": bool,
    "short": int,
    "integer": int,
    "long": int,
    "float": (int, float),
    "date": str,
    "list": list,
    "set": list,
    "map": dict,
    "object": (dict, list, str),
    "responseobject": dict,
}


@pytest.fixture
def cloud(api: Any) -> Cloud:
    """An empty cloud."""
    return Cloud(api)


class Site:
    """A zone with two hosts of one cluster, shared storage, and what VMs are made from."""

    def __init__(self, cloud: Cloud) -> None:
        self.cloud = cloud
        self.zone = cloud.zone()
        self.pod = cloud.pod(self.zone)
        self.cluster = cloud.cluster(self.pod)
        self.first, self.second = cloud.host(self.cluster, "ablecube31"), cloud.host(self.cluster, "ablecube33")
        self.pool = cloud.pool(self.zone, clusterid=self.cluster["id"])
        self.offering, self.template = cloud.offering(), cloud.template()
        self.network = cloud.one("createNetwork", name="net1", displaytext="net1", zoneid=self.zone["id"])

    def deploy(self, name: str = "HA-TEST-VM1", **more: Any) -> Any:
        """The VM as listVirtualMachines shows it, its job still pending."""
        made = self.cloud("deployVirtualMachine", **(self.wanted(name) | more))
        return self.cloud.one("listVirtualMachines", id=made["id"])

    def wanted(self, name: str = "HA-TEST-VM1") -> dict[str, Any]:
        return {
            "name": name,
            "zoneid": self.zone["id"],
            "serviceofferingid": self.offering["id"],
            "templateid": self.template["id"],
            "networkids": self.network["id"],
        }


@pytest.fixture
def site(cloud: Cloud) -> Site:
    """A cloud that VMs can be made in."""
    return Site(cloud)


@pytest.fixture
def sql_cloud(start: Any, tmp_path: Any) -> Any:
    """An empty cloud over the SQL store."""
    database = SqliteDatabase({"data_dir": str(tmp_path)})
    store = SqlStore({"data_dir": str(tmp_path)})
    store.bind(database)
    store.migrate()
    running = start(store)
    yield Cloud(running)
    running.stop()
    store.close()
    database.close()


@pytest.fixture
def sql_site(sql_cloud: Cloud) -> Site:
    """A site over the SQL store."""
    return Site(sql_cloud)
