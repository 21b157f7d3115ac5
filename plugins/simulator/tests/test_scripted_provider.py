"""Scripted hosts are judged by upstream's constants."""

import pytest
from holdfast.engine.policy import host_policy
from holdfast.model.views import HostView
from holdfast.settings import Settings
from holdfast_simulator.provider import SimulatorHAProvider


@pytest.mark.parametrize("activity", ["true", "false"])
def test_a_scripted_host_is_condemned_by_three_samples_and_excused_by_three(activity: str) -> None:
    """Whatever the script says, so that clients see the checks counted."""
    script = {"simulator.ha.health": "false", "simulator.ha.activity": activity}
    host = HostView("h", "h", "Simulator", "z", "p", "c", details=script)

    policy = host_policy(Settings({}), provider_defaults=SimulatorHAProvider().defaults_for(host))

    assert policy.dead_needed == 3
    assert policy.alive_needed == 3
