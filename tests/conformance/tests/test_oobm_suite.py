"""The OOBM suite passes a correct driver, and each of its checks fails a driver that breaks that one rule."""

import base64
import contextlib
import logging
import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest
from holdfast.errors import AuthenticationFailed, HoldfastError, Refused, Unreachable, Unsupported
from holdfast.hooks.markers import hookimpl
from holdfast.hooks.oobm import OobmDriver
from holdfast.model.readiness import Readiness
from holdfast.model.secret import Secret
from holdfast.model.states import PowerAction, PowerState
from holdfast.model.views import BmcView
from holdfast_conformance import OobmBench, OobmCapabilities, OobmConformance, failures, standard_tests

PASSWORD = "correct horse battery"
ACTIONS = frozenset({PowerAction.ON, PowerAction.OFF, PowerAction.CYCLE, PowerAction.RESET})


class Chassis(OobmBench):
    """A BMC in memory: two chassis, and every trouble that the suite can ask for."""

    def __init__(self) -> None:
        self.power = {"one": PowerState.ON, "two": PowerState.OFF}
        self.password = PASSWORD
        self.silent = self.refusing = self.ignoring = self.odd = False
        self.gate = threading.Event()

    @property
    def bmc(self) -> BmcView:
        return BmcView("host-1", "memory", "one", "623", "admin", Secret(PASSWORD))

    @property
    def other_bmc(self) -> BmcView:
        return replace(self.bmc, host_uuid="host-2", address="two")

    def wrong_password(self) -> BmcView:
        return replace(self.bmc, password=Secret("wrong horse battery"))

    def force_power(self, state: PowerState) -> None:
        self.power["one"] = state

    def make_unreachable(self) -> None:
        self.silent = True

    def make_reachable(self) -> None:
        self.silent = False

    def refuse_actions(self) -> None:
        self.refusing = True

    def ignore_actions(self) -> None:
        self.ignoring = True

    def show_odd_state(self) -> None:
        self.odd = True

    def pause(self, seconds: float) -> None:
        """Nothing takes time in memory."""

    def ask(self, bmc: BmcView) -> str:
        """What the wire says of the power."""
        self.log_in(bmc)
        if self.odd:
            self.odd = False
            return "powering-off"
        return self.power[bmc.address].value

    def log_in(self, bmc: BmcView) -> None:
        """Let a caller in, or not."""
        if self.silent and bmc.address == "one":
            raise Unreachable(f"no answer from {bmc.address}")
        if bmc.password.reveal() != self.password:
            raise AuthenticationFailed(f"{bmc.address} does not accept the credentials of {bmc.username}")


class MemoryOobm:
    """A correct driver."""

    def __init__(self, chassis: Chassis) -> None:
        self._chassis = chassis

    @hookimpl
    def power_state(self, bmc: BmcView, deadline: float) -> PowerState:
        return {"On": PowerState.ON, "Off": PowerState.OFF}.get(self._chassis.ask(bmc), PowerState.UNKNOWN)

    @hookimpl
    def power_action(self, bmc: BmcView, action: PowerAction, deadline: float) -> str:
        if action not in ACTIONS:
            raise Unsupported(f"{bmc.address} has no {action}")
        self._chassis.log_in(bmc)
        if self._chassis.refusing:
            raise Refused(f"{bmc.address} says no to {action}")
        if not self._chassis.ignoring:
            self._chassis.power[bmc.address] = PowerState.OFF if action is PowerAction.OFF else PowerState.ON
        return "ok"

    @hookimpl
    def readiness(self, bmc: BmcView, deadline: float) -> Readiness:
        state = self.power_state(bmc, deadline)
        return Readiness() if state in (PowerState.ON, PowerState.OFF) else Readiness(problems=("no plain state",))

    @hookimpl
    def set_password(self, bmc: BmcView, new_password: str, deadline: float) -> None:
        self._chassis.log_in(bmc)
        self._chassis.password = new_password

    @hookimpl
    def power_states(self, bmcs: Sequence[BmcView], deadline: float) -> Mapping[str, PowerState | HoldfastError]:
        return OobmDriver.power_states(self, bmcs, deadline)  # type: ignore[arg-type]

    @hookimpl
    def close(self) -> None:
        """There is nothing to let go."""


class TestACorrectDriver(OobmConformance):
    """The whole suite, as an author would run it."""

    capabilities = OobmCapabilities(actions=ACTIONS, changes_password=True, settle_seconds=0.5)

    @pytest.fixture
    def bench(self) -> Chassis:
        """A fresh BMC."""
        return Chassis()

    @pytest.fixture
    def driver(self, bench: Chassis) -> MemoryOobm:
        """The driver under test."""
        return MemoryOobm(bench)


