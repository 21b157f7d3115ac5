"""libvirt's Python binding, imported when the driver is first used: it is a C library that not every machine has."""

import importlib
import threading
from types import ModuleType

from holdfast.errors import ConfigurationError

OLDEST_LIBVIRT = 9_000_000
"""What `getLibVersion` of the oldest libvirt says that the tests run against: 9.0.0, of Debian 12."""

HOW_TO_INSTALL = (
    "install Debian's python3-libvirt and let this Python see it (a virtual environment made with "
    "--system-site-packages does); or, where a compiler and libvirt-dev are, "
    "pip install 'holdfast-hypervisor-kvm[libvirt]'"
)

_registered = threading.Lock()
_loop: threading.Thread | None = None


def libvirt() -> ModuleType:
    """The module `libvirt`, its event loop running. `ConfigurationError` naming what to install if it is not there."""
    try:
        found = importlib.import_module("libvirt")
    except ImportError as problem:
        raise ConfigurationError(
            f"hypervisor kvm needs libvirt's Python binding ({problem}): {HOW_TO_INSTALL}"
        ) from None
    _run_events(found)
    return found


def too_old(version: int) -> str:
    """Why a libvirt of this version cannot be used, or "". `version` is major * 1,000,000 + minor * 1,000 + release."""
    if version >= OLDEST_LIBVIRT:
        return ""
    return (
        f"libvirt {in_words(version)} is older than {in_words(OLDEST_LIBVIRT)}, the oldest that works: upgrade the host"
    )


def in_words(version: int) -> str:
    """9000000 → "9.0.0"."""
    return f"{version // 1_000_000}.{version // 1_000 % 1_000}.{version % 1_000}"


def _run_events(module: ModuleType) -> None:
    """One loop for the process, as libvirt wants it, begun before the first connection."""
    global _loop  # noqa: PLW0603 - libvirt's event loop is one per process
    with _registered:
        if _loop is not None:
            return
        # Without a handler of our own the binding prints each error to stderr, before it raises it.
        module.registerErrorHandler(lambda _context, _error: None, None)
        module.virEventRegisterDefaultImpl()
        # A timer keeps the loop turning, so that handles added meanwhile are seen.
        module.virEventAddTimeout(500, lambda _timer, _opaque: None, None)
        _loop = threading.Thread(target=_turn, args=(module,), name="libvirt-events", daemon=True)
        _loop.start()


def _turn(module: ModuleType) -> None:
    while True:
        module.virEventRunDefaultImpl()
