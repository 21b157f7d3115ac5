"""OOBM driver `simulator`: power over simulated hosts."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from holdfast.errors import HoldfastError, Unreachable, Unsupported
from holdfast.hooks.markers import hookimpl
from holdfast.hooks.oobm import OobmDriver
from holdfast.model import PowerAction, PowerState, Secret
from holdfast.model.readiness import Readiness
from holdfast.model.views import BmcView
from holdfast.options import Option

from holdfast_simulator.seat import Seat
from holdfast_simulator.world.bmc import Bmc
from holdfast_simulator.world.gateway import Gateway
from holdfast_simulator.world.host import device_key
from holdfast_simulator.world.network import BMC

PATIENCE = 2.0
"""Seconds for which a BMC may be silent when many are asked at once."""


class SimulatorOobm(Seat, OobmDriver):
    """Switches a simulated host's chassis through a BMC, or one of its outlets. Address and port are not looked at."""

    BMC_OPTIONS: ClassVar[Mapping[str, Option]] = {
        "outlets": Option(
            int, 0, "the device is one of so many switched outlets of its level, which feed the host", low=0, high=16
        ),
    }

    def __init__(self, settings: Mapping[str, Any] | None = None, *, gateway: Gateway | None = None) -> None:
        super().__init__(settings, gateway)

    @hookimpl
    def power_state(self, bmc: BmcView, deadline: float) -> PowerState:
        """Ask the BMC now."""
        device = self._device(bmc)
        answer = self.gateway.ask_bmc(device.host, deadline, device.status, bmc.password)
        assert isinstance(answer, PowerState)
        return answer

    @hookimpl
    def power_states(self, bmcs: Sequence[BmcView], deadline: float) -> dict[str, PowerState | HoldfastError]:
        """Ask them all at once."""
        waiters: dict[str, Any] = {}
        found: dict[str, PowerState | HoldfastError] = {}
        for bmc in bmcs:
            try:
                device = self._device(bmc)
                waiters[bmc.key] = self.gateway.send(BMC, device.host.uuid, device.status, bmc.password)
            except HoldfastError as error:
                found[bmc.key] = error
        until = self.gateway.world.time.now() + min(deadline, PATIENCE)
        for key, waiter in waiters.items():
            if not waiter.wait(max(0.0, until - self.gateway.world.time.now())):
                found[key] = Unreachable(f"no answer from the BMC of {key} within {PATIENCE:g} s")
            else:
                found[key] = waiter.value
        return found

    @hookimpl
    def power_action(self, bmc: BmcView, action: PowerAction, deadline: float) -> str:
        """Ask for an action; the chassis follows later, or not at all."""
        if action is PowerAction.STATUS:
            raise Unsupported("STATUS is no action: read the power state")
        device = self._device(bmc)
        server = self.gateway.server
        self.announce(device.host, action.value)
        return str(self.gateway.ask_bmc(device.host, deadline, device.order, server, action, bmc.password))

    @hookimpl
    def readiness(self, bmc: BmcView, deadline: float) -> Readiness:
        """A BMC that refuses actions says so when its user's privilege is looked at; one that lies does not."""
        device = self._device(bmc)
        answer = self.gateway.ask_bmc(device.host, deadline, device.examine, bmc.password)
        assert isinstance(answer, Readiness)
        return answer

    @hookimpl
    def set_password(self, bmc: BmcView, new_password: str, deadline: float) -> None:
        """Change the password that the BMC accepts; it accepts any until then."""
        device = self._device(bmc)
        self.gateway.ask_bmc(device.host, deadline, device.change_password, bmc.password, Secret(new_password))

    def _device(self, bmc: BmcView) -> Bmc:
        if not self.gateway.alive:
            raise Unreachable(f"{self.gateway.server} is dead")
        world = self.gateway.world
        with world.lock:
            if not world.knows(bmc.host_uuid):
                raise Unreachable(f"no simulated host is known as {bmc.host_uuid} yet: it has to be attached first")
            host = world.host(bmc.host_uuid)
            host.wire(bmc.level, int(bmc.options.get("outlets", "0")))
            return host.bmc(device_key(bmc.level, bmc.index))