class Caches(MemoryOobm):
    """Remembers the last state it saw or ordered."""

    _last: PowerState | None = None

    @hookimpl
    def power_state(self, bmc, deadline):
        self._chassis.log_in(bmc)
        if self._last is None:
            self._last = super().power_state(bmc, deadline)
        return self._last

    @hookimpl
    def power_action(self, bmc, action, deadline):
        self._last = None
        return super().power_action(bmc, action, deadline)


class MixesUpOnAndOff(MemoryOobm):
    @hookimpl
    def power_state(self, bmc, deadline):
        swap = {PowerState.ON: PowerState.OFF, PowerState.OFF: PowerState.ON}
        return swap.get(super().power_state(bmc, deadline), PowerState.UNKNOWN)


class RefusesOffWhenOff(MemoryOobm):
    @hookimpl
    def power_action(self, bmc, action, deadline):
        if action is PowerAction.OFF and self._chassis.power[bmc.address] is PowerState.OFF:
            raise Refused("already off")
        return super().power_action(bmc, action, deadline)


class RefusesOnWhenOn(MemoryOobm):
    @hookimpl
    def power_action(self, bmc, action, deadline):
        if action is PowerAction.ON and self._chassis.power[bmc.address] is PowerState.ON:
            raise Refused("already on")
        return super().power_action(bmc, action, deadline)


class SaysOffAndDoesNothing(MemoryOobm):
    @hookimpl
    def power_action(self, bmc, action, deadline):
        return "ok" if action is PowerAction.OFF else super().power_action(bmc, action, deadline)


class CycleStaysOff(MemoryOobm):
    @hookimpl
    def power_action(self, bmc, action, deadline):
        return super().power_action(bmc, PowerAction.OFF if action is PowerAction.CYCLE else action, deadline)


class TakesUnsupportedForOff(MemoryOobm):
    @hookimpl
    def power_action(self, bmc, action, deadline):
        return super().power_action(bmc, action if action in ACTIONS else PowerAction.OFF, deadline)


class TakesOddForOff(MemoryOobm):
    @hookimpl
    def power_state(self, bmc, deadline):
        return PowerState.ON if self._chassis.ask(bmc) == "On" else PowerState.OFF


class BelievesWhatItOrdered(MemoryOobm):
    _ordered: PowerState | None = None

    @hookimpl
    def power_state(self, bmc, deadline):
        return super().power_state(bmc, deadline) if self._ordered is None else self._ordered

    @hookimpl
    def power_action(self, bmc, action, deadline):
        words = super().power_action(bmc, action, deadline)
        self._ordered = PowerState.OFF if action is PowerAction.OFF else PowerState.ON
        return words


class SilenceIsRefusal(MemoryOobm):
    @hookimpl
    def power_state(self, bmc, deadline):
        try:
            return super().power_state(bmc, deadline)
        except Unreachable as problem:
            raise Refused(str(problem)) from None


class SilenceIsAnOsError(MemoryOobm):
    @hookimpl
    def power_action(self, bmc, action, deadline):
        try:
            return super().power_action(bmc, action, deadline)
        except Unreachable as problem:
            raise OSError(str(problem)) from None


class HangsOnSilence(MemoryOobm):
    @hookimpl
    def power_state(self, bmc, deadline):
        try:
            return super().power_state(bmc, deadline)
        except Unreachable:
            self._chassis.gate.wait(30)
            raise


class BadPasswordIsRefusal(MemoryOobm):
    @hookimpl
    def power_state(self, bmc, deadline):
        try:
            return super().power_state(bmc, deadline)
        except AuthenticationFailed as problem:
            raise Refused(str(problem)) from None


class RefusalIsUnreachable(MemoryOobm):
    @hookimpl
    def power_action(self, bmc, action, deadline):
        try:
            return super().power_action(bmc, action, deadline)
        except (AuthenticationFailed, Unsupported):
            raise
        except Refused as problem:
            raise Unreachable(str(problem)) from None


class KeepsTheBmcOfTheCallInItself(MemoryOobm):
    """Not safe for threads: the address of one call ends up in another."""

    def __init__(self, chassis: Chassis) -> None:
        super().__init__(chassis)
        self._meeting = threading.Barrier(8)

    @hookimpl
    def power_state(self, bmc, deadline):
        self._bmc = bmc
        with contextlib.suppress(threading.BrokenBarrierError):
            # The calls that meet here all go on with the BMC of the last one.
            self._meeting.wait(5)
        return super().power_state(self._bmc, deadline)


class LogsThePassword(MemoryOobm):
    @hookimpl
    def power_state(self, bmc, deadline):
        logging.getLogger("memory").debug("asking with %s", bmc.password.reveal())
        return super().power_state(bmc, deadline)


class PutsThePasswordIntoErrors(MemoryOobm):
    @hookimpl
    def power_state(self, bmc, deadline):
        try:
            return super().power_state(bmc, deadline)
        except Unreachable as problem:
            token = base64.b64encode(f"{bmc.username}:{bmc.password.reveal()}".encode()).decode()
            raise Unreachable(f"{problem} (Basic {token})") from None


