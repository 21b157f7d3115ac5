"""What the readings of several fence devices prove, and what they do not."""

import itertools

import pytest
from holdfast.engine.fence_levels import DeviceReading, host_power
from holdfast.model.states import Opinion
from hypothesis import given
from hypothesis import strategies as st

OFF, ON, UNKNOWN = Opinion.DEAD, Opinion.ALIVE, Opinion.UNKNOWN

READINGS = st.lists(st.builds(DeviceReading, st.integers(1, 3), st.sampled_from([OFF, ON, UNKNOWN, None])), max_size=6)


@pytest.mark.parametrize(
    ("levels", "power"),
    [
        ([[OFF]], OFF),
        ([[ON]], ON),
        ([[UNKNOWN]], UNKNOWN),
        ([], UNKNOWN),
        ([[OFF, OFF]], OFF),
        ([[OFF, ON]], ON),
        ([[OFF, UNKNOWN]], UNKNOWN),
        ([[UNKNOWN], [OFF, OFF]], OFF),
        ([[UNKNOWN], [OFF, UNKNOWN]], UNKNOWN),
        ([[OFF], [ON, ON]], OFF),
        ([[ON], [OFF, OFF]], ON),
        ([[OFF, UNKNOWN], [UNKNOWN], [OFF]], OFF),
        ([[OFF], [None]], OFF),
        ([[OFF, None]], None),
        ([[None], [OFF]], None),
        ([[None, ON], [OFF]], ON),
    ],
)
def test_a_host_is_off_when_one_whole_level_is(levels: list[list[Opinion | None]], power: Opinion | None) -> None:
    """Its devices together are all the power there is; a device that reads on before it contradicts it."""
    readings = [DeviceReading(number, opinion) for number, level in enumerate(levels, 1) for opinion in level]
    for order in itertools.islice(itertools.permutations(readings), 24):
        assert host_power(order) is power


@given(READINGS)
def test_off_rests_on_a_level_without_exception(readings: list[DeviceReading]) -> None:
    """No level with a device that is on, silent or not asked yet proves anything."""
    levels = {reading.level: [one.opinion for one in readings if one.level == reading.level] for reading in readings}
    if host_power(readings) is OFF:
        whole = [level for level, opinions in levels.items() if set(opinions) == {OFF}]
        assert whole
        assert not any(ON in opinions for level, opinions in levels.items() if level < min(whole))


@given(READINGS)
def test_what_is_certain_stays_so_whatever_the_others_answer(readings: list[DeviceReading]) -> None:
    """So a reading may end before every device has answered."""
    certain = host_power(readings)
    if certain is None:
        return
    for answer in (OFF, ON, UNKNOWN):
        assert host_power([one._replace(opinion=one.opinion or answer) for one in readings]) is certain


@given(READINGS)
def test_losing_an_answer_never_proves_death(readings: list[DeviceReading]) -> None:
    """A device that falls silent makes nothing more certain, but for one that said on."""
    before = host_power(readings)
    for number, reading in enumerate(readings):
        if reading.opinion is ON:
            continue
        silent = [*readings[:number], reading._replace(opinion=UNKNOWN), *readings[number + 1 :]]
        if before in (ON, UNKNOWN):
            assert host_power(silent) is not OFF
