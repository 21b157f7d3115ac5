"""Reference model of the runs on one host: which epoch of each VM is live, and up to which epoch it is refused."""

from holdfast.errors import Refused
from holdfast.hooks.hypervisor import Hypervisor
from hypothesis import strategies
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from holdfast_conformance.calls import raised_by
from holdfast_conformance.hypervisor_bench import HypervisorBench, HypervisorCapabilities, grant, live_epochs

WHICH = strategies.integers(0, 1)
EPOCHS = strategies.integers(1, 4)


class RunMachine(RuleBasedStateMachine):
    """Two VMs of their own for each example; `live` 0 means that none runs."""

    def __init__(self, driver: Hypervisor, bench: HypervisorBench, can: HypervisorCapabilities) -> None:
        super().__init__()
        self.driver = driver
        self.bench = bench
        self.can = can
        self.vms = [bench.new_vm(), bench.new_vm()]
        self.live = [0, 0]
        self.refused = [0, 0]

    @rule(which=WHICH, epoch=EPOCHS)
    def start(self, which: int, epoch: int) -> None:
        """Starts come in any order, as delayed messages do. A newer one comes only to a VM that is not live."""
        if epoch <= self.refused[which] or 0 < epoch < self.live[which]:
            raised_by(self.can.deadline_seconds, lambda: self._start(which, epoch), Refused)
        elif self.live[which] in (0, epoch):
            self._start(which, epoch)
            self.live[which] = epoch

    @rule(which=WHICH, epoch=EPOCHS, graceful=strategies.booleans())
    def stop(self, which: int, epoch: int, graceful: bool) -> None:
        """Ends what is at or below the epoch, and refuses it from now on."""
        self.driver.stop_vm(self.bench.host, self.vms[which].uuid, epoch, graceful, self.can.deadline_seconds)
        self.refused[which] = max(self.refused[which], epoch)
        if self.live[which] <= epoch:
            self.live[which] = 0

    @precondition(lambda self: self.can.can_restart)
    @rule()
    def restart_the_agent(self) -> None:
        """Forgets nothing."""
        self.driver = self.bench.restarted(self.driver)

    @invariant()
    def one_run_at_most(self) -> None:
        """The host lists exactly the runs of the model."""
        reports = self.driver.list_vms(self.bench.host, self.can.deadline_seconds)
        for vm, live in zip(self.vms, self.live, strict=True):
            assert live_epochs(reports, vm.uuid) == ([live] if live else [])

    def teardown(self) -> None:
        """End what still runs."""
        for vm in self.vms:
            self.driver.stop_vm(self.bench.host, vm.uuid, 4, False, self.can.deadline_seconds)

    def _start(self, which: int, epoch: int) -> None:
        vm = self.vms[which]
        self.driver.start_vm(self.bench.host, vm, grant(self.bench.host, vm, epoch), self.can.deadline_seconds)
