"""What clients and management servers rely on: the table of jobs, the declarations, and races."""

import re
import threading
from importlib import import_module
from pathlib import Path

import pytest
from holdfast.hooks.store import Query
from holdfast.model import Account, Host, Zone
from holdfast_api import commands
from holdfast_api.call import ROOT_ADMIN
from holdfast_api.event_types import EVENT_TYPES
from holdfast_api.registry import Registry

ASYNC = sorted(name for name, one in Registry.collect().commands.items() if one.is_async)

PROMISED = """
    login logout listApis listCapabilities queryAsyncJobResult listAsyncJobs listUsers getUserKeys registerUserKeys
    listConfigurations updateConfiguration createZone updateZone listZones createPod listPods addCluster
    updateCluster listClusters addHost updateHost deleteHost listHosts reconnectHost prepareHostForMaintenance
    cancelHostMaintenance createStoragePool listStoragePools createServiceOffering listServiceOfferings
    listTemplates registerTemplate listNetworks createNetwork deployVirtualMachine listVirtualMachines
    startVirtualMachine stopVirtualMachine rebootVirtualMachine destroyVirtualMachine migrateVirtualMachine
    updateVirtualMachine configureOutOfBandManagement enableOutOfBandManagementForHost
    disableOutOfBandManagementForHost enableOutOfBandManagementForCluster disableOutOfBandManagementForCluster
    enableOutOfBandManagementForZone disableOutOfBandManagementForZone issueOutOfBandManagementPowerAction
    changeOutOfBandManagementPassword configureHAForHost enableHAForHost disableHAForHost enableHAForCluster
    disableHAForCluster enableHAForZone disableHAForZone listHostHAResources listHostHAProviders
    configureSimulatorHAProviderState listSimulatorHAStateTransitions listEvents listAlerts archiveAlerts
    listManagementServers explainHostHA explainVirtualMachineHA declareHostDead
"""


@pytest.mark.parametrize("name", ASYNC)
def test_every_job_is_in_the_table_that_managers_are_written_from(name):
    """The docstring of `holdfast_api.commands` is the contract; a job that it omits would hang for ever."""
    table = commands.__doc__ or ""
    assert re.search(rf"^    [^{{]*\b{name}\b", table, re.MULTILINE), name


def test_the_commands_that_were_promised_are_there():
    """Issue 2, item 8."""
    assert set(PROMISED.split()) <= set(Registry.collect().commands)


def test_list_apis_tells_clients_what_to_expect(cloud):
    """Marvin makes its classes from it, cmk its completion: nested fields, isasync, related commands."""
    apis = {one["name"]: one for one in cloud("listApis")["api"]}
    host = {field["name"]: field for field in apis["listHosts"]["response"]}
    assert {"haenable", "hastate", "haprovider"} <= {field["name"] for field in host["hostha"]["response"]}
    assert "powerstate" in {field["name"] for field in host["outofbandmanagement"]["response"]}
    assert apis["deployVirtualMachine"]["isasync"] is True
    assert {field["name"] for field in apis["deployVirtualMachine"]["response"]} >= {"id", "jobid", "haenable"}
    assert "addHost" in apis["listHosts"]["related"]
    required = {one["name"] for one in apis["configureOutOfBandManagement"]["params"] if one["required"]}
    assert required == {"hostid", "driver", "address", "port", "username", "password"}


def test_every_event_is_of_a_type_that_is_listed():
    """listEventTypes is what filters are made from."""
    source = "".join(Path(import_module(name).__file__).read_text() for name in commands.MODULES)
    types = set(re.findall(r'"([A-Z]+(?:\.[A-Z]+)+)"', source))
    assert len(types) > 20
    assert types <= EVENT_TYPES


def test_plain_users_see_what_vms_are_made_from_and_nothing_of_hosts(site):
    """Hosts, BMCs and other accounts' VMs are the administrators'."""
    cloud = site.cloud
    [account] = cloud.rows(Account)
    assert account.type == ROOT_ADMIN
    cloud.set(account, type=0)
    assert cloud.names("listZones") == ["z1"]
    assert cloud.names("listServiceOfferings") == ["2C-4GB-HA"]
    for command in ("listHosts", "listVirtualMachines", "createZone", "explainHostHA"):
        assert cloud.refused(command)[0] == 432


def test_of_many_who_take_a_name_at_once_one_gets_it(api, cloud):
    """No key of a table keeps names unique; the latch does."""
    codes = []

    def creating():
        try:
            api.admin("createZone", name="same", networktype="Basic")
            codes.append(200)
        except AssertionError:
            codes.append(431)

    threads = [threading.Thread(target=creating) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(codes) == [200] + [431] * 7
    assert cloud.store.count(Zone, Query(equal={"name": "same"})) == 1


def test_of_many_hosts_added_at_once_all_are_there(api, cloud):
    """Those who come second plan afresh, and are not refused."""
    cluster = cloud.cluster(cloud.pod(cloud.zone()))
    order = {
        "zoneid": cluster["zoneid"],
        "podid": cluster["podid"],
        "clusterid": cluster["id"],
        "hypervisor": "Simulator",
    }
    threads = [
        threading.Thread(target=api.admin, args=("addHost",), kwargs=order | {"url": f"http://sim/h{number}"})
        for number in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(row.name for row in cloud.rows(Host)) == [f"h{number}" for number in range(8)]
