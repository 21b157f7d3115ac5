"""What drivers keep is let go of when the process ends, and none of them can hold that up."""

import logging
import sys
import time
from typing import Any

import pytest
from holdfast.plugins import Plugins

OOBM = """
import threading
from holdfast.hooks.markers import hookimpl

closed = []
never = threading.Event()

class Keeps:
    def __init__(self, settings): pass

    @hookimpl
    def power_state(self): return "off"

    @hookimpl
    def power_action(self): return "done"

    @hookimpl
    def close(self): closed.append(type(self).__name__)

class Raises(Keeps):
    @hookimpl
    def close(self): raise OSError("the wire broke")

class Hangs(Keeps):
    @hookimpl
    def close(self): never.wait()

class Unused(Keeps):
    pass

class Leaves:
    def __init__(self, settings): pass

    @hookimpl
    def power_state(self): return "off"

    @hookimpl
    def power_action(self): return "done"
"""
NAMES = ("Hangs", "Raises", "Keeps", "Leaves", "Unused")


def test_each_driver_in_use_is_closed_whatever_the_others_do(site: Any, caplog: pytest.LogCaptureFixture) -> None:
    """One hangs, one raises, one has nothing to close, one was never made: the rest is closed, in time."""
    module = site.install(OOBM, {"oobm": {name.lower(): name for name in NAMES}})
    plugins = Plugins()
    for name in NAMES[:-1]:
        plugins.driver("oobm", name.lower())
    loaded = sys.modules[module]
    began = time.monotonic()
    with caplog.at_level(logging.ERROR):
        plugins.close(0.5)
    assert time.monotonic() - began < 5
    assert loaded.closed == ["Keeps"]
    said = "\n".join(record.getMessage() for record in caplog.records)
    assert 'oobm "raises" failed to close; going on' in said
    assert 'oobm "hangs" did not close within 0.5 s' in said
    assert "leaves" not in said
    loaded.never.set()
