"""scope: hosts that are up, enabled and within reach of the VM; its own cluster first (S9)."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from holdfast.engine.reach import out_of_reach
from holdfast.hooks.markers import hookimpl
from holdfast.hooks.placement import HostRoom, Request
from holdfast.options import Option


class ScopeFilter:
    """Refuses by zone, storage, caller, hypervisor and the host's state. Scores 1 in the VM's own cluster, 0 elsewhere.

    List it as the first scorer, so that no other preference sends a VM to another cluster.
    """

    SETTINGS: ClassVar[Mapping[str, Option]] = {}
    reads = frozenset({"zone", "hypervisor", "pinned", "local_host", "pool_cluster"})
    scores = True

    def __init__(self, settings: Mapping[str, Any] | None = None) -> None:
        """Has no settings."""

    @hookimpl
    def refuse(self, request: Request, hosts: Sequence[HostRoom]) -> Mapping[str, str]:
        """The first reason in the order: reach, exclusion, hypervisor, state."""
        return {host.uuid: reason for host in hosts if (reason := _reason(request, host))}

    @hookimpl
    def score(self, request: Request, hosts: Sequence[HostRoom]) -> Mapping[str, float]:
        """1 for the hosts of the VM's own cluster, none if it has no cluster."""
        if not request.cluster:
            return {}
        return {host.uuid: 1.0 for host in hosts if host.cluster == request.cluster}


def _reason(request: Request, host: HostRoom) -> str:
    reason = out_of_reach(request, host)
    if reason:
        return reason
    if host.uuid in request.excluded:
        return request.excluded[host.uuid] or "the request excludes it"
    if request.hypervisor and host.hypervisor.casefold() != request.hypervisor.casefold():
        return f"runs hypervisor {host.hypervisor or '(none)'}, and the VM needs {request.hypervisor}"
    if host.up and host.enabled:
        return ""
    return host.why_not or ("the host is not up" if not host.up else "the host is not enabled")
