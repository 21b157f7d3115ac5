"""The few functions of the C library libiscsi that heartbeats need, through ctypes: a disk without the kernel.

No maintained Python binding exists; the library itself is in every distribution. Only calls whose arguments are plain
are used, and of its structures only the first field of `scsi_task`, so no version's layout matters. It is loaded in a
lane's process only: what goes wrong in C goes wrong there alone.
"""

import ctypes
import ctypes.util
import re
import socket
from ctypes import POINTER, byref, c_char_p, c_int, c_size_t, c_uint32, c_uint64, c_void_p
from pathlib import Path
from typing import Any, Final

from holdfast.errors import DriverError, Refused, Unreachable
from holdfast.lane.sockets import discard_unsent

_NAMES: Final = ("libiscsi.so.9", "libiscsi.so.8", "libiscsi.so.7", "libiscsi.so")
_INITIATOR_FILE: Final = Path("/etc/iscsi/initiatorname.iscsi")
_SENSE_KEY = re.compile(r"SENSE KEY:[A-Z_ ]*\((\d+)\)")
_ILLEGAL_REQUEST, _UNIT_ATTENTION, _DATA_PROTECTION = 5, 6, 7
_GOOD, _CHECK_CONDITION, _RESERVATION_CONFLICT = 0, 2, 0x18
_NORMAL_SESSION: Final = 2
_ATTENTIONS: Final = 4
_REFUSALS: Final = ("uthentication", "uthorization", "Target not found", "CHAP", "LOGICAL_UNIT_NOT_SUPPORTED")


class _Vector(ctypes.Structure):
    _fields_ = [("base", c_void_p), ("length", c_size_t)]


class _Capacity(ctypes.Structure):
    """The beginning of `struct scsi_readcapacity16`."""

    _fields_ = [("last", c_uint64), ("block", c_uint32)]


_SIGNATURES: Final[dict[str, tuple[Any, list[Any]]]] = {
    "iscsi_create_context": (c_void_p, [c_char_p]),
    "iscsi_destroy_context": (c_int, [c_void_p]),
    "iscsi_get_error": (c_char_p, [c_void_p]),
    "iscsi_get_fd": (c_int, [c_void_p]),
    "iscsi_set_targetname": (c_int, [c_void_p, c_char_p]),
    "iscsi_set_session_type": (c_int, [c_void_p, c_int]),
    "iscsi_set_timeout": (c_int, [c_void_p, c_int]),
    "iscsi_set_noautoreconnect": (None, [c_void_p, c_int]),
    "iscsi_set_initiator_username_pwd": (c_int, [c_void_p, c_char_p, c_char_p]),
    "iscsi_full_connect_sync": (c_int, [c_void_p, c_char_p, c_int]),
    "iscsi_readcapacity16_sync": (c_void_p, [c_void_p, c_int]),
    "iscsi_read16_iov_sync": (
        c_void_p,
        [c_void_p, c_int, c_uint64, c_uint32, c_int, c_int, c_int, c_int, c_int, c_int, POINTER(_Vector), c_int],
    ),
    "iscsi_write16_sync": (
        c_void_p,
        [c_void_p, c_int, c_uint64, c_char_p, c_uint32, c_int, c_int, c_int, c_int, c_int, c_int],
    ),
    "iscsi_synchronizecache10_sync": (c_void_p, [c_void_p, c_int, c_int, c_int, c_int, c_int]),
    "scsi_datain_unmarshall": (c_void_p, [c_void_p]),
    "scsi_free_scsi_task": (None, [c_void_p]),
}


def load() -> ctypes.CDLL:
    """The library. Raises `Refused` saying what to install."""
    for name in (*_NAMES, ctypes.util.find_library("iscsi") or ""):
        try:
            library = ctypes.CDLL(name) if name else None
        except OSError:
            continue
        if library is None:
            continue
        for function, (result, arguments) in _SIGNATURES.items():
            found = getattr(library, function)
            found.restype, found.argtypes = result, arguments
        return library
    raise Refused(
        "the kernel shows no such disk, and the library libiscsi is not installed: log in to the target with iscsiadm, "
        "or apt-get install libiscsi7 (dnf install libiscsi)"
    )


def initiator_name(configured: str) -> str:
    """This host's own: as configured, or as the kernel's initiator has it, or made from the machine's name."""
    if configured:
        return configured
    try:
        for line in _INITIATOR_FILE.read_text(encoding="utf-8").splitlines():
            if line.startswith("InitiatorName="):
                return line.partition("=")[2].strip()
    except (OSError, UnicodeDecodeError):
        pass
    return f"iqn.2025-01.io.holdfast:{socket.gethostname().lower()}"


