"""spread: the emptier the host will be, the better, so that the next failure hits few VMs."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from holdfast.hooks.markers import hookimpl
from holdfast.hooks.placement import HostRoom, Request
from holdfast.options import Option


class SpreadScorer:
    """Scores 1 minus the fuller of the shares of CPU and memory that are in use once the VM is there."""

    SETTINGS: ClassVar[Mapping[str, Option]] = {}
    reads = frozenset({"cpu", "ram"})
    scores = True

    def __init__(self, settings: Mapping[str, Any] | None = None) -> None:
        """Has no settings."""

    @hookimpl
    def refuse(self, request: Request, hosts: Sequence[HostRoom]) -> Mapping[str, str]:
        """Refuses nobody."""
        return {}

    @hookimpl
    def score(self, request: Request, hosts: Sequence[HostRoom]) -> Mapping[str, float]:
        """A host that has reported no CPU or no memory counts as full."""
        return {host.uuid: _emptiness(host, request.cpu, request.ram) for host in hosts}


def _emptiness(host: HostRoom, cpu: int, ram: int) -> float:
    if host.total_cpu <= 0 or host.total_ram <= 0:
        return 0.0
    fuller = max((host.used_cpu + cpu) / host.total_cpu, (host.used_ram + ram) / host.total_ram)
    return min(1.0, max(0.0, 1.0 - fuller))
