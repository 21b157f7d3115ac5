"""Conformance of HA providers: they look, act when told, and never invent a death."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import ClassVar

import pytest
from holdfast.hooks.provider import ActionOutcome, Eligibility, HaProvider, Surroundings
from holdfast.model.evidence import Evidence, Kind
from holdfast.model.states import HostStatus, Opinion, PowerAction, ResourceState
from holdfast.model.views import HostView
from holdfast.settings import CATALOGUE
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from holdfast_conformance.scripted_probes import ScriptedProbes
from holdfast_conformance.suite import Conformance

__all__ = ["ProviderCapabilities", "ProviderConformance", "ScriptedProbes"]

OPINIONS = st.sampled_from(list(Opinion))
QUIET = settings(
    max_examples=60, deadline=None, database=None, derandomize=True, suppress_health_check=list(HealthCheck)
)


@dataclass(frozen=True, slots=True)
class ProviderCapabilities:
    """`needs_oobm` and `needs_neighbours`: without them a host is ineligible. `details`: those of an eligible host.

    `judges_by_probes` False is for providers whose answers come from elsewhere, as a simulation's do.
    """

    needs_oobm: bool = True
    needs_neighbours: bool = True
    judges_by_probes: bool = True
    details: Mapping[str, str] = field(default_factory=dict)
    surroundings: Surroundings = field(
        default_factory=lambda: Surroundings(oobm_enabled=True, up_neighbours=2, heartbeat_pools=1)
    )


class ProviderConformance(Conformance):
    """Subclass it; give the fixture `driver`."""

    point = "provider"
    capabilities: ClassVar[ProviderCapabilities] = ProviderCapabilities()

    def test_it_says_what_it_is_for(self, driver: HaProvider) -> None:
        """The hypervisor and the display name are what the API lists."""
        assert driver.hypervisor not in ("", "Unknown")
        assert driver.display_name not in ("", "HAProvider")

    def test_its_defaults_are_good_settings(self, driver: HaProvider) -> None:
        """Each default names a setting of the catalogue, with a text that the setting accepts."""
        for name, text in driver.defaults.items():
            assert name in CATALOGUE, f"{name} is no setting"
            CATALOGUE[name].parse(text)

    def test_a_sound_host_is_eligible(self, driver: HaProvider) -> None:
        """With everything there, HA can work; asking again gives the same answer."""
        host = self._host(driver)
        first = driver.eligibility(host, self.capabilities.surroundings)
        assert first.eligible, f"a host with everything in place is refused: {first.reason}"
        assert driver.eligibility(host, self.capabilities.surroundings) == first

    def test_an_ineligible_host_learns_why(self, driver: HaProvider) -> None:
        """Maintenance, and whatever the provider needs and lacks, is refused with a reason in words."""
        host, around = self._host(driver), self.capabilities.surroundings
        asked: list[tuple[str, Eligibility]] = [
            (
                "maintenance",
                driver.eligibility(replace(host, resource_state=ResourceState.MAINTENANCE), around),
            )
        ]
        if self.capabilities.needs_oobm:
            without = replace(around, oobm_enabled=False, oobm_reason="out-of-band management is off")
            asked.append(("no OOBM", driver.eligibility(host, without)))
        if self.capabilities.needs_neighbours:
            asked.append(("no neighbour", driver.eligibility(host, replace(around, up_neighbours=0))))
        for what, answer in asked:
            assert not answer.eligible, f"a host is eligible in spite of: {what}"
            assert answer.reason.strip(), f"no reason is given for: {what}"

    def test_a_heard_link_is_alive(self, driver: HaProvider) -> None:
        """A host whose agent was just heard passes its health check."""
        self._need_probes()
        probes = self._probes(driver, link=Opinion.ALIVE)
        assert Opinion.ALIVE in _opinions(driver.check_health(self._host(driver), probes))

    def test_observing_never_switches_power(self, driver: HaProvider) -> None:
        """Health checks, activity checks and read-backs leave the power alone."""
        host, probes = self._host(driver), self._probes(driver, link=Opinion.DEAD, pools=(Opinion.DEAD,))
        driver.check_health(host, probes)
        driver.check_activity(host, probes)
        driver.read_back(host, probes)
        driver.polls_health(host)
        assert probes.actions == []

    def test_no_death_is_invented(self, driver: HaProvider) -> None:
        """Whatever the probes say, DEAD comes only from a probe of the same kind that said DEAD."""
        self._need_probes()
        host = self._host(driver)

        @QUIET
        @given(
            link=OPINIONS,
            agent=OPINIONS,
            power=OPINIONS,
            pools=st.lists(OPINIONS, max_size=3),
            disks=st.lists(st.sampled_from([Opinion.ALIVE, Opinion.UNKNOWN]), max_size=2),
        )
        def check(link: Opinion, agent: Opinion, power: Opinion, pools: list[Opinion], disks: list[Opinion]) -> None:
            probes = self._probes(driver, link=link, agent=agent, power=power, pools=tuple(pools), disks=tuple(disks))
            answered = {Kind.LINK: {link}, Kind.AGENT: {agent}, Kind.POWER: {power}}
            told = answered | {Kind.HEARTBEAT: set(pools), Kind.ACTIVITY: set(pools)}
            seen = (
                *driver.check_health(host, probes),
                *driver.check_activity(host, probes),
                driver.read_back(host, probes),
            )
            for piece in seen:
                assert piece.subject == host.uuid, "evidence speaks of another host"
                if piece.opinion is Opinion.DEAD:
                    assert Opinion.DEAD in told.get(piece.kind, set()), f"{piece.kind} DEAD is invented"

        check()

    def test_activity_has_one_piece_per_pool(self, driver: HaProvider) -> None:
        """Three pools give three pieces, each naming its pool; no pool gives none."""
        self._need_probes()
        host = self._host(driver)
        pieces = driver.check_activity(host, self._probes(driver, pools=(Opinion.DEAD, Opinion.ALIVE, Opinion.UNKNOWN)))
        assert sorted(piece.pool for piece in pieces) == ["pool-0", "pool-1", "pool-2"]
        assert driver.check_activity(host, self._probes(driver)) == ()

    def test_fencing_is_a_hard_off(self, driver: HaProvider) -> None:
        """`fence` orders OFF and nothing softer, and may be repeated."""
        self._need_probes()
        probes = self._probes(driver)
        for _ in range(2):
            assert driver.fence(self._host(driver), probes).accepted
        assert set(probes.actions) == {PowerAction.OFF}

    def test_recovery_ends_with_power_on(self, driver: HaProvider) -> None:
        """`recover` resets or cycles the host; it never leaves it off."""
        self._need_probes()
        probes = self._probes(driver)
        assert driver.recover(self._host(driver), probes).accepted
        assert probes.actions, "nothing was done"
        assert probes.actions[-1] in (PowerAction.RESET, PowerAction.CYCLE, PowerAction.ON)

    def test_a_refused_action_is_not_accepted(self, driver: HaProvider) -> None:
        """When the BMC says no, the outcome says no, with a reason, and carries no death."""
        self._need_probes()
        host, probes = self._host(driver), self._probes(driver, accepts=False)
        outcomes: list[ActionOutcome] = [driver.fence(host, probes), driver.recover(host, probes)]
        for outcome in outcomes:
            assert not outcome.accepted
            assert outcome.detail.strip()
            assert Opinion.DEAD not in _opinions(outcome.evidence)

    def test_read_back_is_what_the_bmc_reads(self, driver: HaProvider) -> None:
        """`read_back` is chassis power, with the opinion of a fresh reading."""
        self._need_probes()
        for opinion in Opinion:
            piece = driver.read_back(self._host(driver), self._probes(driver, power=opinion))
            assert (piece.kind, piece.opinion) == (Kind.POWER, opinion)

    def _need_probes(self) -> None:
        if not self.capabilities.judges_by_probes:
            pytest.skip("the provider does not judge by probes")

    def _host(self, driver: HaProvider) -> HostView:
        return HostView(
            uuid="conformance-host",
            name="conformance-host",
            hypervisor=driver.hypervisor,
            zone="zone",
            pod="pod",
            cluster="cluster",
            status=HostStatus.UP,
            resource_state=ResourceState.ENABLED,
            details=self.capabilities.details,
        )

    def _probes(
        self,
        driver: HaProvider,
        link: Opinion = Opinion.UNKNOWN,
        agent: Opinion = Opinion.UNKNOWN,
        power: Opinion = Opinion.UNKNOWN,
        pools: tuple[Opinion, ...] = (),
        accepts: bool = True,
        disks: tuple[Opinion, ...] = (),
    ) -> ScriptedProbes:
        return ScriptedProbes(self._host(driver).uuid, link, agent, power, pools, accepts, disks)


def _opinions(pieces: tuple[Evidence, ...]) -> set[Opinion]:
    return {piece.opinion for piece in pieces}
