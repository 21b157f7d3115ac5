"""What this host knows of the runs of each VM, kept on disk: told, begun, ended, and refused for good.

One small file per VM, replaced whole and flushed before anything is done that it speaks of. A file that cannot be read
is never taken for an empty one: its VM is refused until somebody has looked.
"""

import json
import os
import threading
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from holdfast.errors import DriverError, Refused
from holdfast.model.states import GuestState

_FORM = 1


@dataclass(frozen=True, slots=True)
class Page:
    """What is known of one VM.

    `told` is the highest run that this host was told of; `revoked` the highest that must never be live here again;
    `begun` the newest whose start was handed to libvirt, on boot `boot` at `begun_at` (seconds of the epoch). It is
    made paused; `let_go` says that it was then allowed to run. `ended` is how it ended ("" while it may be live), and
    `reason` why.
    """

    told: int = -1
    revoked: int = -1
    begun: int = -1
    boot: str = ""
    begun_at: float = 0.0
    let_go: bool = False
    ended: str = ""
    reason: str = ""
    name: str = ""


class RunBook:
    """All pages. Thread-safe; writing blocks until it is on the disk."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._pages: dict[str, Page] = {}
        self._damaged: dict[str, str] = {}

    def open(self) -> None:
        """Read what is there; makes the folder. `DriverError` if it cannot be used."""
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            for path in sorted(self._folder.glob("*.json")):
                self._read(path)
            _flush_folder(self._folder)
        except OSError as problem:
            raise DriverError(
                f"the runs of this host's VMs cannot be kept in {self._folder}: {problem}; make it a folder on a local "
                "disk that this user may write to"
            ) from problem

    def _read(self, path: Path) -> None:
        vm = path.stem
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
            if found.pop("form") != _FORM:
                raise ValueError("it was written by a newer version")
            page = Page(**found)
            if not all(isinstance(number, int) for number in (page.told, page.revoked, page.begun)):
                raise ValueError("its numbers are none")
        except (ValueError, TypeError, KeyError, AttributeError) as problem:
            self._damaged[vm] = f"{path} cannot be read ({problem})"
        else:
            self._pages[vm] = page

    def page(self, vm: str) -> Page:
        """What is known of this VM. `DriverError` if its page is damaged."""
        with self._lock:
            return self._page(vm)

    def _page(self, vm: str) -> Page:
        if vm in self._damaged:
            raise DriverError(
                f"what runs of VM {vm} are still allowed here is not known: {self._damaged[vm]}; make sure that it "
                "runs nowhere, then remove the file and restart the agent"
            )
        return self._pages.get(vm, Page())

    def pages(self) -> dict[str, Page]:
        """All of them, as of now."""
        with self._lock:
            return dict(self._pages)

    def damaged(self) -> tuple[str, ...]:
        """VMs whose page cannot be read."""
        with self._lock:
            return tuple(self._damaged)

    def check_start(self, vm: str, name: str, epoch: int) -> None:
        """`Refused` unless this run may still begin here."""
        with self._lock:
            page = self._page(vm)
        if epoch <= page.revoked:
            raise Refused(f"run {epoch} of {name} was stopped here: runs up to {page.revoked} are refused")
        if epoch < page.told:
            raise Refused(f"run {epoch} of {name} is older than run {page.told}, which this host was told of")

    def begin(self, vm: str, name: str, epoch: int, boot: str, now: float) -> None:
        """Note that this run is about to begin. `Refused` if it may not."""
        with self._lock:
            page = self._page(vm)
            if epoch <= page.revoked or epoch < page.told:
                raise Refused(f"run {epoch} of {name} was stopped here, or a newer one was begun, a moment ago")
            if page.begun == epoch:
                raise Refused(
                    f"run {epoch} of {name} is over ({page.ended or 'it is gone'}): a new run needs a new permit"
                )
            self._write(
                vm, replace(page, told=epoch, begun=epoch, boot=boot, begun_at=now, let_go=False, ended="", reason="",
                            name=name)
            )  # fmt: skip

    def let_go(self, vm: str, epoch: int) -> None:
        """Note that this run is about to leave its pause. `Refused` if it was stopped meanwhile."""
        with self._lock:
            page = self._page(vm)
            if page.begun != epoch or epoch <= page.revoked:
                raise Refused(f"run {epoch} of {page.name} was stopped while it was starting")
            self._write(vm, replace(page, let_go=True))

    def never_began(self, vm: str, epoch: int) -> None:
        """The start of this run failed for certain: it may be tried again."""
        with self._lock:
            page = self._page(vm)
            if page.begun == epoch:
                self._write(vm, replace(page, begun=-1))

    def arrived(self, vm: str, name: str, epoch: int, boot: str, now: float) -> bool:
        """A run came by live migration; whether it may stay."""
        with self._lock:
            page = self._page(vm)
            if page.begun != epoch:
                told = max(epoch, page.told)
                self._write(
                    vm, replace(page, told=told, begun=epoch, boot=boot, begun_at=now, let_go=True, ended="", reason="",
                                name=name)
                )  # fmt: skip
            return epoch > page.revoked

    def end(self, vm: str, epoch: int, state: GuestState, reason: str) -> bool:
        """How a run ended; whether that is news: a run that was stopped by order, or had ended before, is none."""
        with self._lock:
            page = self._page(vm)
            if page.begun != epoch or page.ended or page.revoked >= epoch:
                return False
            self._write(vm, replace(page, ended=state.value, reason=reason[:300]))
            return True

    def revoke(self, vm: str, epoch: int) -> None:
        """Refuse runs up to this one from now on."""
        with self._lock:
            page = self._page(vm)
            if epoch > page.revoked or epoch > page.told:
                self._write(vm, replace(page, told=max(page.told, epoch), revoked=max(page.revoked, epoch)))

    def _write(self, vm: str, page: Page) -> None:
        path = self._folder / f"{vm}.json"
        draft = path.with_suffix(".new")
        try:
            with draft.open("w", encoding="utf-8") as file:
                json.dump({"form": _FORM, **asdict(page)}, file)
                file.flush()
                os.fsync(file.fileno())
            draft.replace(path)
            _flush_folder(self._folder)
        except OSError as problem:
            raise Refused(f"the runs of VM {vm} could not be written down in {self._folder}: {problem}") from problem
        self._pages[vm] = page


def _flush_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
