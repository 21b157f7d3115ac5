"""libvirt's numbers for states and reasons, in Holdfast's words. The numbers are part of libvirt's stable ABI."""

from holdfast.model.states import GuestState

NOSTATE, RUNNING, BLOCKED, PAUSED, SHUTDOWN, SHUTOFF, CRASHED, PMSUSPENDED = range(8)

PAUSED_MIGRATION, PAUSED_IOERROR, PAUSED_STARTING_UP, PAUSED_POSTCOPY = 2, 5, 11, 12
_ON_THE_WAY = frozenset({PAUSED_MIGRATION, PAUSED_STARTING_UP, PAUSED_POSTCOPY})
"""Paused because it arrives or leaves, or has only just been made: it may run at any moment."""

PAUSED_ON_ERROR = "paused on an I/O error of its disk"
MOVED = "moved to another host"

_PAUSED = {
    1: "paused by order", 3: "paused while it is saved", 4: "paused while its memory is dumped",
    PAUSED_IOERROR: PAUSED_ON_ERROR, 6: "paused by its watchdog", 7: "paused by a snapshot that was restored",
    8: "paused while it shuts down", 9: "paused while a snapshot is made", 10: "its guest panicked",
    13: "paused after a post-copy migration failed",
}  # fmt: skip

EVENT_STARTED, EVENT_SUSPENDED, EVENT_RESUMED, EVENT_STOPPED = 2, 3, 4, 5
STARTED_MIGRATED = 1

_STOPPED = {
    0: (GuestState.SHUT_DOWN, "its guest shut itself down"),
    1: (GuestState.ABSENT, "destroyed by somebody else than Holdfast"),
    2: (GuestState.CRASHED, "its guest crashed"),
    3: (GuestState.ABSENT, MOVED),
    4: (GuestState.ABSENT, "saved to a file by somebody else than Holdfast"),
    5: (GuestState.CRASHED, "its QEMU process ended unexpectedly"),
    6: (GuestState.ABSENT, "replaced by a snapshot"),
}
_UNKNOWN_END = (GuestState.CRASHED, "it ended, and libvirt does not say why")

_LOG_REASONS = {
    "shutdown": _STOPPED[0], "destroyed": _STOPPED[1], "crashed": (GuestState.CRASHED, "it crashed"),
    "migrated": _STOPPED[3], "saved": _STOPPED[4], "failed": _STOPPED[5], "from-snapshot": _STOPPED[6],
    "daemon": (GuestState.CRASHED, "libvirtd lost it"),
}  # fmt: skip


def of_domain(state: int, reason: int) -> tuple[GuestState, str]:
    """State and reason of a domain that libvirt has."""
    if state in (RUNNING, BLOCKED):
        return GuestState.RUNNING, ""
    if state == SHUTDOWN:
        return GuestState.RUNNING, "it is shutting down"
    if state == PAUSED and reason not in _ON_THE_WAY:
        return GuestState.PAUSED, _PAUSED.get(reason, "paused")
    if state == PMSUSPENDED:
        return GuestState.PAUSED, "its guest sleeps"
    if state == SHUTOFF:
        return GuestState.ABSENT, ""
    return GuestState.UNKNOWN, "it is starting, arriving or leaving"


def of_stop(detail: int) -> tuple[GuestState, str]:
    """How a domain ended, by the detail of its last event."""
    return _STOPPED.get(detail, _UNKNOWN_END)


def of_log(reason: str) -> tuple[GuestState, str]:
    """How a domain ended, by libvirt's word in its log."""
    return _LOG_REASONS.get(reason, _UNKNOWN_END)
