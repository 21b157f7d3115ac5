"""What evidence adds up to: unknown is never dead (S2), one bad pool condemns nobody (S4)."""

import pytest
from engine_bed import HOST, beat, link, power
from holdfast.engine import verdict
from holdfast.engine.brake import Domain, held, limit
from holdfast.engine.policy import host_policy
from holdfast.model.evidence import Evidence, Kind
from holdfast.model.states import Opinion
from holdfast.settings import Settings
from hypothesis import given
from hypothesis import strategies as st

DEAD, ALIVE, UNKNOWN = Opinion.DEAD, Opinion.ALIVE, Opinion.UNKNOWN
NOW = 1000.0
PIECES = st.lists(
    st.builds(
        Evidence,
        kind=st.sampled_from(Kind),
        subject=st.just(HOST),
        opinion=st.sampled_from(Opinion),
        source=st.just("observer"),
        at=st.sampled_from([NOW, NOW - 60.0, NOW - 60.1, NOW + 0.1]),
        lasting=st.sampled_from([0.0, 25.0, 25.1]),
        answerable=st.booleans(),
    ),
    max_size=6,
)


def fresh(pieces: list[Evidence], opinion: Opinion, *kinds: Kind) -> list[Evidence]:
    """The pieces of these kinds that really say so at `NOW`."""
    return [p for p in pieces if p.kind in kinds and p.opinion is opinion and NOW - 60.0 <= p.at <= NOW]


@given(PIECES)
def test_health_is_dead_only_if_something_says_so_and_nothing_speaks(pieces: list[Evidence]) -> None:
    """A sign of life outweighs all; chassis and storage say nothing of health."""
    found = verdict.health(pieces, NOW)
    alive, dead = (fresh(pieces, opinion, Kind.LINK, Kind.AGENT) for opinion in (ALIVE, DEAD))
    assert found.opinion is (ALIVE if alive else DEAD if dead else UNKNOWN)
    assert bool(found.missing) == (found.opinion is UNKNOWN)


@given(PIECES)
def test_activity_is_dead_only_if_every_pool_says_so(pieces: list[Evidence]) -> None:
    """One unknown, stale or future-dated answer keeps it unknown; no pool at all is unknown too.

    That storage cannot tell of its disks is no answer that anybody waits for; of a heartbeat nobody can say so.
    """
    found = verdict.activity(pieces, NOW)
    kinds = (Kind.HEARTBEAT, Kind.ACTIVITY)
    blind = (Kind.ACTIVITY, UNKNOWN, False)
    pools = [p for p in pieces if p.kind in kinds and (p.kind, p.opinion, p.answerable) != blind]
    if fresh(pieces, ALIVE, *kinds):
        assert found.opinion is ALIVE
    elif pools and len(fresh(pieces, DEAD, *kinds)) == len(pools):
        assert found.opinion is DEAD
    else:
        assert found.opinion is UNKNOWN
        assert found.missing


@given(PIECES)
def test_the_chassis_is_off_only_if_every_bmc_says_so(pieces: list[Evidence]) -> None:
    """Two power supplies, one of them on or unreadable: not off."""
    opinion, _ = verdict.power(pieces, NOW)
    chassis = [piece for piece in pieces if piece.kind is Kind.POWER]
    assert (opinion is DEAD) == (bool(chassis) and len(fresh(pieces, DEAD, Kind.POWER)) == len(chassis))
    assert (opinion is ALIVE) == bool(fresh(pieces, ALIVE, Kind.POWER))


@given(PIECES)
def test_a_lease_is_over_only_if_every_pool_stood_still_for_long_enough(pieces: list[Evidence]) -> None:
    """Every heartbeat dead and no owner's grant possible for longer than needed, and no disk seen written."""
    kinds = (Kind.HEARTBEAT, Kind.GRANT)
    renewals = [piece for piece in pieces if piece.kind in kinds]
    lapsed = [piece for piece in fresh(pieces, DEAD, *kinds) if piece.lasting > 25.0]
    over = {piece.kind for piece in renewals} == set(kinds) and len(lapsed) == len(renewals)
    over = over and not fresh(pieces, ALIVE, Kind.ACTIVITY)
    assert verdict.lease_expired(pieces, NOW, 25.0) is over


@given(PIECES, PIECES)
def test_what_is_seen_of_disks_never_makes_a_proof(pieces: list[Evidence], more: list[Evidence]) -> None:
    """Alive or unknown, as hosts' disks are told: with it nothing is dead that was not dead without."""
    disks = [piece for piece in more if piece.kind is Kind.ACTIVITY and piece.opinion is not DEAD]
    if verdict.activity([*pieces, *disks], NOW).opinion is DEAD:
        assert verdict.activity(pieces, NOW).opinion is DEAD
    assert verdict.lease_expired([*pieces, *disks], NOW, 25.0) <= verdict.lease_expired(pieces, NOW, 25.0)


@pytest.mark.parametrize("age", [-0.001, -3600.0, 60.001])
def test_evidence_from_the_future_or_too_old_is_unknown(age: float) -> None:
    """A clock that is ahead, or an answer that is stale, says neither dead nor alive (S2)."""
    for piece in (link(DEAD, NOW - age), power(DEAD, NOW - age), beat(ALIVE, NOW - age)):
        assert piece.read_at(NOW) is UNKNOWN


@pytest.mark.parametrize("age", [0.0, 59.9, 60.0])
def test_evidence_counts_up_to_its_age_limit(age: float) -> None:
    """The bound is inclusive at both ends."""
    assert link(DEAD, NOW - age).read_at(NOW) is DEAD


def test_the_brake_allows_a_share_of_a_domain_and_always_a_few_hosts() -> None:
    """Default 30 % but at least 2: the third silent host of three trips it, the thirtieth of a hundred does not."""
    policy = host_policy(Settings())
    assert [limit(total, policy) for total in (0, 3, 10, 100)] == [2, 2, 3, 30]
    assert held((Domain("c1", 100, 30), Domain("z1", 3, 2)), policy) == ""
    told = held((Domain("c1", 100, 30), Domain("zone z1", 3, 3)), policy)
    assert "3 of 3 hosts of zone z1" in told
