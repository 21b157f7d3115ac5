"""Several fence devices of one host: what is read, what is sent to whom, and how long it may take."""

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from holdfast.errors import AuthenticationFailed, Unreachable
from holdfast.hooks.oobm import OobmDriver
from holdfast.model import Host, Oobm, Opinion, PowerAction, PowerState, Secret
from holdfast.model.views import BmcView
from holdfast_manager.fence_devices import FenceDevices, fence_seconds, level_seconds
from holdfast_manager.inventory import Inventory
from holdfast_manager.real_runtime import RealRuntime

OFF, ON = PowerState.OFF, PowerState.ON
HOST = Host(id=1, uuid="h1", name="h1", hypervisor_type="KVM", data_center_id=1, pod_id=1, cluster_id=1)


class Chassis(OobmDriver):
    """A driver whose devices do as they are told by name: each address has its own state and manners."""

    def __init__(self) -> None:
        self.states: dict[str, PowerState] = {}
        self.orders: list[tuple[str, PowerAction]] = []
        self.errors: dict[str, Exception] = {}
        self.stubborn: set[str] = set()
        self.hanging: dict[str, threading.Event] = {}

    def power_state(self, bmc: BmcView, deadline: float) -> PowerState:
        self._manners(bmc)
        return self.states.get(bmc.address, ON)

    def power_action(self, bmc: BmcView, action: PowerAction, deadline: float) -> str:
        self._manners(bmc)
        self.orders.append((bmc.address, action))
        if bmc.address not in self.stubborn and action in (PowerAction.ON, PowerAction.OFF):
            self.states[bmc.address] = OFF if action is PowerAction.OFF else ON
        return f"{bmc.address}: {action}"

    def _manners(self, bmc: BmcView) -> None:
        if bmc.address in self.hanging:
            self.hanging[bmc.address].wait()
        if bmc.address in self.errors:
            raise self.errors[bmc.address]


@pytest.fixture
def chassis() -> Iterator[Chassis]:
    """The driver; what hangs in it is let go at the end."""
    driver = Chassis()
    yield driver
    for event in driver.hanging.values():
        event.set()


@pytest.fixture
def devices(chassis: Chassis) -> Iterator[Callable[..., FenceDevices]]:
    """Makes the fence devices of a host: one list of addresses for each level."""
    runtime = RealRuntime()

    def make(*levels: list[str], may_act: Callable[[], bool] = lambda: True, **values: Any) -> FenceDevices:
        rows = tuple(
            Oobm(
                id=10 * level + index, host_id=1, level=level, device_index=index, enabled=True, driver="fake",
                address=address, password=Secret("word"), **values,
            )
            for level, addresses in enumerate(levels, 1)
            for index, address in enumerate(addresses)
        )  # fmt: skip
        inventory = Inventory(fence_devices={1: rows})
        return FenceDevices(
            HOST, inventory, runtime, lambda _point, _name: chassis, reading=0.5, pause=0.01, may_act=may_act
        )

    yield make
    runtime.close()


def test_two_supplies_are_switched_at_once_and_both_must_be_off(chassis, devices):
    """One of two that reads on leaves the host on; one that is silent leaves it unknown."""
    both = devices(["a", "b"])
    assert both.read()[0] is Opinion.ALIVE
    assert both.switch(PowerAction.OFF, 5.0).accepted
    assert sorted(chassis.orders) == [("a", PowerAction.OFF), ("b", PowerAction.OFF)]
    assert both.read()[0] is Opinion.DEAD
    chassis.states["b"] = ON
    assert both.read()[0] is Opinion.ALIVE
    chassis.errors["b"] = Unreachable("nobody there")
    opinion, readings = both.read()
    assert opinion is Opinion.UNKNOWN
    assert [one.words for one in readings] == ["fake a is Off", "fake b is not known (Unreachable: nobody there)"]


def test_both_are_asked_although_one_hangs_for_ever(chassis, devices):
    """A driver that breaks its contract costs its own device its deadline, and the other nothing."""
    chassis.hanging["a"] = threading.Event()
    both = devices(["a", "b"])
    outcome = both.switch(PowerAction.OFF, 0.3)
    assert not outcome.accepted
    assert outcome.detail == "OFF at fake a: no answer within 0.3 s"
    assert chassis.states["b"] is OFF
    assert both.read()[0] is Opinion.UNKNOWN


@pytest.mark.parametrize("trouble", ["refuses", "lies", "hangs"])
def test_the_next_level_is_taken_when_one_fails(chassis, devices, trouble):
    """It says no, accepts and does nothing, or lets its time pass: the outlets are cut, and the outcome says why."""
    if trouble == "refuses":
        chassis.errors["bmc"] = AuthenticationFailed("wrong password")
    elif trouble == "lies":
        chassis.stubborn.add("bmc")
    else:
        chassis.hanging["bmc"] = threading.Event()
    ladder = devices(["bmc"], ["a", "b"])
    outcome = ladder.switch(PowerAction.OFF, 0.4)
    assert outcome.accepted
    assert [address for address, _ in chassis.orders if address != "bmc"] in (["a", "b"], ["b", "a"])
    wanted = {
        "refuses": "level 1: OFF at fake bmc: AuthenticationFailed: wrong password",
        "lies": "level 1: OFF was accepted, but fake bmc is On",
        "hangs": "level 1: OFF at fake bmc: no answer within 0.2 s",
    }
    assert wanted[trouble] in outcome.detail
    assert [type(error) for _, error in ladder.refusals] == ([AuthenticationFailed] if trouble == "refuses" else [])


