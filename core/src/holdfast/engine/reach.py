"""Reach: the hosts that a VM's zone, storage and caller leave to choose from (S9).

This is law, not preference: the planner itself keeps to it, so that no list of placement plugins can break it.
"""

from typing import Literal, NamedTuple

from holdfast.hooks.placement import HostRoom, Request

REACH_FIELDS = ("zone", "pinned", "local_host", "pool_cluster")
"""The fields of a request that `out_of_reach` depends on."""


class Area(NamedTuple):
    """A part of the cloud that is looked at as a whole: one host, one cluster or one zone, by uuid."""

    kind: Literal["host", "cluster", "zone"]
    uuid: str

    def __str__(self) -> str:
        return f"{self.kind} {self.uuid}"


def areas(request: Request) -> tuple[Area, ...]:
    """Where to look for a host, in this order: a later area is looked at only if the earlier ones have none.

    The last area holds every host within reach.
    """
    if request.pinned or request.local_host:
        return (Area("host", request.pinned or request.local_host),)
    if request.pool_cluster:
        return (Area("cluster", request.pool_cluster),)
    zone = Area("zone", request.zone)
    return (Area("cluster", request.cluster), zone) if request.cluster else (zone,)


def out_of_reach(request: Request, host: HostRoom) -> str:
    """Why the VM can never run on this host, whatever room it has; "" if it can."""
    if host.zone != request.zone:
        return f"is in zone {host.zone or '(none)'}; the VM stays in its zone {request.zone or '(none)'}"
    if request.local_host and host.uuid != request.local_host:
        return f"the VM has a volume on the local storage of host {request.local_host}"
    if request.pool_cluster and host.cluster != request.pool_cluster:
        return f"the VM's primary storage serves cluster {request.pool_cluster} only"
    if request.pinned and host.uuid != request.pinned:
        return f"the caller insists on host {request.pinned}"
    return ""
