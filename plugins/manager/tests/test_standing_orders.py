"""What the owner knows of a host's storage lease: only what its agent confirmed."""

import asyncio
from collections.abc import Coroutine
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

from holdfast.engine.incident import Heard, LeaseTerms
from holdfast.errors import Unreachable
from holdfast.hooks.hypervisor import Hypervisor
from holdfast.model.views import Beat, HostOrders, PoolView
from holdfast_manager.link import Links
from holdfast_manager.standing_orders import StandingOrders

SETTINGS = {"ha.storage.lease": "10", "ha.watchdog.time": "10", "ha.watchdog.margin": "5"}
POOL = PoolView("a", "pool-a", "NetworkFilesystem", "nfs")
ORDERS = HostOrders((POOL,), True, SETTINGS)
HOST: Any = SimpleNamespace(uuid="h", name="host", id=1, data_center_id=1, cluster_id=1)


class Driver(Hypervisor):
    def __init__(self) -> None:
        self.told: list[HostOrders] = []
        self.answers = True

    def give_orders(self, host: Any, orders: HostOrders, deadline: float) -> None:
        self.told.append(orders)
        if not self.answers:
            raise Unreachable("no answer")


class Bed:
    """The part of a desk that orders need; what is spawned is run at once."""

    def __init__(self) -> None:
        self.now, self.driver = 100.0, Driver()
        clock = SimpleNamespace(monotonic=lambda: self.now)
        self.links = Links(clock, lambda: None)  # type: ignore[arg-type]
        self.link = self.links.open("h")
        self.links.on_connected("h", "boot", 1, 1, 1)
        desk: Any = SimpleNamespace(
            clock=clock, links=self.links, epoch=lambda host: 1, silent_after=lambda: 3.0, spawn=self._run,
            hypervisor=lambda host: self.driver, while_owned=lambda host, call: call, host_view=lambda host: host,
            pool=lambda name: SimpleNamespace(call=self._call),
        )  # fmt: skip
        self.orders = StandingOrders(desk)

    async def _call(self, seconds: float, call: Any, *arguments: Any) -> Any:
        return call(*arguments)

    def _run(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run(work)

    def beat(self, armed: bool) -> Heard:
        self.links.on_beat(Beat("h", "boot", self.link.sequence + 1, armed))
        return self.link.sign_of_life()


def test_an_armed_watchdog_counts_once_the_orders_are_confirmed() -> None:
    """Before that nobody knows on which terms it is armed."""
    bed = Bed()
    assert bed.beat(armed=True) == Heard()
    bed.driver.answers = False
    bed.orders._see_to(HOST, ORDERS)
    assert bed.beat(armed=True) == Heard()
    bed.driver.answers, bed.now = True, bed.now + 10
    bed.links.on_connected("h", "boot", 1, 1, 1)
    bed.orders._see_to(HOST, ORDERS)
    assert bed.beat(armed=True) == Heard(True, LeaseTerms(25.0, frozenset({"pool-a"})))


def test_while_new_orders_are_on_their_way_the_safer_terms_count() -> None:
    """The host may keep to the old ones or to the new ones."""
    bed = Bed()
    bed.orders._see_to(HOST, ORDERS)
    other = replace(POOL, uuid="b", name="pool-b")
    shorter = HostOrders((other,), True, {**SETTINGS, "ha.storage.lease": "4"})
    bed.driver.answers = False
    bed.orders._see_to(HOST, shorter)
    assert bed.beat(armed=True) == Heard(True, LeaseTerms(25.0, frozenset({"pool-a", "pool-b"})))
    bed.driver.answers, bed.now = True, bed.now + 10
    bed.links.on_connected("h", "boot", 1, 1, 1)
    bed.orders._see_to(HOST, shorter)
    assert bed.beat(armed=True) == Heard(True, LeaseTerms(19.0, frozenset({"pool-b"})))


def test_a_new_connection_has_to_confirm_anew() -> None:
    """The agent may have obeyed another owner meanwhile."""
    bed = Bed()
    bed.orders._see_to(HOST, ORDERS)
    assert bed.beat(armed=True).armed
    bed.orders._desk.inventory = SimpleNamespace(hosts_by_uuid={})  # type: ignore[misc]
    bed.orders.connected("h")
    assert bed.beat(armed=True) == Heard()
