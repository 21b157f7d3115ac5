"""The lab's watchdog counts as the kernel's devices do."""

from holdfast_lab.watchdog_clock import WatchdogClock


def _armed(seconds: int = 10) -> WatchdogClock:
    clock = WatchdogClock()
    assert clock.open("boot", 0.0)
    assert clock.set_time(seconds, 0.0) == seconds
    return clock


def test_it_bites_once_it_was_not_fed_for_its_time() -> None:
    """And only once."""
    clock = _armed()
    clock.feed(5.0)
    assert not clock.bites("boot", 14.9)
    assert clock.bites("boot", 15.0)
    assert not clock.bites("boot", 99.0)


def test_closing_it_does_not_stop_it_unless_the_letter_came_before() -> None:
    """A program that was killed closes it, too."""
    clock = _armed()
    clock.close()
    assert clock.bites("boot", 10.0)
    clock = _armed()
    clock.write(b"V", 1.0)
    clock.close()
    assert not clock.bites("boot", 99.0)


def test_feeding_after_the_letter_takes_it_back() -> None:
    """Only the last writing counts."""
    clock = _armed()
    clock.write(b"V", 1.0)
    clock.write(b"x", 2.0)
    clock.close()
    assert clock.bites("boot", 12.0)


def test_one_program_has_it() -> None:
    """Until it closes it, or the power goes off."""
    clock = _armed()
    assert not clock.open("boot", 1.0)
    assert clock.open("another boot", 2.0)


def test_power_that_went_off_takes_the_count_with_it() -> None:
    """Whether the host is off, or on anew."""
    assert not _armed().bites("", 99.0)
    assert not _armed().bites("another boot", 99.0)
