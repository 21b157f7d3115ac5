"""The rules of `EngineMachine` in any order, by plain chance.

Hypothesis keeps books on every choice, to shrink what it finds, and that takes most of its time: for each of its
sequences there are several here. A failure is told by its seed.
"""

from collections.abc import Callable
from random import Random
from typing import Any

import engine_machine as menus
from engine_bed import RuleBroken, policy
from holdfast.model.states import HAState, Opinion

Told = dict[str, Any]


def _numbers(chance: Random) -> Any:
    return policy(**{name: chance.choice(menu) for name, menu in menus.NUMBER_MENUS.items()})


def _opinions(chance: Random, most: int) -> list[Opinion]:
    return [chance.choice(menus.OPINION_MENU) for _ in range(chance.randint(0, most))]


def _garbage(chance: Random) -> Told:
    odd: list[Callable[[], Any]] = [
        lambda: None,
        lambda: chance.choice([-3, -1, 0, 1, 2, 10**12]),
        lambda: chance.choice(["", "?", "\0", "12x"]),
        lambda: [chance.randint(-9, 9) for _ in range(chance.randint(0, 2))],
        lambda: {
            key: chance.choice([None, -3, 0, 10, "PowerOffConfirmed", "LeaseExpired", "?"])
            for key in menus.FENCE_KEYS
            if chance.random() < 0.5
        },
    ]
    return {key: chance.choice(odd)() for key in menus.MEMORY_KEYS if chance.random() < 0.5}


def _told(chance: Random, rule: str) -> Told:
    """What a rule is told, drawn from the same menus as by Hypothesis."""
    pick, opinion, age = chance.choice, chance.choice(menus.OPINION_MENU), chance.choice(menus.AGE_MENU)
    words: dict[str, Callable[[], Told]] = {
        "the_world_goes_on": lambda: {"seed": chance.randrange(2**16), "strides": chance.randint(1, 30)},
        "time_passes": lambda: {"seconds": pick(menus.STEP_MENU)},
        "agent_speaks": lambda: {"armed": pick([True, False])},
        "link_falls_silent": lambda: {"age": age},
        "switch_turns": lambda: {"on": pick([True, True, True, False])},
        "provider_judges": lambda: {
            "eligible": pick([True, True, False]), "deliberate": pick([True, False]), "maintenance": pick([True, False])
        },
        "census_changes": lambda: {"domains": pick(menus.DOMAIN_MENU)},
        "answer_comes_that_may_be_stale": lambda: {
            "back": chance.randint(-1, 3), "which": chance.randint(0, 5), "opinion": opinion
        },
        "health_check_ends": lambda: {
            "word": opinion, "chassis": _opinions(chance, 2), "age": age, "scripted": pick([True, False])
        },
        "activity_check_ends": lambda: {
            "pools": _opinions(chance, 3),
            "age": age,
            "lasting": pick(menus.LASTING_MENU),
            "written": pick([None, *Opinion]),
            "granted": pick([None, (opinion, pick(menus.LASTING_MENU))]),
        },
        "recovery_ends": lambda: {"accepted": pick([True, False])},
        "cut_is_answered": lambda: {"accepted": pick([True, False])},
        "power_is_read_back": lambda: {"opinion": opinion, "age": age},
        "another_server_takes_over": lambda: {
            "state": pick([None, *HAState]), "garbage": _garbage(chance), "numbers": _numbers(chance),
            "poll_every": pick([0.0, 2.0]),
        },
    }  # fmt: skip
    return words[rule]() if rule in words else {}


def tell(seed: int, steps: int) -> menus.EngineMachine:
    """One sequence from a seed. As with Hypothesis each has only some of the rules, which lets them repeat."""
    chance = Random(seed)
    machine = menus.EngineMachine()
    machine.begin(chance.randrange(2**16), _numbers(chance))
    share = chance.random()
    rules = [one for one in machine.rules if chance.random() < share] or machine.rules
    try:
        for _ in range(steps):
            possible = [one for one in rules if all(holds(machine) for holds in one.preconditions)]
            one = chance.choice(possible or [rule for rule in machine.rules if not rule.preconditions])
            one.function(machine, **_told(chance, one.function.__name__))
            for invariant in machine.invariants:
                invariant.function(machine)
    except RuleBroken as broken:
        broken.add_note(f"found by tell({seed}, {steps})")
        raise
    return machine
