"""Dedicated HA hosts (M4), as answers show them."""

from collections.abc import Iterable

from holdfast.engine.dedicated import is_dedicated, warnings
from holdfast.hooks.store import Query
from holdfast.model import Host, HostStatus, HostTag, ResourceState

from holdfast_api.call import Call
from holdfast_api.rows import Places, among, tags_of


def ha_tag(call: Call) -> str:
    """The setting `ha.tag`, or "" while it is not set."""
    return call.settings.text("ha.tag").strip()


def dedicated_ids(call: Call) -> set[int]:
    """Ids of the hosts that take only VMs restarted by HA; removed hosts may be among them."""
    tag = ha_tag(call)
    if not tag:
        return set()
    rows = call.store.select(HostTag, Query(equal={"tag": tag}))
    return {row.host_id for row in rows if is_dedicated(tag, (row.tag,))}


def zone_warnings(call: Call, zones: Iterable[int]) -> dict[int, str]:
    """Zone id → what M4.2 asks to say there: `ha.tag` is set, and no usable host carries it."""
    tag, wanted = ha_tag(call), set(zones)
    if not tag or not wanted:
        return {}
    hosts = [host for host in among(call.store, Host, "data_center_id", wanted) if _usable(host)]
    tags = tags_of(call.store, [host.id for host in hosts])
    named = Places(call.store, zones=wanted).zones
    # By id, since the text names zones: two zones of one name would hide each other.
    found: dict[int, str] = {}
    for zone_id, zone in named.items():
        usable = {host.name: tags.get(host.id, []) for host in hosts if host.data_center_id == zone_id}
        found |= dict.fromkeys((zone_id,), warnings(tag, {zone.name: usable}).get(zone.name, ""))
    return {zone_id: text for zone_id, text in found.items() if text}


def _usable(host: Host) -> bool:
    return host.removed is None and host.status == HostStatus.UP and host.resource_state == ResourceState.ENABLED
