"""Reference model of a chassis: drives an OOBM driver and a model together, in any order."""

from holdfast.errors import Unreachable
from holdfast.hooks.oobm import OobmDriver
from holdfast.model.states import PowerAction, PowerState
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from holdfast_conformance.calls import raised_by
from holdfast_conformance.oobm_bench import OobmBench, OobmCapabilities

LOOK_EVERY_SECONDS = 0.05
CUT_DEADLINE = 0.2


def reads_within(driver: OobmDriver, bench: OobmBench, state: PowerState, can: OobmCapabilities) -> bool:
    """Whether the chassis reads `state` before the settling time is over."""
    waited = 0.0
    while driver.power_state(bench.bmc, can.deadline_seconds) is not state:
        if waited >= can.settle_seconds:
            return False
        bench.pause(LOOK_EVERY_SECONDS)
        waited += LOOK_EVERY_SECONDS
    return True


class ChassisMachine(RuleBasedStateMachine):
    """The model is one word: on or off. Each rule changes the chassis and the word alike."""

    def __init__(self, driver: OobmDriver, bench: OobmBench, can: OobmCapabilities) -> None:
        super().__init__()
        self.driver = driver
        self.bench = bench
        self.can = can
        self.model = PowerState.ON
        self.cut = False

    @initialize()
    def begin(self) -> None:
        """Every example starts with a chassis that is on and within reach."""
        self.bench.make_reachable()
        self.bench.force_power(PowerState.ON)

    @rule()
    def press_the_button(self) -> None:
        """Somebody switches by hand."""
        self.model = PowerState.OFF if self.model is PowerState.ON else PowerState.ON
        self.bench.force_power(self.model)

    @precondition(lambda self: not self.cut)
    @rule()
    def switch_off(self) -> None:
        """OFF works whatever the state was."""
        self._act(PowerAction.OFF, PowerState.OFF)

    @precondition(lambda self: not self.cut and PowerAction.ON in self.can.actions)
    @rule()
    def switch_on(self) -> None:
        """ON works whatever the state was."""
        self._act(PowerAction.ON, PowerState.ON)

    @precondition(lambda self: not self.cut and self.model is PowerState.ON and PowerAction.RESET in self.can.actions)
    @rule()
    def reset(self) -> None:
        """RESET of a chassis that is on leaves it on."""
        self._act(PowerAction.RESET, PowerState.ON)

    @precondition(lambda self: not self.cut)
    @rule()
    def cut_the_cable(self) -> None:
        """Nobody answers, and nothing is known."""
        self.cut = True
        self.bench.make_unreachable()
        raised_by(CUT_DEADLINE, lambda: self.driver.power_state(self.bench.bmc, CUT_DEADLINE), Unreachable)

    @precondition(lambda self: self.cut)
    @rule()
    def mend_the_cable(self) -> None:
        """The driver needs no restart to find the BMC again."""
        self.cut = False
        self.bench.make_reachable()

    @invariant()
    def readings_are_true(self) -> None:
        """Whenever the BMC answers, it reads what the model says."""
        if not self.cut:
            assert reads_within(self.driver, self.bench, self.model, self.can), f"the chassis should read {self.model}"

    def teardown(self) -> None:
        """Leave the BMC within reach."""
        self.bench.make_reachable()

    def _act(self, action: PowerAction, leads_to: PowerState) -> None:
        self.driver.power_action(self.bench.bmc, action, self.can.deadline_seconds)
        self.model = leads_to