class KeepsTheOldPassword(MemoryOobm):
    @hookimpl
    def set_password(self, bmc, new_password, deadline):
        """Does nothing, and says that it did."""


class ExaminesBySwitching(MemoryOobm):
    @hookimpl
    def readiness(self, bmc, deadline):
        self.power_action(bmc, PowerAction.OFF, deadline)
        return super().readiness(bmc, deadline)


class FindsFaultWithTheHealthy(MemoryOobm):
    @hookimpl
    def readiness(self, bmc, deadline):
        self._chassis.log_in(bmc)
        return Readiness(problems=("it does not tell its privileges",))


class SilenceIsReady(MemoryOobm):
    @hookimpl
    def readiness(self, bmc, deadline):
        try:
            return super().readiness(bmc, deadline)
        except Unreachable:
            return Readiness()


class ReadinessIsFromTheKeptLogin(MemoryOobm):
    _known = False

    @hookimpl
    def readiness(self, bmc, deadline):
        if self._chassis.silent or not self._known:
            super().readiness(bmc, deadline)
        return Readiness()

    @hookimpl
    def power_state(self, bmc, deadline):
        state = super().power_state(bmc, deadline)
        self._known = True
        return state


class OneSilentBmcTakesAll(MemoryOobm):
    @hookimpl
    def power_states(self, bmcs, deadline):
        return {bmc.key: self.power_state(bmc, deadline) for bmc in bmcs}


class MixesUpDevicesOfAHost(MemoryOobm):
    @hookimpl
    def power_states(self, bmcs, deadline):
        found = super().power_states(bmcs, deadline)
        return {bmc.host_uuid: found[bmc.key] for bmc in bmcs}


class LeavesAThread(MemoryOobm):
    @hookimpl
    def power_state(self, bmc, deadline):
        threading.Thread(target=self._chassis.gate.wait, args=(30,), daemon=True).start()
        return super().power_state(bmc, deadline)


class ClosesOnce(MemoryOobm):
    _closed = False

    @hookimpl
    def close(self):
        if self._closed:
            raise RuntimeError("closed already")
        self._closed = True


class LacksAMethod:
    def __init__(self, chassis: Chassis) -> None:
        self.power_action = None

    @hookimpl
    def power_state(self, bmc, deadline):
        return PowerState.ON


CAUGHT_BY = {
    "test_driver_keeps_the_hook_contract": [LacksAMethod],
    "test_power_state_tells_on_from_off": [MixesUpOnAndOff],
    "test_power_state_is_never_cached": [Caches],
    "test_off_is_confirmed_by_reading_back": [SaysOffAndDoesNothing],
    "test_off_is_idempotent": [RefusesOffWhenOff],
    "test_on_is_idempotent": [RefusesOnWhenOn],
    "test_cycle_and_reset_end_on": [CycleStaysOff],
    "test_missing_actions_are_unsupported": [TakesUnsupportedForOff],
    "test_odd_answers_read_unknown": [TakesOddForOff],
    "test_an_accepted_action_is_not_taken_for_its_effect": [BelievesWhatItOrdered],
    "test_silence_is_unreachable": [SilenceIsRefusal, SilenceIsAnOsError],
    "test_deadlines_are_kept": [HangsOnSilence],
    "test_bad_credentials_are_told_apart": [BadPasswordIsRefusal],
    "test_a_refusal_is_told_apart": [RefusalIsUnreachable],
    "test_a_healthy_bmc_is_ready": [ExaminesBySwitching, FindsFaultWithTheHealthy],
    "test_readiness_sees_what_a_fence_would_meet": [SilenceIsReady, ReadinessIsFromTheKeptLogin],
    "test_one_driver_serves_many_threads": [KeepsTheBmcOfTheCallInItself],
    "test_secrets_are_never_shown": [LogsThePassword, PutsThePasswordIntoErrors],
    "test_a_new_password_replaces_the_old": [KeepsTheOldPassword],
    "test_many_are_read_as_one_is": [OneSilentBmcTakesAll, MixesUpDevicesOfAHost],
    "test_close_lets_everything_go": [LeavesAThread, ClosesOnce],
    "test_agrees_with_a_chassis": [Caches, BelievesWhatItOrdered, RefusesOffWhenOff],
}


@pytest.mark.parametrize(("check", "wrong"), [(check, wrong) for check in CAUGHT_BY for wrong in CAUGHT_BY[check]])
def test_each_check_fails_a_driver_that_breaks_its_rule(check: str, wrong: type) -> None:
    """A check that cannot fail proves nothing."""

    def fixtures() -> dict[str, object]:
        chassis = Chassis()
        return {"bench": chassis, "driver": wrong(chassis)}

    assert check in failures(TestACorrectDriver, fixtures, only=check)


def test_every_check_has_a_driver_that_it_fails() -> None:
    """The list above leaves no check out."""
    assert set(CAUGHT_BY) == set(standard_tests(OobmConformance))