def test_a_level_that_reads_off_is_enough(chassis, devices):
    """Nobody cuts the outlets of a host whose BMC has switched it off and says so."""
    ladder = devices(["bmc"], ["a", "b"])
    assert ladder.switch(PowerAction.OFF, 5.0).accepted
    assert chassis.orders == [("bmc", PowerAction.OFF)]
    chassis.hanging["a"] = threading.Event()
    opinion, readings = ladder.read()
    assert opinion is Opinion.DEAD
    assert readings[1].words == "fake a is not known (the others were enough)"


def test_an_earlier_device_that_reads_on_contradicts_a_later_level(chassis, devices):
    """Outlets of another host by mistake: all of them are off, and the host runs."""
    chassis.stubborn.add("bmc")
    ladder = devices(["bmc"], ["a", "b"])
    ladder.switch(PowerAction.OFF, 0.2)
    assert [chassis.states[name] for name in "ab"] == [OFF, OFF]
    assert ladder.read()[0] is Opinion.ALIVE
    chassis.errors["bmc"] = Unreachable("dark: it has no power either")
    assert ladder.read()[0] is Opinion.DEAD


def test_every_level_failing_is_told_level_by_level(chassis, devices):
    """In the order in which they were tried."""
    chassis.errors |= {name: Unreachable(f"no {name}") for name in ("bmc", "a")}
    outcome = devices(["bmc"], ["a", "b"]).switch(PowerAction.OFF, 1.0)
    assert not outcome.accepted
    assert outcome.detail == (
        "level 1: OFF at fake bmc: Unreachable: no bmc; level 2: OFF at fake a: Unreachable: no a"
    )


def test_power_returns_to_the_outlets_before_the_bmc(chassis, devices):
    """A BMC without power takes no order."""
    chassis.states |= dict.fromkeys(["bmc", "a", "b"], OFF)
    assert devices(["bmc"], ["a", "b"]).switch(PowerAction.ON, 1.0).accepted
    assert chassis.orders[-1] == ("bmc", PowerAction.ON)
    assert set(chassis.states.values()) == {ON}


def test_two_supplies_are_cycled_together(chassis, devices):
    """One after the other would leave the host running: both are off before either comes back."""
    assert devices(["a", "b"]).switch(PowerAction.CYCLE, 1.0).accepted
    assert sorted(chassis.orders[:2]) == [("a", PowerAction.OFF), ("b", PowerAction.OFF)]
    assert sorted(chassis.orders[2:]) == [("a", PowerAction.ON), ("b", PowerAction.ON)]
    chassis.orders.clear()
    assert devices(["bmc"], ["a", "b"]).switch(PowerAction.RESET, 1.0).accepted
    assert chassis.orders == [("bmc", PowerAction.RESET)]


def test_nothing_is_sent_once_the_host_is_another_servers(chassis, devices):
    """Not to the next level either (S5)."""
    allowed = iter([True, False, False])
    chassis.errors["bmc"] = Unreachable("dark")
    outcome = devices(["bmc"], ["a", "b"], may_act=lambda: next(allowed)).switch(PowerAction.OFF, 1.0)
    assert not outcome.accepted
    assert chassis.orders == []


def test_a_disabled_device_proves_nothing_for_its_level(chassis, devices):
    """Its supply may well be on."""
    chassis.states |= {"a": OFF, "b": OFF}
    made = devices(["a", "b"])
    rows = made._rows
    made._rows = (rows[0], Oobm(**{**_values(rows[1]), "enabled": False}))
    assert made.read()[0] is Opinion.UNKNOWN
    assert not made.switch(PowerAction.OFF, 1.0).accepted


def test_options_that_cannot_be_read_make_a_device_unknown(chassis, devices):
    """A pinned certificate that somebody garbled must not turn into none."""
    opinion, (reading,) = devices(["bmc"], options="{certificate").read()
    assert opinion is Opinion.UNKNOWN
    assert "oobm.options of row 10 is no JSON object" in reading.problem


def test_each_level_has_its_own_time(devices):
    """The last one has all that a fence attempt has; a device's own timeout counts before that."""
    rows = devices(["bmc"], ["a", "b"])._rows
    assert level_seconds(rows, 10.0) == {1: 5.0, 2: 10.0}
    assert fence_seconds(rows, 10.0) == 15.0
    timed = [Oobm(**{**_values(row), "timeout": 3 if row.level == 1 else 20}) for row in rows]
    assert level_seconds(timed, 10.0) == {1: 3.0, 2: 20.0}
    assert fence_seconds(timed, 10.0) == 23.0
    assert fence_seconds(rows[:1], 10.0) == 10.0
    assert fence_seconds((), 10.0) == 10.0


def _values(row: Oobm) -> dict[str, Any]:
    return {name: getattr(row, name) for name in row.__dataclass_fields__}
