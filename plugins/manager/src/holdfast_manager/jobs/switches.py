"""HA and OOBM switches of hosts, clusters and zones."""

from collections.abc import Iterable
from typing import Any

from holdfast.errors import InvalidRequest
from holdfast.hooks.store import Change, Insert, Query, Update
from holdfast.model import ClusterDetail, HaConfig, Host, Oobm, PowerState, ZoneDetail

from holdfast_manager.inventory import HA_SWITCH, OOBM_SWITCH
from holdfast_manager.jobs.job import Handler, Job

_PROVIDERS = {"kvm": "kvmhaprovider", "simulator": "simulatorhaprovider"}


async def _ha_row(job: Job, host: Host) -> HaConfig:
    query = Query(equal={"resource_id": host.id, "resource_type": "Host"}, limit=1)
    found = await job.desk.memory.select(HaConfig, query)
    if not found:
        await job.desk.memory.commit([Insert(HaConfig(resource_id=host.id))])
        found = await job.desk.memory.select(HaConfig, query)
    return found[0]


def _host_ha(host: Host) -> dict[str, Any]:
    return {"object": "hostha", "hostid": host.id, "status": True}


async def _configure_ha(job: Job) -> dict[str, Any]:
    host = await job.host()
    row = await _ha_row(job, host)
    await job.desk.memory.commit([Update(HaConfig, row.id, {"provider": str(job.info["provider"]).lower()})])
    await job.manager.refresh_inventory()
    return {"object": "hostha", "hostid": host.id}


async def _enable_ha(job: Job) -> dict[str, Any]:
    host = await job.host()
    row = await _ha_row(job, host)
    if not row.provider:
        raise InvalidRequest(f"host {host.name} has no HA provider: call configureHAForHost first")
    await job.desk.memory.commit([Update(HaConfig, row.id, {"enabled": True})])
    await job.manager.refresh_inventory()
    await job.manager.hosts.settled(host.uuid)
    return _host_ha(host)


async def _disable_ha(job: Job) -> dict[str, Any]:
    host = await job.host()
    row = await _ha_row(job, host)
    await job.desk.memory.commit([Update(HaConfig, row.id, {"enabled": False})])
    await job.manager.refresh_inventory()
    await job.manager.hosts.settled(host.uuid)
    return _host_ha(host)


def _switch_ha_for_cluster(on: bool) -> Handler:
    async def switch(job: Job) -> dict[str, Any]:
        cluster = int(job.info["clusterid"])
        changes: list[Change] = [await _cluster_switch(job, cluster, HA_SWITCH, on)]
        if job.info.get("includehost"):
            for host in await job.desk.memory.select(Host, Query(equal={"cluster_id": cluster, "removed": None})):
                row = await _ha_row(job, host)
                provider = row.provider or _PROVIDERS.get(host.hypervisor_type.lower(), "")
                values = {"enabled": on and bool(provider), "provider": provider}
                changes.append(Update(HaConfig, row.id, values))
        await job.desk.memory.commit(changes)
        await job.manager.refresh_inventory()
        return {"success": True}

    return switch


def _switch_ha_for_zone(on: bool) -> Handler:
    async def switch(job: Job) -> dict[str, Any]:
        await job.desk.memory.commit([await _zone_switch(job, int(job.info["zoneid"]), HA_SWITCH, on)])
        await job.manager.refresh_inventory()
        return {"success": True}

    return switch


async def _cluster_switch(job: Job, cluster_id: int, name: str, on: bool) -> Change:
    found = await job.desk.memory.select(ClusterDetail, Query(equal={"cluster_id": cluster_id, "name": name}))
    value = "true" if on else "false"
    if found:
        return Update(ClusterDetail, found[0].id, {"value": value})
    return Insert(ClusterDetail(cluster_id=cluster_id, name=name, value=value))


async def _zone_switch(job: Job, zone_id: int, name: str, on: bool) -> Change:
    found = await job.desk.memory.select(ZoneDetail, Query(equal={"dc_id": zone_id, "name": name}))
    value = "true" if on else "false"
    if found:
        return Update(ZoneDetail, found[0].id, {"value": value})
    return Insert(ZoneDetail(dc_id=zone_id, name=name, value=value))


# --- out-of-band management ----------------------------------------------------------------------------------------


def _switch_oobm_for_host(on: bool) -> Handler:
    async def switch(job: Job) -> dict[str, Any]:
        host = await job.host()
        rows = await job.desk.memory.select(Oobm, Query(equal={"host_id": host.id}))
        if not any(row.driver for row in rows):
            raise InvalidRequest(
                f"out-of-band management is not configured for host {host.name}: "
                "call configureOutOfBandManagement first"
            )
        state = PowerState.UNKNOWN if on else PowerState.DISABLED
        values = {"enabled": on, "power_state": state, "problem": "", "update_time": job.desk.journal.now()}
        await job.desk.memory.commit([Update(Oobm, row.id, values) for row in rows])
        job.manager.power.record.forget_alert(host.id)
        await job.manager.refresh_inventory()
        if on:
            await job.manager.power.read_now(host.id)
        return {"object": "outofbandmanagement", "hostid": host.id, "status": True}

    return switch


def _switch_oobm_above(on: bool, key: str) -> Handler:
    async def switch(job: Job) -> dict[str, Any]:
        place = int(job.info[key])
        change = await (_cluster_switch if key == "clusterid" else _zone_switch)(job, place, OOBM_SWITCH, on)
        column = "cluster_id" if key == "clusterid" else "data_center_id"
        changes = [change]
        if not on:
            hosts = await job.desk.memory.select(Host, Query(equal={column: place, "removed": None}))
            changes += await _all_disabled(job, [host.id for host in hosts])
        await job.desk.memory.commit(changes)
        await job.manager.refresh_inventory()
        return {"object": "outofbandmanagement", "enabled": on, "status": True}

    return switch


async def _all_disabled(job: Job, host_ids: Iterable[int]) -> list[Change]:
    rows = await job.desk.memory.select(Oobm, Query(among={"host_id": sorted(host_ids)}))
    return [Update(Oobm, row.id, {"power_state": PowerState.DISABLED}) for row in rows]


HANDLERS: dict[str, Handler] = {
    "configureHAForHost": _configure_ha,
    "enableHAForHost": _enable_ha,
    "disableHAForHost": _disable_ha,
    "enableHAForCluster": _switch_ha_for_cluster(True),
    "disableHAForCluster": _switch_ha_for_cluster(False),
    "enableHAForZone": _switch_ha_for_zone(True),
    "disableHAForZone": _switch_ha_for_zone(False),
    "enableOutOfBandManagementForHost": _switch_oobm_for_host(True),
    "disableOutOfBandManagementForHost": _switch_oobm_for_host(False),
    "enableOutOfBandManagementForCluster": _switch_oobm_above(True, "clusterid"),
    "disableOutOfBandManagementForCluster": _switch_oobm_above(False, "clusterid"),
    "enableOutOfBandManagementForZone": _switch_oobm_above(True, "zoneid"),
    "disableOutOfBandManagementForZone": _switch_oobm_above(False, "zoneid"),
}
