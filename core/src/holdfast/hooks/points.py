"""The table of extension points: the one place that ties a point to its interface and entry-point group."""

from dataclasses import dataclass
from typing import Literal

from holdfast.hooks.command import Command
from holdfast.hooks.coordinator import Coordinator
from holdfast.hooks.database import Database
from holdfast.hooks.heartbeat import HeartbeatDriver
from holdfast.hooks.hypervisor import Hypervisor
from holdfast.hooks.notifier import Notifier
from holdfast.hooks.oobm import OobmDriver
from holdfast.hooks.placement import Placement
from holdfast.hooks.provider import HaProvider
from holdfast.hooks.service import Service
from holdfast.hooks.store import Store


@dataclass(frozen=True, slots=True)
class Point:
    """One extension point. `selection` says how the configuration chooses among its drivers."""

    name: str
    interface: type
    selection: Literal["one", "many", "ordered", "per host", "per pool", "words"]

    @property
    def group(self) -> str:
        """The entry-point group."""
        return f"holdfast.{self.name}"


POINTS: dict[str, Point] = {
    point.name: point
    for point in (
        Point("provider", HaProvider, "per host"),
        Point("oobm", OobmDriver, "per host"),
        Point("heartbeat", HeartbeatDriver, "per pool"),
        Point("placement", Placement, "ordered"),
        Point("hypervisor", Hypervisor, "per host"),
        Point("database", Database, "one"),
        Point("store", Store, "one"),
        Point("coordinator", Coordinator, "one"),
        Point("notifier", Notifier, "many"),
        Point("service", Service, "many"),
        Point("command", Command, "words"),
    )
}
