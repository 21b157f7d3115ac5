"""How many host steps a second the engine makes on one core, and whether a step costs more the more hosts there are.

Run it alone (`python tests/bench/bench_engine.py`) or call `run()`. Each figure is the best of several rounds: the
others measure what else the machine was doing.
"""

import gc
from collections.abc import Callable
from time import perf_counter

from holdfast.engine.host import step
from holdfast.engine.incident import (
    ActivitySeen,
    CutDone,
    HealthSeen,
    Heard,
    HostHa,
    Observation,
    PowerRead,
    Prepared,
    Silent,
    Switched,
    Tick,
)
from holdfast.engine.policy import host_policy
from holdfast.model.evidence import Evidence, Kind
from holdfast.model.states import HAState, Opinion
from holdfast.settings import Settings

POLICY = host_policy(Settings())
BEAT = Heard()
TICK = Tick()
SECONDS = 0.4
ROUNDS = 5


def evidence(kind: Kind, opinion: Opinion, now: float, lasting: float = 0.0) -> Evidence:
    """One piece, as a driver would give it."""
    return Evidence(kind, "host", opinion, "observer", now, "", 60.0, "pool", lasting)


def healthy(count: int) -> list[HostHa]:
    """So many hosts with HA on and nothing wrong."""
    return [step(HostHa(f"host-{n}"), Switched(True), 0.0, POLICY)[0] for n in range(count)]


def incident(host: HostHa, now: float) -> tuple[HostHa, int]:
    """A whole power loss: silent, suspected, activity looked at, OFF confirmed, prepared, cut, read back, fenced."""
    steps = 0

    def tell(observation: Observation) -> None:
        nonlocal host, steps
        host, _ = step(host, observation, now, POLICY)
        steps += 1

    tell(Silent(evidence(Kind.LINK, Opinion.DEAD, now)))
    tell(TICK)
    tell(ActivitySeen(host.token, (evidence(Kind.HEARTBEAT, Opinion.ALIVE, now),) * 2))
    for _ in range(POLICY.off_needed):
        off = evidence(Kind.LINK, Opinion.DEAD, now), evidence(Kind.POWER, Opinion.DEAD, now)
        tell(HealthSeen(host.token, off))
        now += POLICY.power_interval
        tell(TICK)
    tell(Prepared(host.token))
    tell(CutDone(host.token, True))
    for _ in range(POLICY.fence_off_needed):
        tell(PowerRead(host.token, evidence(Kind.POWER, Opinion.DEAD, now)))
        now += POLICY.power_interval
        tell(TICK)
    assert host.state is HAState.FENCED, host
    return host, steps


def steps_a_second(work: Callable[[], int]) -> float:
    """The best rate over the rounds; `work` does a batch of steps and says how many."""
    work()
    best = 0.0
    for _ in range(ROUNDS):
        done, began = 0, perf_counter()
        while (passed := perf_counter() - began) < SECONDS:
            done += work()
        best = max(best, done / passed)
    return best


def steady_beats(count: int) -> Callable[[], int]:
    """Each of `count` healthy hosts sends one beat; the answer is kept, as a manager would."""
    hosts = healthy(count)

    def work() -> int:
        for place, host in enumerate(hosts):
            hosts[place], _ = step(host, BEAT, 1.0, POLICY)
        return len(hosts)

    return work


def whole_incidents() -> Callable[[], int]:
    """One host after another dies and is fenced."""
    (host,) = healthy(1)
    return lambda: incident(host, 1000.0)[1]


def mixed_load(count: int) -> Callable[[], int]:
    """Per round: a beat of every host, and one in a thousand of them dies and is fenced."""
    hosts = healthy(count)

    def work() -> int:
        steps = 0
        for place, host in enumerate(hosts):
            if place % 1000 == 0:
                steps += incident(host, 1000.0)[1]
            else:
                hosts[place], _ = step(host, BEAT, 1.0, POLICY)
                steps += 1
        return steps

    return work


def incidents_among(count: int) -> Callable[[], int]:
    """One host after another dies and is fenced, with `count` records alive."""
    hosts = healthy(count)
    place = 0

    def work() -> int:
        nonlocal place
        # A stride that visits records all over the memory, not ten that stay in the cache.
        place = (place + 7919) % len(hosts)
        return incident(hosts[place], 1000.0)[1]

    return work


def run() -> dict[str, float]:
    """The figures by name: rates in steps a second, and the ratio of one step's cost among 10,000 hosts to among 10."""
    gc.collect()
    few, many = steps_a_second(incidents_among(10)), steps_a_second(incidents_among(10_000))
    return {
        "steady_beats_per_second": steps_a_second(steady_beats(1000)),
        "incident_steps_per_second": steps_a_second(whole_incidents()),
        "mixed_steps_per_second": steps_a_second(mixed_load(10_000)),
        "step_microseconds_among_10_hosts": 1e6 / few,
        "step_microseconds_among_10000_hosts": 1e6 / many,
        "cost_ratio_10000_to_10_hosts": few / many,
    }


def main() -> None:
    """Print the figures as a table."""
    for name, value in run().items():
        print(f"{name.replace('_', ' '):<40} {value:>14,.2f}")


if __name__ == "__main__":
    main()
