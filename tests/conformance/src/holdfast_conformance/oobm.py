"""Conformance of OOBM drivers: a power switch that may be trusted with proof of death."""

import threading
from collections.abc import Callable
from dataclasses import replace
from typing import ClassVar

import pytest
from holdfast.adapter import offers
from holdfast.errors import AuthenticationFailed, DeadlineExceeded, DriverError, Refused, Unreachable, Unsupported
from holdfast.hooks.oobm import CLOSE_SECONDS, OobmDriver
from holdfast.model.readiness import Readiness
from holdfast.model.secret import Secret
from holdfast.model.states import PowerAction, PowerState
from holdfast.model.views import BmcView

from holdfast_conformance.agreement import run_machine
from holdfast_conformance.calls import GRACE_SECONDS, attempt, kept_deadline, raised_by, together
from holdfast_conformance.oobm_bench import OobmBench, OobmCapabilities
from holdfast_conformance.oobm_machine import ChassisMachine, reads_within
from holdfast_conformance.secrecy import SecretWatch
from holdfast_conformance.suite import Conformance

__all__ = ["OobmBench", "OobmCapabilities", "OobmConformance"]

SHORT_DEADLINE = 1.0
NEW_PASSWORD = "Conf-new-4711"  # made up, distinctive, and within the 16 bytes that every BMC keeps
THREADS = 8


