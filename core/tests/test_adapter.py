"""Callers see the whole interface, whatever the driver takes or leaves out."""

import asyncio
from typing import Any

import pytest
from holdfast.adapter import adapt, faults, unwrap
from holdfast.hooks.hypervisor import Hypervisor
from holdfast.hooks.markers import hookimpl
from holdfast.hooks.oobm import OobmDriver
from holdfast.hooks.points import POINTS
from holdfast.hooks.provider import HaProvider
from holdfast.hooks.service import Service
from hypothesis import given
from hypothesis import strategies as st

OOBM, PROVIDER, SERVICE, HYPERVISOR = (POINTS[name] for name in ("oobm", "provider", "service", "hypervisor"))


class _State:
    @hookimpl
    def power_state(self, bmc: Any, deadline: float) -> Any:
        return (bmc, deadline)


class Full(_State):
    """Takes what the interface gives."""

    @hookimpl
    def power_action(self, bmc: Any, action: Any, deadline: float) -> Any:
        return (bmc, action, deadline)


class Fewer(_State):
    """Takes one of three."""

    @hookimpl
    def power_action(self, action: Any) -> Any:
        return action


class Nothing(_State):
    """Takes none."""

    @hookimpl
    def power_action(self) -> Any:
        return "done"


class Reordered(_State):
    """Takes two in another order."""

    @hookimpl
    def power_action(self, deadline: float, bmc: Any) -> Any:
        return (deadline, bmc)


class KeywordOnly(_State):
    """Takes one by name only, and one with a default of its own."""

    @hookimpl
    def power_action(self, bmc: Any, retries: int = 3, *, deadline: float) -> Any:
        return (bmc, retries, deadline)


class Defaulted(_State):
    """A default of its own does not keep the caller's value out."""

    @hookimpl
    def power_action(self, bmc: Any, deadline: float = 99.0) -> Any:
        return (bmc, deadline)


class Starred(_State):
    """Takes whatever comes."""

    @hookimpl
    def power_action(self, *given: Any) -> Any:
        return given


class Static(_State):
    """Needs no self."""

    @staticmethod
    @hookimpl
    def power_action(bmc: Any, action: Any) -> Any:
        return (bmc, action)


WANTED: dict[type, Any] = {
    Full: ("b", "a", 2.0),
    Fewer: "a",
    Nothing: "done",
    Reordered: (2.0, "b"),
    KeywordOnly: ("b", 3, 2.0),
    Defaulted: ("b", 2.0),
    Starred: ("b", "a", 2.0),
    Static: ("b", "a"),
}


@pytest.mark.parametrize("driver_class", WANTED)
def test_the_driver_gets_what_it_takes(driver_class: type) -> None:
    """Whether the caller passes arguments by position, by name, or mixed."""
    assert faults(OOBM, driver_class) == []
    adapter = adapt(OOBM, driver_class(), "<label>")
    assert adapter.power_action("b", "a", 2.0) == WANTED[driver_class]
    if driver_class is not Starred:
        assert adapter.power_action("b", deadline=2.0, action="a") == WANTED[driver_class]
        assert adapter.power_action(deadline=2.0, action="a", bmc="b") == WANTED[driver_class]


@pytest.mark.parametrize("driver_class", [Full, Fewer, Reordered, Nothing])
def test_a_caller_that_forgets_an_argument_is_told(driver_class: type) -> None:
    """Also where the driver would not have looked at it: callers keep the interface, not the driver's habits."""
    adapter = adapt(OOBM, driver_class(), "<label>")
    with pytest.raises(TypeError, match="missing"):
        adapter.power_action("b", "a")
    with pytest.raises(TypeError):
        adapter.power_action("b", "a", 2.0, 3.0)


def test_a_driver_that_takes_everything_costs_nothing() -> None:
    """Its own bound method is what the caller gets."""
    driver = Full()
    adapter = adapt(OOBM, driver, "<label>")
    assert adapter.power_action == driver.power_action
    assert unwrap(adapter) is driver


def test_optional_methods_left_out_are_the_interfaces_own() -> None:
    """`self_test` of the interface does nothing, `set_password` raises; neither needs the driver to subclass."""
    adapter = adapt(OOBM, Full(), "<label>")
    assert adapter.self_test() is None
    with pytest.raises(NotImplementedError):
        adapter.set_password("b", "new", 1.0)
    assert isinstance(adapter, OobmDriver)
    assert repr(adapter) == "<label>"


def test_attributes_are_the_drivers_where_it_has_them() -> None:
    """Set on the class, on the object, or not at all."""

    class Provider:
        hypervisor = "KVM"

        def __init__(self) -> None:
            self.defaults = {"kvm.ha.health.check.timeout": "3"}

        @hookimpl
        def eligibility(self) -> Any:
            return "yes"

    adapter = adapt(PROVIDER, Provider(), "<label>")
    assert (adapter.hypervisor, adapter.display_name) == ("KVM", HaProvider.display_name)
    assert adapter.defaults == {"kvm.ha.health.check.timeout": "3"}
    assert adapter.polls_health("host") is False
    assert adapter.eligibility("host", "surroundings") == "yes"


def test_a_subclass_of_the_interface_needs_its_own_methods_only() -> None:
    """Inherited mandatory methods count as missing, inherited optional ones do not."""

    class Kvm(Hypervisor):
        runs_on = "server"

        @hookimpl
        def list_vms(self, host: Any, deadline: float) -> Any:
            return ()

    found = faults(HYPERVISOR, Kvm)
    assert [text.partition("(")[0] for text in found] == [
        "lacks the mandatory method start_vm",
        "lacks the mandatory method stop_vm",
    ]
    assert adapt(HYPERVISOR, Kvm(), "<label>").runs_on == "server"


def test_coroutines_are_awaited_through_the_adapter() -> None:
    """Also when the service takes less than is given."""

    class Tiny:
        @hookimpl
        async def start(self) -> str:
            return "started"

        @hookimpl
        async def wait(self) -> str:
            return "ended"

        @hookimpl
        async def stop(self) -> None:
            pass

    assert faults(SERVICE, Tiny) == []
    adapter: Service = adapt(SERVICE, Tiny(), "<label>")

    async def scenario() -> list[object]:
        return [await adapter.start(None), await adapter.wait()]  # type: ignore[arg-type, func-returns-value]

    assert asyncio.run(scenario()) == ["started", "ended"]


def test_what_a_driver_raises_reaches_the_caller() -> None:
    """The adapter hides signatures, not errors."""

    class Failing(_State):
        @hookimpl
        def power_action(self, action: Any) -> Any:
            raise OSError(action)

    with pytest.raises(OSError, match="off"):
        adapt(OOBM, Failing(), "<label>").power_action("b", "off", 1.0)


@given(st.permutations(["host", "vm_uuid", "run_epoch", "graceful", "deadline"]), st.integers(0, 5))
def test_any_part_of_the_arguments_in_any_order_arrives_by_name(order: list[str], count: int) -> None:
    """A driver may take any of what an interface gives."""
    taken = order[:count]
    scope: dict[str, Any] = {}
    exec(f"def stop_vm(self, {', '.join(taken)}): return [{', '.join(taken)}]", scope)
    driver = type("Driver", (), {"stop_vm": hookimpl(scope["stop_vm"])})()
    adapter = adapt(HYPERVISOR, driver, "<label>")
    values = {"host": 1, "vm_uuid": 2, "run_epoch": 3, "graceful": 4, "deadline": 5}
    assert adapter.stop_vm(*values.values()) == [values[name] for name in taken]
    assert adapter.stop_vm(**values) == [values[name] for name in taken]
