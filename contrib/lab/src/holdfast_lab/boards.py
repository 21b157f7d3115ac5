"""What is on a host's board besides its BMC: the watchdog."""

import sys
from pathlib import Path

from holdfast_lab.daemons import Daemon, end
from holdfast_lab.host import Host


def watchdog_of(host: Host) -> Daemon:
    """The watchdog of a host: a process outside it, which serves the file `device_of` names."""
    point = device_of(host).parent
    point.mkdir(exist_ok=True)
    return Daemon(
        f"watchdog-{host.name}",
        "",  # the lab's own, so that the hosts' namespaces have the file system too
        [sys.executable, "-m", "holdfast_lab.watchdog", host.folder, host.name],
        host.folder / "logs" / "watchdog.log",
        device_of(host).exists,
    )


def device_of(host: Host) -> Path:
    """The device, as the host's agent opens it."""
    return host.folder / "watchdog" / "device"


def break_down(host: Host) -> None:
    """The watchdog of a host dies, as it does with its board."""
    end(f"watchdog-{host.name}")
