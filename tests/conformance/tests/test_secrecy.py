"""The watch sees a secret wherever a driver may show it."""

import logging
import subprocess
import sys

import pytest
from holdfast_conformance.secrecy import SecretWatch

SECRET = "a very distinctive secret"


def _log() -> None:
    logging.getLogger("driver").debug("password=%s", SECRET)


def _log_extra() -> None:
    logging.getLogger("driver").info("asking", extra={"credentials": SECRET})


def _print() -> None:
    print(SECRET)


def _command_line() -> None:
    subprocess.run([sys.executable, "-c", "", SECRET], check=True)


@pytest.mark.parametrize("show", [_log, _log_extra, _print, _command_line])
def test_a_shown_secret_is_seen(show) -> None:  # type: ignore[no-untyped-def]
    """Each way of showing it fails the check, without repeating the secret."""
    watch = SecretWatch(SECRET)
    with watch.watching():
        show()
    with pytest.raises(AssertionError) as caught:
        watch.assert_unseen()
    assert SECRET not in str(caught.value)


def test_a_secret_in_the_environment_of_a_program_is_no_leak() -> None:
    """Only the owner of a process can read its environment."""
    watch = SecretWatch(SECRET)
    with watch.watching():
        subprocess.run([sys.executable, "-c", ""], env={"PASSWORD": SECRET}, check=True)
    watch.assert_unseen()


def test_the_cause_of_an_error_counts() -> None:
    """Whoever logs the error logs its causes too."""
    watch = SecretWatch(SECRET)
    try:
        try:
            raise ValueError(SECRET)
        except ValueError as cause:
            raise RuntimeError("failed") from cause
    except RuntimeError as error:
        watch.note_error(error)
    with pytest.raises(AssertionError, match="traceback"):
        watch.assert_unseen()


def test_a_short_secret_is_refused() -> None:
    """It could occur by chance, and then the check would lie."""
    with pytest.raises(AssertionError, match="at least 8"):
        SecretWatch("admin")
