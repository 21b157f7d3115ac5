"""Every type of event that the code writes down is one that operators can look up."""

import re
from pathlib import Path

from holdfast_api.event_types import EVENT_TYPES

ROOT = Path(__file__).resolve().parents[2]
_WRITTEN = re.compile(r'\.event\(\s*"([A-Z][A-Z.]+)"')


def test_list_event_types_names_all_that_there_are() -> None:
    """Those of the manager as well as those of the API."""
    written = {
        name for path in ROOT.glob("plugins/*/src/**/*.py") for name in _WRITTEN.findall(path.read_text("utf-8"))
    }
    assert {"VM.START", "ZONE.CREATE"} <= written
    assert sorted(written - EVENT_TYPES) == []
