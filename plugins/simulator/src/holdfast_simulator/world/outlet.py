"""A switched outlet of a power distribution unit: it feeds one of a host's supplies, and knows nothing of the host."""

from typing import Any

from holdfast.model import PowerAction, PowerState

from holdfast_simulator.world.bmc import Bmc


class Outlet(Bmc):
    """Answers and fails as a BMC does. A host whose outlets are all off has no power, and neither has its BMC."""

    live = True

    def _chassis(self) -> PowerState:
        reading = super()._chassis()
        if reading is PowerState.UNKNOWN:
            return reading
        return PowerState.ON if self.live else PowerState.OFF

    @property
    def _has_power(self) -> bool:
        return True

    def _carry_out(self, entry: tuple[float, PowerAction]) -> None:
        if entry not in self._pending:
            return
        self._pending.remove(entry)
        action = entry[1]
        if action in (PowerAction.OFF, PowerAction.CYCLE, PowerAction.RESET):
            self.switch(live=False)
        if action is PowerAction.ON:
            self.switch(live=True)
        elif action in (PowerAction.CYCLE, PowerAction.RESET):
            self._on_again()
        self.host.save()

    def switch(self, *, live: bool) -> None:
        """Feed the host, or cease to."""
        if live is not self.live:
            self.live = live
            self.host.feeding_changed()

    def dump(self) -> dict[str, Any]:
        """As a BMC, and whether it feeds the host."""
        return super().dump() | {"outlet": True, "live": self.live}

    def load(self, data: dict[str, Any]) -> None:
        """Take over what `dump` gave."""
        self.live = bool(data["live"])
        super().load(data)
