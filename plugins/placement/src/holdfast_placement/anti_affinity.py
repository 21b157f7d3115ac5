"""anti-affinity: the VMs of one group never share a host."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from holdfast.hooks.markers import hookimpl
from holdfast.hooks.placement import HostRoom, Request
from holdfast.options import Option


class AntiAffinityFilter:
    """Refuses hosts that run a VM of the same anti-affinity group, or have been given one in this plan."""

    SETTINGS: ClassVar[Mapping[str, Option]] = {}
    reads = frozenset({"affinity_group"})
    scores = False

    def __init__(self, settings: Mapping[str, Any] | None = None) -> None:
        """Has no settings."""

    @hookimpl
    def refuse(self, request: Request, hosts: Sequence[HostRoom]) -> Mapping[str, str]:
        """Refuses hosts with a member of the VM's group."""
        group = request.affinity_group
        if not group:
            return {}
        reason = f"a VM of anti-affinity group {group} is there already"
        return {host.uuid: reason for host in hosts if host.groups.get(group, 0) > 0}

    @hookimpl
    def score(self, request: Request, hosts: Sequence[HostRoom]) -> Mapping[str, float]:
        """No preference."""
        return {}
