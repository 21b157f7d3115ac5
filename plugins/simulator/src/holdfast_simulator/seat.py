"""What all simulated drivers have in common: the management server in whose seat they sit."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from holdfast.options import Option

from holdfast_simulator.world.gateway import Gateway


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
