"""Makes the disks of VMs, once: an overlay of its template, which is never laid over anything that is there already."""

import json
import os
import secrets
import shutil
import subprocess
import tempfile
from pathlib import Path

from holdfast.errors import Refused, StorageAway, Unreachable
from holdfast.model.views import DiskSpec

from holdfast_hypervisor_kvm import qcow2_header
from holdfast_hypervisor_kvm.deadline import Deadline
from holdfast_hypervisor_kvm.place import Place

CLUSTER = 65536
_DEATH_SECONDS = 2.0
_SECTOR = 512
_METADATA = 1 << 20
_ABSENT = ("No such file or directory", "NFS3ERR_NOENT", "NFS4ERR_NOENT", "ENOENT")
_AWAY = (
    "Connection refused",
    "No route to host",
    "timed out",
    "Network is unreachable",
    "Failed to mount",
    "Input/output",
)
_FULL = ("No space left", "NOSPC", "Disk quota exceeded", "DQUOT")


class DiskImages:
    """Runs `qemu-img` and `qemu-io`, each in a process that is ended when its time is over."""

    def __init__(self, scratch: Path) -> None:
        self._scratch = scratch

    def ensure(self, vm_uuid: str, disk: DiskSpec, place: Place, template: Place | None, limit: Deadline) -> None:
        """See to it that the disk is there and is this VM's. `Refused` if it cannot be had: nothing runs then."""
        start = self._start(place, disk, limit)
        if start is None or qcow2_header.is_blank(start):
            if disk.format != "qcow2":
                raise Refused(f"disk {place.url} on pool {disk.pool.name} is not there, or empty: make it first")
            self._make(vm_uuid, disk, place, template, start is not None, limit)
            return
        if disk.format != "qcow2":
            return
        owner = qcow2_header.stamp_of(start)
        if owner is None:
            raise Refused(f"{place.url} on pool {disk.pool.name} holds data that is no qcow2 image: it is left alone")
        if owner != vm_uuid and (owner or template is not None):
            whose = f"the disk of VM {owner}" if owner else "an image that was not made for this VM"
            raise Refused(f"{place.url} on pool {disk.pool.name} holds {whose}: it is left alone")

    def remove(self, vm_uuid: str, disk: DiskSpec, place: Place, limit: Deadline) -> None:
        """Remove the disk, if it is this VM's; a LUN is made blank. `Refused` if it is not known to be.

        QEMU's NFS client cannot remove a file: it is left there, empty.
        """
        start = self._start(place, disk, limit)
        if start is None or qcow2_header.is_blank(start):
            return
        if qcow2_header.stamp_of(start) != vm_uuid:
            raise Refused(f"{place.url} on pool {disk.pool.name} does not bear this VM's mark: it is left alone")
        if place.kind == "file":
            try:
                Path(place.path).unlink(missing_ok=True)
            except OSError as problem:
                raise Refused(f"{place.path} could not be removed: {problem}") from problem
        elif place.kind == "nfs":
            self._run(["qemu-img", "create", "-q", "-f", "raw", place.url, "0"], disk, limit)
        else:
            words = ["qemu-io", "-f", "raw", "-c", f"write -P 0 0 {CLUSTER}", "-c", "flush", place.url]
            said = self._run(words, disk, limit)
            start = self._start(place, disk, limit)
            if start is None or not qcow2_header.is_blank(start):
                raise Refused(f"{place.url} could not be made blank: {said.strip()[-200:]}")

    def _start(self, place: Place, disk: DiskSpec, limit: Deadline) -> bytes | None:
        """The first cluster of what is there; None if there is nothing."""
        with tempfile.TemporaryDirectory(dir=self._scratch) as folder:
            copy = Path(folder) / "start"
            # `-U`: to look at a disk takes no lock, and is no second writer.
            words = ["qemu-img", "dd", "-U", "-f", "raw", "-O", "raw", f"bs={CLUSTER}", "count=1"]
            try:
                self._run([*words, f"if={place.url}", f"of={copy}"], disk, limit)
            except _Absent:
                if place.kind in ("block", "iscsi"):
                    raise Refused(f"pool {disk.pool.name} has no {place.url}") from None
                return None
            return copy.read_bytes()

    def _make(
        self, vm_uuid: str, disk: DiskSpec, place: Place, template: Place | None, there: bool, limit: Deadline
    ) -> None:
        size = max(disk.size, self._size(template, disk, limit) if template else 0)
        if size <= 0:
            raise Refused(f"disk {disk.name} on pool {disk.pool.name} has neither a template nor a size")
        with tempfile.TemporaryDirectory(dir=self._scratch) as folder:
            draft = Path(folder) / "disk"
            words = ["qemu-img", "create", "-q", "-f", "qcow2", "-o", "compat=1.1"]
            if template is not None:
                words += ["-u", "-b", template.url, "-F", disk.template_format]
            self._run([*words, str(draft), str(size)], disk, limit)
            made = draft.read_bytes()
            made = qcow2_header.stamped(made[:CLUSTER], vm_uuid) + made[CLUSTER:]
            if place.kind in ("block", "iscsi"):
                self._check_room(place, size, disk, limit)
            if place.kind == "file":
                self._put_file(made, Path(place.path), disk, there)
            else:
                self._put_remote(made, place, disk, Path(folder), there, limit)

    def _size(self, template: Place, disk: DiskSpec, limit: Deadline) -> int:
        """Bytes of the template's disk."""
        words = ["qemu-img", "info", "-U", "--output=json", "-f", disk.template_format, template.url]
        try:
            return int(json.loads(self._run(words, disk, limit))["virtual-size"])
        except _Absent:
            raise Refused(f"the template {template.url} is not there") from None

    def _check_room(self, place: Place, size: int, disk: DiskSpec, limit: Deadline) -> None:
        """A LUN cannot grow: it must hold the whole disk, and what qcow2 keeps beside it."""
        words = ["qemu-img", "info", "-U", "--output=json", "-f", "raw", place.url]
        room = int(json.loads(self._run(words, disk, limit))["virtual-size"])
        needed = size + size // 4096 + _METADATA
        if room < needed:
            raise Refused(
                f"{place.url} on pool {disk.pool.name} has {room >> 20} MiB, the disk needs {(needed >> 20) + 1} MiB"
            )

    def _put_file(self, made: bytes, path: Path, disk: DiskSpec, there: bool) -> None:
        """Under another name first: what bears the disk's name is whole, and is never replaced."""
        draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
        try:
            if there and path.stat().st_size == 0:
                path.unlink()
            with draft.open("xb") as file:
                file.write(made)
                file.flush()
                os.fsync(file.fileno())
            os.link(draft, path)
        except FileExistsError:
            raise Refused(
                f"{path} on pool {disk.pool.name} came into being at the same moment: it is left alone"
            ) from None
        except OSError as problem:
            raise Refused(f"disk {path} could not be made on pool {disk.pool.name}: {problem}") from problem
        finally:
            draft.unlink(missing_ok=True)
        handle = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)

    def _put_remote(
        self, made: bytes, place: Place, disk: DiskSpec, folder: Path, there: bool, limit: Deadline
    ) -> None:
        """The first sector last: until then the disk counts as blank, and its making begins anew."""
        if place.kind == "nfs" and not there:
            self._run(["qemu-img", "create", "-q", "-f", "raw", place.url, str(len(made))], disk, limit)
        head, tail = folder / "head", folder / "tail"
        head.write_bytes(made[:_SECTOR])
        tail.write_bytes(made[_SECTOR:])
        commands = [
            f"write -s {tail} {_SECTOR} {len(made) - _SECTOR}", "flush", f"write -s {head} 0 {_SECTOR}", "flush"
        ]  # fmt: skip
        words = ["qemu-io", "-f", "raw", "-t", "none" if place.kind == "block" else "writeback"]
        for command in commands:
            words += ["-c", command]
        said = self._run([*words, place.url], disk, limit)
        # qemu-io ends with status 0 whatever became of its commands.
        start = self._start(place, disk, limit)
        if start is None or start != made[:CLUSTER]:
            raise Refused(f"disk {place.url} could not be made on pool {disk.pool.name}: {said.strip()[-200:]}")

    def _run(self, words: list[str], disk: DiskSpec, limit: Deadline) -> str:
        """What a program printed. Raises `_Absent`, or `Refused` in words."""
        program = shutil.which(words[0])
        if program is None:
            raise Refused(f"{words[0]} is missing on this host: install the Debian package qemu-utils")
        process = subprocess.Popen(  # noqa: S603 - our own words, no shell
            [program, *words[1:]],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            said, trouble = process.communicate(timeout=max(limit.left(), 0.01))
        except subprocess.TimeoutExpired:
            process.kill()
            try:
                process.communicate(timeout=_DEATH_SECONDS)
            except subprocess.TimeoutExpired:
                raise Unreachable(f"pool {disk.pool.name} does not answer, and {words[0]} hangs in it") from None
            raise StorageAway(f"pool {disk.pool.name} did not answer in time: its VM was not started") from None
        if process.returncode == 0:
            return said + trouble
        if any(sign in trouble for sign in _ABSENT):
            raise _Absent(trouble)
        if any(sign in trouble for sign in _FULL):
            raise Refused(f"pool {disk.pool.name} is full: free some room, then start the VM again")
        kind = StorageAway if any(sign in trouble for sign in _AWAY) else Refused
        raise kind(f"disk {disk.name} on pool {disk.pool.name}: {trouble.strip()[-300:]}")


class _Absent(Exception):
    """There is no such image."""