class IscsiDisk:
    """`Disk` on a LUN. A session that failed is thrown away with all that it still had to say."""

    def __init__(
        self, portal: str, target: str, lun: int, initiator: str, user: str, password: str, timeout: int
    ) -> None:
        self._library = load()
        self._portal, self._target, self._lun = portal, target, lun
        self._initiator, self._user, self._password = initiator_name(initiator), user, password
        self._timeout = timeout
        self._context: int | None = None
        self._block = 512
        self._bytes = 0
        self._flushes = True

    def size(self) -> int:
        """As the target tells it."""
        self._connect()
        return self._bytes

    def read(self, offset: int, length: int) -> bytes:
        """READ(16)."""
        context = self._connect()
        if offset + length > self._bytes:
            raise Refused(f"{self._where} ends before the heartbeat area does: it needs 1 MiB")
        room = ctypes.create_string_buffer(length)
        vector = _Vector(ctypes.cast(room, c_void_p), length)
        at, size, lun = offset // self._block, self._block, self._lun
        call = self._library.iscsi_read16_iov_sync
        self._carry_out(lambda: call(context, lun, at, length, size, 0, 0, 0, 0, 0, byref(vector), 1))
        return room.raw

    def write(self, offset: int, data: bytes) -> None:
        """WRITE(16), then SYNCHRONIZE CACHE where the target knows it; one that does not keeps no cache."""
        context = self._connect()
        at, size, lun = offset // self._block, self._block, self._lun
        write, flush = self._library.iscsi_write16_sync, self._library.iscsi_synchronizecache10_sync
        self._carry_out(lambda: write(context, lun, at, data, len(data), size, 0, 0, 0, 0, 0))
        if self._flushes:
            blocks = len(data) // size
            try:
                self._carry_out(lambda: flush(context, lun, at, blocks, 0, 0))
            except _IllegalRequest:
                self._flushes = False

    def claim(self) -> None:
        """No kernel of this machine has the disk by this way."""

    @property
    def _where(self) -> str:
        return f"iscsi://{self._portal}/{self._target}/{self._lun}"

    def _connect(self) -> int:
        if self._context is not None:
            return self._context
        library = self._library
        context = library.iscsi_create_context(self._initiator.encode())
        if not context:
            raise Refused(f"libiscsi takes no initiator name {self._initiator!r}")
        self._context = context
        library.iscsi_set_targetname(context, self._target.encode())
        library.iscsi_set_session_type(context, _NORMAL_SESSION)
        # Without this it would send again, after a new login, what nobody waits for any more.
        library.iscsi_set_noautoreconnect(context, 1)
        library.iscsi_set_timeout(context, self._timeout)
        if self._user:
            library.iscsi_set_initiator_username_pwd(context, self._user.encode(), self._password.encode())
        if library.iscsi_full_connect_sync(context, self._portal.encode(), self._lun) != 0:
            words = self._words()
            self._drop()
            if any(word in words for word in _REFUSALS):
                raise Refused(f"{self._where}: the target refuses {self._initiator}: {words}")
            raise Unreachable(f"{self._where}: {words}")
        task = self._carry_out(lambda: library.iscsi_readcapacity16_sync(context, self._lun), keep=True)
        try:
            found = ctypes.cast(library.scsi_datain_unmarshall(task), POINTER(_Capacity))
            if not found or not 512 <= found.contents.block <= 4096:
                raise Refused(f"{self._where} has blocks of a size that is not supported")
            self._block = found.contents.block
            self._bytes = (found.contents.last + 1) * self._block
        finally:
            library.scsi_free_scsi_task(task)
        return int(context)

    def _carry_out(self, send: Any, keep: bool = False) -> Any:
        """Send a command until no unit attention gets in its way; its task, if it is to be kept."""
        problem: DriverError = Unreachable(f"{self._where}: unit attentions without end")
        for _ in range(_ATTENTIONS):
            task = send()
            status = ctypes.cast(task, POINTER(c_int)).contents.value if task else -1
            if status == _GOOD:
                if keep:
                    return task
                self._library.scsi_free_scsi_task(task)
                return None
            words = self._words()
            if task:
                self._library.scsi_free_scsi_task(task)
            key = int(found[1]) if (found := _SENSE_KEY.search(words)) else -1
            if status == _CHECK_CONDITION and key == _UNIT_ATTENTION:
                continue
            problem = self._meaning(status, key, words)
            break
        if not isinstance(problem, _IllegalRequest):
            self._drop()
        raise problem

    def _meaning(self, status: int, key: int, words: str) -> DriverError:
        if status == _RESERVATION_CONFLICT:
            return Refused(f"{self._where}: a reservation of another host holds it")
        if status == _CHECK_CONDITION and key == _DATA_PROTECTION:
            return Refused(f"{self._where} is write-protected: {words}")
        if status == _CHECK_CONDITION and key == _ILLEGAL_REQUEST:
            return _IllegalRequest(f"{self._where}: {words}")
        return Unreachable(f"{self._where}: {words or 'no answer'}")

    def _words(self) -> str:
        said = self._library.iscsi_get_error(self._context) if self._context else None
        text = said.decode("utf-8", "replace").strip() if said else "libiscsi gave no reason"
        return text.replace(self._password, "(hidden)") if self._password else text

    def _drop(self) -> None:
        context, self._context = self._context, None
        if context:
            discard_unsent(self._library.iscsi_get_fd(context))
            self._library.iscsi_destroy_context(context)


class _IllegalRequest(Refused):
    pass