class OobmConformance(Conformance):
    """Subclass it; give the fixtures `bench` (an `OobmBench`, fresh for each test) and `driver`."""

    point = "oobm"
    capabilities: ClassVar[OobmCapabilities] = OobmCapabilities()

    def test_power_state_tells_on_from_off(self, driver: OobmDriver, bench: OobmBench) -> None:
        """A plain on reads ON and a plain off reads OFF."""
        for state in (PowerState.ON, PowerState.OFF):
            bench.force_power(state)
            assert self._read(driver, bench.bmc) is state

    def test_power_state_is_never_cached(self, driver: OobmDriver, bench: OobmBench) -> None:
        """A chassis that somebody switches by hand reads so at the very next question."""
        for state in (PowerState.ON, PowerState.OFF) * 3:
            bench.force_power(state)
            assert self._read(driver, bench.bmc) is state, "the driver answered from a cache"

    def test_off_is_confirmed_by_reading_back(self, driver: OobmDriver, bench: OobmBench) -> None:
        """An accepted OFF leads to an OFF reading within the settling time."""
        bench.force_power(PowerState.ON)
        self._act(driver, bench.bmc, PowerAction.OFF)
        assert self._becomes(driver, bench, PowerState.OFF)

    def test_off_is_idempotent(self, driver: OobmDriver, bench: OobmBench) -> None:
        """OFF of a chassis that is off is success, and leaves it off."""
        bench.force_power(PowerState.OFF)
        for _ in range(2):
            words = self._act(driver, bench.bmc, PowerAction.OFF)
            assert isinstance(words, str), "power_action returns the BMC's words"
        assert self._becomes(driver, bench, PowerState.OFF)

    def test_on_is_idempotent(self, driver: OobmDriver, bench: OobmBench) -> None:
        """ON switches a chassis on, and ON again is success."""
        self._need(PowerAction.ON)
        bench.force_power(PowerState.OFF)
        for _ in range(2):
            self._act(driver, bench.bmc, PowerAction.ON)
            assert self._becomes(driver, bench, PowerState.ON)

    def test_cycle_and_reset_end_on(self, driver: OobmDriver, bench: OobmBench) -> None:
        """After a CYCLE and after a RESET of a chassis that was on, it reads on again."""
        for action in (PowerAction.CYCLE, PowerAction.RESET):
            if action in self.capabilities.actions:
                bench.force_power(PowerState.ON)
                self._act(driver, bench.bmc, action)
                assert self._becomes(driver, bench, PowerState.ON), f"the chassis did not come back after {action}"

    def test_missing_actions_are_unsupported(self, driver: OobmDriver, bench: OobmBench) -> None:
        """An action outside `capabilities.actions` raises `Unsupported` and changes nothing."""
        bench.force_power(PowerState.ON)
        missing = sorted(set(PowerAction) - self.capabilities.actions - {PowerAction.STATUS})
        if not missing:
            pytest.skip("the driver has every action")
        for action in missing:
            raised_by(self._deadline, lambda asked=action: self._act(driver, bench.bmc, asked), Unsupported)  # type: ignore[misc]
        assert self._read(driver, bench.bmc) is PowerState.ON

    def test_odd_answers_read_unknown(self, driver: OobmDriver, bench: OobmBench) -> None:
        """A transitional or nonsensical answer is UNKNOWN or a `DriverError`: it is never OFF, nor ON."""
        if not self.capabilities.can_show_odd_state:
            pytest.skip("the bench shows no odd state")
        bench.force_power(PowerState.OFF)
        bench.show_odd_state()
        outcome = kept_deadline(self._deadline, lambda: driver.power_state(bench.bmc, self._deadline))
        if outcome.error is None:
            assert outcome.value is PowerState.UNKNOWN
        else:
            assert isinstance(outcome.error, DriverError), repr(outcome.error)

    def test_an_accepted_action_is_not_taken_for_its_effect(self, driver: OobmDriver, bench: OobmBench) -> None:
        """When the BMC accepts OFF and does nothing, the chassis goes on reading ON."""
        if not self.capabilities.can_ignore_actions:
            pytest.skip("the bench cannot ignore actions")
        bench.force_power(PowerState.ON)
        bench.ignore_actions()
        attempt(self._deadline, lambda: driver.power_action(bench.bmc, PowerAction.OFF, self._deadline))
        assert self._read(driver, bench.bmc) is PowerState.ON

    def test_silence_is_unreachable(self, driver: OobmDriver, bench: OobmBench) -> None:
        """No answer raises `Unreachable`, which is no refusal, and gives no state; later all works again."""
        bench.force_power(PowerState.OFF)
        bench.make_unreachable()
        raised_by(SHORT_DEADLINE, lambda: driver.power_state(bench.bmc, SHORT_DEADLINE), Unreachable)
        raised_by(SHORT_DEADLINE, lambda: driver.power_action(bench.bmc, PowerAction.OFF, SHORT_DEADLINE), Unreachable)
        bench.make_reachable()
        assert self._read(driver, bench.bmc) is PowerState.OFF

    def test_deadlines_are_kept(self, driver: OobmDriver, bench: OobmBench) -> None:
        """With a silent BMC every method is back within the deadline it was given."""
        bench.make_unreachable()
        calls: list[Callable[[], object]] = [
            lambda: driver.power_state(bench.bmc, SHORT_DEADLINE),
            lambda: driver.power_action(bench.bmc, PowerAction.OFF, SHORT_DEADLINE),
        ]
        if self.capabilities.changes_password:
            calls.append(lambda: driver.set_password(bench.bmc, NEW_PASSWORD, SHORT_DEADLINE))
        for call in calls:
            kept_deadline(SHORT_DEADLINE, call)

    def test_bad_credentials_are_told_apart(self, driver: OobmDriver, bench: OobmBench) -> None:
        """A wrong password raises `AuthenticationFailed` from every method, and switches nothing."""
        if not self.capabilities.authenticates:
            pytest.skip("there are no credentials")
        bench.force_power(PowerState.ON)
        wrong = bench.wrong_password()
        raised_by(self._deadline, lambda: driver.power_state(wrong, self._deadline), AuthenticationFailed)
        raised_by(self._deadline, lambda: self._act(driver, wrong, PowerAction.OFF), AuthenticationFailed)
        assert self._read(driver, bench.bmc) is PowerState.ON

    def test_a_refusal_is_told_apart(self, driver: OobmDriver, bench: OobmBench) -> None:
        """A BMC that says no raises `Refused`: not `Unreachable`, and no question of credentials."""
        if not self.capabilities.can_refuse:
            pytest.skip("the bench cannot refuse")
        bench.force_power(PowerState.ON)
        bench.refuse_actions()
        error = raised_by(self._deadline, lambda: self._act(driver, bench.bmc, PowerAction.OFF), Refused)
        assert not isinstance(error, AuthenticationFailed), "a refusal is no question of credentials"
        assert self._read(driver, bench.bmc) is PowerState.ON

    def test_a_healthy_bmc_is_ready(self, driver: OobmDriver, bench: OobmBench) -> None:
        """`readiness` finds no problem, on or off, and leaves the power as it is."""
        examine = self._examination(driver)
        for state in (PowerState.ON, PowerState.OFF):
            bench.force_power(state)
            found = examine(bench.bmc, self._deadline)
            assert isinstance(found, Readiness)
            assert found.problems == ()
            assert self._read(driver, bench.bmc) is state, "readiness switched the power"

    def test_readiness_sees_what_a_fence_would_meet(self, driver: OobmDriver, bench: OobmBench) -> None:
        """Silence raises `Unreachable` in time, a wrong password `AuthenticationFailed`, though a login is kept."""
        examine = self._examination(driver)
        self._read(driver, bench.bmc)
        if self.capabilities.authenticates:
            wrong = bench.wrong_password()
            raised_by(self._deadline, lambda: examine(wrong, self._deadline), AuthenticationFailed)
        bench.make_unreachable()
        raised_by(SHORT_DEADLINE, lambda: examine(bench.bmc, SHORT_DEADLINE), Unreachable)
        bench.make_reachable()
        assert examine(bench.bmc, self._deadline).problems == ()

    def _examination(self, driver: OobmDriver) -> Callable[[BmcView, float], Readiness]:
        found: Callable[[BmcView, float], Readiness] | None = getattr(driver, "readiness", None)
        if found is None:
            pytest.skip("the driver leaves readiness out")
        return found

    def test_one_driver_serves_many_threads(self, driver: OobmDriver, bench: OobmBench) -> None:
        """Calls from several threads, for one BMC and for two, do not disturb each other."""
        bench.force_power(PowerState.ON)
        wanted = [(bench.bmc, PowerState.ON)] * THREADS
        if self.capabilities.two_bmcs:
            wanted = [(bench.bmc, PowerState.ON), (bench.other_bmc, PowerState.OFF)] * (THREADS // 2)
        patience = self._deadline * THREADS
        calls = [lambda bmc=bmc: driver.power_state(bmc, patience) for bmc, _ in wanted]
        assert together(calls, patience) == [state for _, state in wanted]
        together([lambda: driver.power_action(bench.bmc, PowerAction.OFF, patience)] * 3, patience)
        assert self._becomes(driver, bench, PowerState.OFF)

    def test_secrets_are_never_shown(self, driver: OobmDriver, bench: OobmBench) -> None:
        """No password in a log, an output, an error, a repr or a command line, whatever happens."""
        views = [bench.bmc]
        if self.capabilities.authenticates:
            views.append(bench.wrong_password())
        secrets = {view.password.reveal() for view in views if view.password}
        if not secrets:
            pytest.skip("the BMC has no password")
        watch = SecretWatch(*secrets, user=bench.bmc.username)
        with watch.watching():
            for view in views:
                self._try_everything(driver, view, watch, self._deadline)
            bench.make_unreachable()
            self._try_everything(driver, bench.bmc, watch, SHORT_DEADLINE)
        watch.note("repr of the driver", f"{driver!r} {driver}")
        watch.note("attributes of the driver", repr(getattr(driver, "__dict__", "")))
        watch.assert_unseen()

    def test_a_new_password_replaces_the_old(self, driver: OobmDriver, bench: OobmBench) -> None:
        """After `set_password` the new one works and the old one does not; a driver without it says `Unsupported`."""
        change = getattr(driver, "set_password", None)
        if change is None:
            pytest.skip("the driver leaves set_password out")
        call = lambda: change(bench.bmc, NEW_PASSWORD, self._deadline)  # noqa: E731
        if not self.capabilities.changes_password:
            if type(driver).set_password is OobmDriver.set_password:
                pytest.skip("the driver leaves set_password out")
            raised_by(self._deadline, call, Unsupported)
            return
        old, new = bench.bmc, _with_password(bench.bmc, NEW_PASSWORD)
        assert kept_deadline(self._deadline, call).error is None
        assert self._read(driver, new) in (PowerState.ON, PowerState.OFF)
        raised_by(self._deadline, lambda: driver.power_state(old, self._deadline), AuthenticationFailed)

    def test_many_are_read_as_one_is(self, driver: OobmDriver, bench: OobmBench) -> None:
        """`power_states` gives each BMC its own state or error, by key; a silent one takes nothing from others."""
        if not offers(OobmDriver, driver, "power_states"):
            pytest.skip("the driver leaves power_states out")
        bench.force_power(PowerState.ON)
        asked = [bench.bmc, replace(bench.bmc, level=2, index=1)]
        wanted = dict.fromkeys([bmc.key for bmc in asked], PowerState.ON)
        if self.capabilities.two_bmcs:
            asked.append(bench.other_bmc)
            wanted[bench.other_bmc.key] = PowerState.OFF
        assert self._read_many(driver, asked) == wanted
        assert self._read_many(driver, []) == {}
        if self.capabilities.authenticates:
            wrong = bench.wrong_password()
            assert isinstance(self._read_many(driver, [wrong])[wrong.key], AuthenticationFailed)
        bench.make_unreachable()
        found = self._read_many(driver, asked)
        assert isinstance(found[bench.bmc.key], Unreachable | DeadlineExceeded)
        other = bench.other_bmc if self.capabilities.two_bmcs else bench.bmc
        if (other.address, other.port) != (bench.bmc.address, bench.bmc.port):
            assert found[other.key] is PowerState.OFF

    def test_close_lets_everything_go(self, driver: OobmDriver, bench: OobmBench) -> None:
        """In time with a BMC that is silent, twice, without an error, and without a thread that goes on."""
        if not offers(OobmDriver, driver, "close"):
            pytest.skip("the driver leaves close out")
        before = set(threading.enumerate())
        self._read(driver, bench.bmc)
        bench.make_unreachable()
        for _ in range(2):
            assert kept_deadline(CLOSE_SECONDS, driver.close).error is None
        for thread in set(threading.enumerate()) - before:
            thread.join(GRACE_SECONDS)
            assert not thread.is_alive(), f"{thread.name} still runs after close()"

    def test_agrees_with_a_chassis(self, driver: OobmDriver, bench: OobmBench) -> None:
        """Any order of actions, buttons pressed by hand, and cut cables leaves the readings true."""
        run_machine(lambda: ChassisMachine(driver, bench, self.capabilities), self.model_examples)

    @property
    def _deadline(self) -> float:
        return self.capabilities.deadline_seconds

    def _need(self, action: PowerAction) -> None:
        if action not in self.capabilities.actions:
            pytest.skip(f"the driver has no {action}")

    def _read(self, driver: OobmDriver, bmc: BmcView) -> PowerState:
        return driver.power_state(bmc, self._deadline)

    def _read_many(self, driver: OobmDriver, bmcs: list[BmcView]) -> dict[str, object]:
        outcome = kept_deadline(self._deadline, lambda: driver.power_states(bmcs, self._deadline))
        assert outcome.error is None, f"power_states raises nothing itself: {outcome.error!r}"
        return dict(outcome.value)

    def _act(self, driver: OobmDriver, bmc: BmcView, action: PowerAction) -> str:
        return driver.power_action(bmc, action, self._deadline)

    def _becomes(self, driver: OobmDriver, bench: OobmBench, state: PowerState) -> bool:
        return reads_within(driver, bench, state, self.capabilities)

    def _try_everything(self, driver: OobmDriver, view: BmcView, watch: SecretWatch, deadline: float) -> None:
        watch.note("repr of the BMC", repr(view))
        for action in (PowerAction.ON, PowerAction.OFF):
            outcome = attempt(deadline, lambda asked=action: driver.power_action(view, asked, deadline))  # type: ignore[misc]
            watch.note("words of the BMC", outcome.value)
            watch.note_error(outcome.error)
        watch.note_error(attempt(deadline, lambda: driver.power_state(view, deadline)).error)
        examine = getattr(driver, "readiness", None)
        if examine is not None:
            outcome = attempt(deadline, lambda: examine(view, deadline))
            watch.note("readiness", repr(outcome.value))
            watch.note_error(outcome.error)


def _with_password(bmc: BmcView, password: str) -> BmcView:
    return BmcView(
        host_uuid=bmc.host_uuid,
        driver=bmc.driver,
        address=bmc.address,
        port=bmc.port,
        username=bmc.username,
        password=Secret(password),
        level=bmc.level,
        options=bmc.options,
    )
