"""What all simulated drivers have in common: the management server in whose seat they sit."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from holdfast.options import Option

from holdfast_simulator.world.gateway import Gateway
from holdfast_simulator.world.happenings import What
from holdfast_simulator.world.host import SimHost


class Seat:
    """Holds the way into the world: the one given, or that into the process-wide shared world of the settings."""

    SETTINGS: ClassVar[Mapping[str, Option]] = {
        "path": Option(
            Path,
            Path("simulator.db"),
            "the file in which the simulated world outlives the process; all drivers share it",
        )
    }

    def __init__(self, settings: Mapping[str, Any] | None, gateway: Gateway | None) -> None:
        if gateway is None:
            from holdfast_simulator.shared import shared_gateway

            gateway = shared_gateway(settings or {})
        self.gateway = gateway

    def announce(self, host: SimHost, what: str, vm: str = "", run_epoch: int = -1) -> None:
        """Let those who watch for the truth know that an effect leaves this server now."""
        world = self.gateway.world
        if self.gateway.alive:
            with world.lock:
                facts = {"host": host.uuid, "vm": vm, "run_epoch": run_epoch, "server": self.gateway.server}
                world.tell(What.SENT, **facts, detail=what)
