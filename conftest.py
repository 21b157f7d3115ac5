"""What every test of the repository gets."""

import logging
from collections.abc import Iterator

import pytest

# Threads that outlive their test, like libvirt's, would print their warnings between the dots.
logging.lastResort = logging.NullHandler()


@pytest.fixture(autouse=True)
def log_as_before() -> Iterator[None]:
    """Take back what a command run in this process did to the log: its stream is closed when its test ends, and threads
    that live on, like libvirt's, would write there."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    for handler in root.handlers[:]:
        if handler not in handlers:
            root.removeHandler(handler)
    root.setLevel(level)
    logging.captureWarnings(False)
