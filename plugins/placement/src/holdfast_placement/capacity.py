"""capacity: hosts with the CPU and memory that the VM needs."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from holdfast.hooks.markers import hookimpl
from holdfast.hooks.placement import HostRoom, Request
from holdfast.options import Option


class CapacityFilter:
    """Refuses hosts without the room. Overcommit is in the totals already; a need of 0 fits anywhere."""

    SETTINGS: ClassVar[Mapping[str, Option]] = {}
    reads = frozenset({"cpu", "ram"})
    scores = False

    def __init__(self, settings: Mapping[str, Any] | None = None) -> None:
        """Has no settings."""

    @hookimpl
    def refuse(self, request: Request, hosts: Sequence[HostRoom]) -> Mapping[str, str]:
        """Says what is needed, what is free and what there is in all."""
        cpu, ram = request.cpu, request.ram
        return {
            host.uuid: _reason(cpu, ram, host)
            for host in hosts
            if (ram > 0 and host.used_ram + ram > host.total_ram) or (cpu > 0 and host.used_cpu + cpu > host.total_cpu)
        }

    @hookimpl
    def score(self, request: Request, hosts: Sequence[HostRoom]) -> Mapping[str, float]:
        """No preference."""
        return {}


def _reason(cpu: int, ram: int, host: HostRoom) -> str:
    reasons = (
        _shortage(ram, host.used_ram, host.total_ram, "MB", "memory"),
        _shortage(cpu, host.used_cpu, host.total_cpu, "MHz", "CPU"),
    )
    return "; ".join(filter(None, reasons))


def _shortage(need: int, used: int, total: int, unit: str, what: str) -> str:
    if need <= 0 or used + need <= total:
        return ""
    if total <= 0:
        return f"needs {need} {unit} of {what}, and the host has reported none"
    return f"needs {need} {unit} of {what}, {max(0, total - used)} {unit} free of {total} {unit}"
