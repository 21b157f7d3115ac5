"""Scenario files, kinds of fault, random schedules and shrinking."""

from dataclasses import replace
from pathlib import Path

import pytest
from holdfast.errors import ConfigurationError
from holdfast_simulator.checker import Violation
from holdfast_simulator.faults import KINDS
from holdfast_simulator.scenario import (
    Fault,
    Randomness,
    Scenario,
    WorldSize,
    load_scenario,
    read_scenario,
    write_scenario,
)
from holdfast_simulator.schedule import random_faults
from holdfast_simulator.session import Result, Session
from holdfast_simulator.shrinker import shrink
from holdfast_simulator.world.network import KINDS as PATHS
from holdfast_simulator.world.network import Path as NetworkPath
from hypothesis import given, settings
from hypothesis import strategies as st


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "story.toml"
    path.write_text(text)
    return path


def test_a_file_says_what_there_is_and_what_goes_wrong(tmp_path: Path) -> None:
    """Every table and field is read; what is left out has its default."""
    path = written(
        tmp_path,
        """
        seed = 4
        duration = 90
        [world]
        hosts = 5
        [settings]
        "ping.interval" = 2
        "kvm.ha.power.off.check.enabled" = false
        [[fault]]
        at = 3
        kind = "bmc"
        host = "h5"
        mode = "lying"
        """,
    )
    scenario = load_scenario(path)
    assert (scenario.name, scenario.seed, scenario.duration) == ("story", 4, 90.0)
    assert (scenario.world.hosts, scenario.world.servers) == (5, 2)
    assert scenario.settings == {"ping.interval": "2", "kvm.ha.power.off.check.enabled": "false"}
    assert scenario.faults == (Fault(at=3.0, kind="bmc", host="h5", mode="lying"),)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("colour = 1", r"story\.toml: colour is not a known field.*known: .*duration"),
        ("[world]\nhots = 3", r"world: hots is not a known field; did you mean hosts\?|world: hots is not"),
        ("[world]\nhosts = 'three'", r"world\.hosts must be a whole number, not 'three'"),
        ("[world]\nhosts = 0", r"world\.hosts is 0; allowed is 1 to 1000"),
        ("[world]\nspare = 3", r"world\.spare must leave"),
        ("[settings]\n'ping.intervall' = 1", r"settings: ping\.intervall is not a known"),
        ("[[fault]]\nkind = 'hang'", r"fault 1: at is missing"),
        ("[[fault]]\nat = 1\nkind = 'hangs'\nhost = 'h1'", r"fault 1: hangs is not a kind"),
        ("[[fault]]\nat = 1\nkind = 'hang'\nhost = 'h9'", r"fault 1: host 'h9' is not there; there are h1 to h3"),
        ("[[fault]]\nat = 1\nkind = 'hang'", r"fault 1: host '' is not there"),
        ("[[fault]]\nat = 1\nkind = 'bmc'\nhost = 'h1'\nmode = 'odd'", r"fault 1: mode 'odd' is not known"),
        ("[[fault]]\nat = 1\nkind = 'order-stop'\nvm = 'vm1'\nmode = 'odd'", r"mode 'odd' is not known; known: forced"),
        ("[[fault]]\nat = 1\nkind = 'order-migrate'\nvm = 'vm1'\nhost = 'h9'", r"host 'h9' is not there"),
        ("[[fault]]\nat = -1\nkind = 'hang'\nhost = 'h1'", r"must not be negative"),
        ("[[fault]]\nat = inf\nkind = 'hang'\nhost = 'h1'", r"fault 1: at is inf; it must be finite"),
        ("[[fault]]\nat = 1\nkind = 'delay'\nhost = 'h1'\nserver = 'ms1'\namount = nan", r"amount is nan"),
        ("duration = -1", r"duration is -1.0; allowed is 0 to 1e\+06 s"),
        ("settle = nan", r"settle is nan; allowed is"),
        ("[random]\nfaults = 2\nkinds = ['hangs']", r"random\.kinds: hangs is not a kind"),
        ("[random]\nfaults = -2", r"random\.faults must not be negative"),
        ("[world]\nzones = 2", r"world\.zones must be between 1 and the number of clusters"),
        ("fault = 3", r"\[\[fault\]\]"),
        ("seed =", r"not valid TOML"),
    ],
)
def test_a_bad_file_is_refused_with_what_is_allowed(tmp_path: Path, text: str, words: str) -> None:
    """The error names the file, the field and what may stand there."""
    with pytest.raises(ConfigurationError, match=words):
        load_scenario(written(tmp_path, text))


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    """No traceback."""
    with pytest.raises(ConfigurationError, match=r"nothing\.toml"):
        load_scenario(tmp_path / "nothing.toml")


