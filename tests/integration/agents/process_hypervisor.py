"""A hypervisor driver for tests whose VMs are processes: they outlive the agent, and end when they are killed.

Its folder tells the truth: VM.json is a run (pid, run epoch), VM.stopped the highest epoch ended there.
"""

import json
import os
import select
import signal
import subprocess
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from holdfast.errors import Refused
from holdfast.hooks.hypervisor import HostListener
from holdfast.hooks.markers import hookimpl
from holdfast.model import GuestState, PermitGrant
from holdfast.model.views import HostView, VmReport, VmSpec
from holdfast.options import Option


class ProcessHypervisor:
    runs_on = "agent"
    SETTINGS: ClassVar[Mapping[str, Option]] = {
        "folder": Option(Path, Path("vms"), "where runs are remembered"),
    }

    def __init__(self, settings: Mapping[str, Any]) -> None:
        self.folder = settings["folder"]
        self.folder.mkdir(parents=True, exist_ok=True)
        self._listener: HostListener | None = None
        self._host = ""
        self._guard = threading.RLock()

    @hookimpl
    def attach(self, host: HostView, listener: HostListener) -> None:
        self._listener, self._host = listener, host.uuid
        listener.on_connected(host.uuid, "", 8, 2500, 16 << 30)
        for vm, run in self._runs().items():
            self._watch(vm, run)

    @hookimpl
    def start_vm(self, host: HostView, vm: VmSpec, permit: PermitGrant, deadline: float) -> None:
        if self._is_armed("hang", vm.name):
            time.sleep(deadline + 2)
        with self._guard:
            if permit.run_epoch <= self._stopped(vm.uuid):
                raise Refused("that run was ended here")
            run = self._runs().get(vm.uuid)
            if run is not None and self._lives(run):
                if run["epoch"] != permit.run_epoch:
                    raise Refused("another run is here")
                return
            child = subprocess.Popen(["sleep", "1000"], start_new_session=True, stdin=subprocess.DEVNULL)
            run = {"pid": child.pid, "epoch": permit.run_epoch}
            self._write(vm.uuid, run)
            # Another process must be able to end it for good, so nobody may have to wait for it.
            threading.Thread(target=child.wait, daemon=True).start()
        self._watch(vm.uuid, run)

    @hookimpl
    def stop_vm(self, host: HostView, vm_uuid: str, run_epoch: int, graceful: bool, deadline: float) -> None:
        with self._guard:
            (self.folder / f"{vm_uuid}.stopped").write_text(str(max(run_epoch, self._stopped(vm_uuid))))
            run = self._runs().get(vm_uuid)
            if run is not None and run["epoch"] <= run_epoch:
                until = time.monotonic() + deadline
                while self._lives(run) and time.monotonic() < until:
                    os.kill(run["pid"], signal.SIGKILL)
                    time.sleep(0.01)
                (self.folder / f"{vm_uuid}.json").unlink()

    @hookimpl
    def list_vms(self, host: HostView, deadline: float) -> tuple[VmReport, ...]:
        return tuple(
            VmReport(vm, GuestState.RUNNING if self._lives(run) else GuestState.CRASHED, run["epoch"])
            for vm, run in self._runs().items()
        )

    def _is_armed(self, what: str, name: str) -> bool:
        return (self.folder / f"{what}-{name}").exists()

    def _runs(self) -> dict[str, dict[str, int]]:
        return {path.stem: json.loads(path.read_text()) for path in self.folder.glob("*.json")}

    def _write(self, vm: str, run: dict[str, int]) -> None:
        beside = self.folder / f"{vm}.new"
        beside.write_text(json.dumps(run))
        beside.replace(self.folder / f"{vm}.json")

    def _stopped(self, vm: str) -> int:
        path = self.folder / f"{vm}.stopped"
        return int(path.read_text()) if path.exists() else 0

    def _lives(self, run: dict[str, int]) -> bool:
        try:
            return Path(f"/proc/{run['pid']}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
        except OSError:
            return False

    def _watch(self, vm: str, run: dict[str, int]) -> None:
        def until_it_ends() -> None:
            try:
                end = os.pidfd_open(run["pid"])
            except OSError:
                pass
            else:
                select.select([end], [], [])
                os.close(end)
            if self._listener is not None:
                self._listener.on_vm(self._host, VmReport(vm, GuestState.CRASHED, run["epoch"]))

        threading.Thread(target=until_it_ends, daemon=True).start()
