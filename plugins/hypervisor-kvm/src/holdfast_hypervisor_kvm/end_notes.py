"""How a VM ended while nobody listened: libvirtd writes it into the VM's log."""

import re
from datetime import datetime
from pathlib import Path

from holdfast.model.states import GuestState

from holdfast_hypervisor_kvm import domain_state

_LAST_BYTES = 65536
_END = re.compile(r"^(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d+\+0000): shutting down, reason=([a-z-]+)", re.MULTILINE)


def how_it_ended(folder: Path, name: str, since: float) -> tuple[GuestState, str] | None:
    """The last end after `since` (seconds of the epoch) that the log of domain `name` tells of, if any."""
    try:
        with (folder / f"{name}.log").open("rb") as file:
            file.seek(0, 2)
            file.seek(max(0, file.tell() - _LAST_BYTES))
            text = file.read().decode("utf-8", "replace")
    except OSError:
        return None
    found = _END.findall(text)
    if not found:
        return None
    when, reason = found[-1]
    if datetime.strptime(when, "%Y-%m-%d %H:%M:%S.%f%z").timestamp() < since:
        return None
    return domain_state.of_log(reason)