@settings(max_examples=80, deadline=None, derandomize=True)
@given(seed=st.integers(0, 10**6), hosts=st.integers(2, 6), servers=st.integers(1, 3), pools=st.integers(0, 2))
def test_what_is_written_is_read_back(seed: int, hosts: int, servers: int, pools: int) -> None:
    """A random schedule survives its file to the last digit, and is always one that may be meant."""
    world = WorldSize(hosts=hosts, servers=servers, pools=pools)
    scenario = Scenario(name='a "quoted" name', seed=seed, world=world, random=Randomness(faults=8))
    drawn = scenario.with_faults(random_faults(scenario, seed))
    import tomllib

    assert read_scenario(tomllib.loads(write_scenario(drawn)), "text") == drawn
    assert random_faults(scenario, seed) == random_faults(scenario, seed)


def test_every_kind_is_drawn_sooner_or_later() -> None:
    """No kind of the list is left out by chance for ever."""
    scenario = Scenario(random=Randomness(faults=6))
    drawn = {fault.kind for seed in range(300) for fault in random_faults(scenario, seed)}
    assert drawn == set(KINDS)


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_a_fault_changes_the_world_and_its_mending_changes_it_back(kind: str) -> None:
    """Of every kind but those that have no end; an order changes what there is to do."""
    names = {"host": "h1", "server": "ms1", "pool": "p1", "vm": "vm1", "mode": "dead"}
    fault = Fault(at=0.0, kind=kind, **{name: names[name] for name in KINDS[kind].needs})
    session = Session(Scenario(), 0)
    try:
        session.start_server("ms1")
        before = _picture(session)
        KINDS[kind].strike(session, fault)
        struck = _picture(session)
        assert struck != before
        if kind not in ("guest-crash", "order-migrate", "order-reboot"):
            KINDS[kind].mend(session, fault)
            assert _picture(session) != struck
    finally:
        session.close()


def _picture(session: Session) -> object:
    hosts = [
        (h.condition, h.agent_alive, h.agent_frozen, h.bmc().mode, h.start_failure, len(h.book.live()))
        for h in session.world.hosts.values()
    ]
    pools = [(pool.up, pool.latency) for pool in session.world.pools.values()]
    network = session.world.network
    ends = [("ms1", "h1"), ("h1", "ms1"), ("h1", "p1"), ("ms1", "database"), ("ms1", "coordinator")]
    paths = [_conditions(network.path(kind, *end)) for kind in PATHS for end in ends]
    skews = [life.clock.skew for life in session.alive.values()]
    return hosts, pools, paths, sorted(session.alive), skews, session.operator.pending()


def _conditions(path: NetworkPath) -> tuple[float, ...]:
    return (path.up, path.delay, path.jitter, path.duplicate, path.reorder, path.loss)


def test_shrinking_keeps_what_is_needed_and_nothing_else() -> None:
    """Of many faults two make the rule break: those two are left, with round times, in the smallest world."""
    scenario = Scenario(random=Randomness(faults=8), world=WorldSize(servers=3, vms=4))
    noise = random_faults(scenario, 3)
    culprits = (
        Fault(at=10.123, kind="hang", host="h1", lasts=7.7, amount=2.5),
        Fault(at=12.4, kind="bmc", host="h2", mode="dead", lasts=3.3),
    )
    asked = 0

    def run(candidate: Scenario, seed: int) -> Result:
        nonlocal asked
        asked += 1
        kinds = {(fault.kind, fault.host) for fault in candidate.faults}
        broken = {("hang", "h1"), ("bmc", "h2")} <= kinds
        other = [Violation("S9", 0.0, "another rule")] if len(candidate.faults) == 1 else []
        return Result(candidate, seed, [Violation("S1", 0.0, "two runs")] if broken else other)

    failed = run(scenario.with_faults((*noise, *culprits)), 3)
    smallest = shrink(failed, run)
    assert smallest.violations[0].rule == "S1"
    assert smallest.scenario.faults == (
        Fault(at=10.0, kind="hang", host="h1"),
        Fault(at=12.0, kind="bmc", host="h2", mode="dead"),
    )
    assert (smallest.scenario.world.servers, smallest.scenario.world.vms) == (1, 1)
    assert asked <= 201


def test_shrinking_gives_up_in_time() -> None:
    """Its budget is a bound on the runs."""
    scenario = Scenario(random=Randomness(faults=8))
    failed = Result(scenario.with_faults(random_faults(scenario, 1)), 1, [Violation("S1", 0.0, "")])
    asked: list[Scenario] = []

    def run(candidate: Scenario, seed: int) -> Result:
        asked.append(candidate)
        return replace(failed, scenario=candidate)

    shrink(failed, run, budget=5)
    assert len(asked) == 5
