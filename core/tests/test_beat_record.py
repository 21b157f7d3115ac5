"""The heartbeat record: whole or nothing."""

import contextlib

import pytest
from holdfast.beats.record import HIGHEST_SEQUENCE, SIZE, BeatRecord, decode, encode, is_blank, name_problem
from hypothesis import given
from hypothesis import strategies as st

NAMES = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}", fullmatch=True)
BEATS = st.builds(
    BeatRecord,
    NAMES,
    st.integers(0, HIGHEST_SEQUENCE),
    st.integers(0, 2**64 - 1),
    st.binary(min_size=16, max_size=16),
)


@given(BEATS, st.binary(max_size=64))
def test_what_was_written_is_read(beat: BeatRecord, more: bytes) -> None:
    """One sector; what follows on the disk does not matter."""
    data = encode(beat)
    assert len(data) == SIZE
    assert decode(data + more) == beat


@given(BEATS, st.integers(0, SIZE - 1), st.integers(1, 255))
def test_one_damaged_byte_is_enough_to_believe_nothing(beat: BeatRecord, where: int, change: int) -> None:
    """Wherever it is."""
    data = bytearray(encode(beat))
    data[where] ^= change
    with pytest.raises(ValueError, match=r"\w"):
        decode(bytes(data))


@given(BEATS, BEATS, st.integers(1, SIZE - 1))
def test_half_of_one_and_half_of_another_is_never_believed(old: BeatRecord, new: BeatRecord, cut: int) -> None:
    """A torn beat is the old one, the new one, or none."""
    torn = encode(new)[:cut] + encode(old)[cut:]
    with contextlib.suppress(ValueError):
        assert decode(torn) in (old, new)


@given(st.binary(max_size=2 * SIZE))
def test_garbage_is_no_beat(data: bytes) -> None:
    """Nor is a short file, nor a blank one."""
    with pytest.raises(ValueError, match=r"\w"):
        decode(data)


def test_a_sequence_of_the_future_is_refused() -> None:
    """Beyond what any writer counts to."""
    with pytest.raises(ValueError, match="2\\^63"):
        encode(BeatRecord("host", HIGHEST_SEQUENCE + 1))


@pytest.mark.parametrize("name", ["", ".", "..", ".hidden", "a/b", "a\0b", "a b", "ö", "x" * 129, "-x"])
def test_a_name_is_never_a_path(name: str) -> None:
    """Names of hosts become names of files."""
    assert name_problem(name)
    with pytest.raises(ValueError, match="cannot name"):
        encode(BeatRecord(name, 1))


def test_blank_is_blank() -> None:
    """All zero and nothing else."""
    assert is_blank(bytes(SIZE))
    assert not is_blank(bytes(SIZE - 1) + b"\1")
