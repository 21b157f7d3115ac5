"""`holdfast demo`: the scenario of the guide, from an empty machine to VMs restarted elsewhere, in half a minute."""

import argparse
import json
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from holdfast.errors import ConfigurationError, HoldfastError
from holdfast.hooks.markers import hookimpl
from holdfast.log_output import redact

from holdfast_cli import demo_report, demo_steps
from holdfast_cli.client import Client, Keys, keys_by_login
from holdfast_cli.credentials import as_cs_file, as_file, write_file
from holdfast_cli.demo_bmcs import Bmcs, SimulatedBmcs
from holdfast_cli.demo_cloud import VM_NAMES, DemoFailed, build
from holdfast_cli.demo_ipmi import IpmiBmcs
from holdfast_cli.demo_recovery import recovery_seconds, stages, verify, watch
from holdfast_cli.demo_redfish import RedfishBmcs
from holdfast_cli.demo_steps import Scene
from holdfast_cli.demo_teller import STEPS, Teller
from holdfast_cli.explain import explain_host, explain_vm
from holdfast_cli.progress import ProgressLine
from holdfast_cli.server_process import ServerProcess
from holdfast_cli.simulated_truth import FILE_NAME, cut_power, true_runs
from holdfast_cli.waiting import Waiting

ADMIN = "admin"
_FEWEST, _MOST = 2, 64
_LAST_PORT = 65_535


class DemoCommand:
    """Starts a server of its own with simulated hosts, shuts one down, and shows what becomes of its VMs."""

    summary = "watch HA at work: a server, simulated hosts, a power-off, and the VMs running elsewhere"

    @hookimpl
    def configure(self, parser: argparse.ArgumentParser) -> None:
        """Its arguments."""
        parser.add_argument("--serve", action="store_true", help="leave the API up afterwards, until Ctrl-C")
        parser.add_argument("--keep", metavar="DIR", help="keep data, configuration and log in this new directory")
        parser.add_argument("--json", action="store_true", help="print one JSON document; the steps go to stderr")
        parser.add_argument(
            "--power-loss", action="store_true", help="cut the simulated chassis instead of ordering OFF by the API"
        )
        parser.add_argument(
            "--oobm", choices=("simulator", "ipmi", "redfish"), default="simulator",
            help="what plays the BMCs: the simulated world itself, ipmi_sim, or sushy-emulator",
        )  # fmt: skip
        parser.add_argument("--host-count", type=int, default=3, metavar="N", help="simulated hosts (3)")
        parser.add_argument("--port", type=int, default=0, help="port of the API on 127.0.0.1 (any free one)")

    @hookimpl
    def run(self, arguments: argparse.Namespace) -> int:
        """0 if every VM runs exactly once elsewhere, else 1. Whatever happens, nothing is left behind."""
        if not _FEWEST <= arguments.host_count <= _MOST:
            raise ConfigurationError(f"--host-count is {arguments.host_count}; allowed is {_FEWEST} to {_MOST}")
        if not 0 <= arguments.port <= _LAST_PORT:
            raise ConfigurationError(f"--port is {arguments.port}; allowed is 1 to {_LAST_PORT}, or 0 for any free one")
        line = ProgressLine()
        with _ended_by_signals(), _directory(arguments.keep) as directory:
            bmcs = _bmcs(arguments.oobm, directory)
            server = ServerProcess(directory, arguments.port, more=bmcs.configuration())
            try:
                with server, bmcs:
                    _play(arguments, server, bmcs, Teller(line, arguments.json), line)
            except ConfigurationError:
                raise
            except HoldfastError as problem:
                return _failed(problem, server)
            finally:
                line.clear()
        return 0


def _bmcs(kind: str, directory: Path) -> Bmcs:
    """`ConfigurationError` if what they need is not installed."""
    if kind == "ipmi":
        return IpmiBmcs(directory / "bmcs")
    return RedfishBmcs(directory / "bmcs") if kind == "redfish" else SimulatedBmcs()


def _play(arguments: argparse.Namespace, server: ServerProcess, bmcs: Bmcs, teller: Teller, line: ProgressLine) -> None:
    def alive() -> None:
        if server.status is not None:
            raise DemoFailed(f"the server ended with status {server.status}")

    teller.stage("Start a server: SQLite, local coordinator, services manager and api, simulated hosts")
    server.start()
    teller.say(f"{server.endpoint}, process {server.pid}, data in {server.data_dir}")
    teller.stage("Log in as admin, and make keys: every further call is signed")
    keys = keys_by_login(server.endpoint, ADMIN, server.password)
    teller.say("login, registerUserKeys: done")
    teller.stage("Make a small cloud")
    client, waiting = Client(server.endpoint, keys), Waiting(line, alive)
    cloud = build(client, arguments.host_count, waiting, teller.say)
    teller.stage(f"Give each host its BMC: {bmcs.said}")
    places = bmcs.start(list(cloud.hosts), server.data_dir / FILE_NAME, cloud.bmc_password)
    scene = Scene(client, cloud, teller, waiting, places)
    demo_steps.prepare(scene)
    document = _power_off(scene, server, arguments.power_loss)
    if arguments.json:
        print(json.dumps({**document, "endpoint": server.endpoint}, indent=2), flush=True)
    if arguments.serve:
        _serve(server, keys, teller, waiting)
    teller.stage("End the server, and remove its data" if arguments.keep is None else "End the server")


def _power_off(scene: Scene, server: ServerProcess, power_loss: bool) -> dict[str, Any]:
    """Step 8, with all that is shown and verified of it."""
    client, cloud, teller = scene.client, scene.cloud, scene.teller
    teller.step(STEPS, demo_steps.TITLES[STEPS - 1])
    began = time.time()
    job = ""
    if power_loss:
        beginning = f"power lost on {cloud.victim}"
        cut_power(server.data_dir, cloud.victim)
        teller.say(f"{cloud.victim}: the chassis loses power; nobody told Holdfast")
    else:
        beginning = f"power off ordered on {cloud.victim}"
        job = client.call("issueOutOfBandManagementPowerAction", hostid=cloud.hosts[cloud.victim], action="OFF")[
            "jobid"
        ]
        teller.say(f"issueOutOfBandManagementPowerAction OFF {cloud.victim}: ordered")
    seen = watch(client, cloud, lambda: true_runs(server.data_dir), scene.waiting, began)
    if job:
        done = client.wait(job, scene.waiting.job("the power action"))["outofbandmanagement"]
        teller.say(f"{cloud.victim}: power {done['powerstate']}, read back")
    teller.took(STEPS, time.time() - began)
    true = true_runs(server.data_dir)
    verify(client, cloud, true)
    teller.say(f"{', '.join(VM_NAMES)}: running elsewhere after {recovery_seconds(seen):.2f} s")
    host, vms = explain_host(client, cloud.hosts[cloud.victim]), [explain_vm(client, vm) for vm in cloud.vms.values()]
    reached = stages(seen, host, vms)
    demo_report.tell(teller, cloud, seen, true, reached, beginning)
    demo_report.explain(teller, host, vms)
    return demo_report.document(teller, cloud, seen, true, reached, host, vms)


def _serve(server: ServerProcess, keys: Keys, teller: Teller, waiting: Waiting) -> None:
    own, theirs = server.directory / "api.toml", server.directory / "cloudstack.ini"
    write_file(own, as_file(server.endpoint, keys))
    write_file(theirs, as_cs_file(server.endpoint, keys))
    teller.stage("The API stays up; end it with Ctrl-C")
    teller.say(f"URL      {server.endpoint}")
    teller.say(f"api key  {keys.api_key}")
    teller.say(f"keys in  {own} and {theirs}, which only you can read")
    teller.say(f"try      HOLDFAST_API_FILE={own} holdfast explain {VM_NAMES[0]}")
    teller.say(f"         CLOUDSTACK_CONFIG={theirs} cs listHosts")
    try:
        waiting.until("Ctrl-C", float("inf"), lambda: None, 0.5)
    except KeyboardInterrupt:
        teller.block("")


def _failed(problem: HoldfastError, server: ServerProcess) -> int:
    text = f"holdfast: the demo failed: {problem}"
    print(redact(text), file=sys.stderr)
    words = server.last_words()
    if words not in str(problem):
        print(redact(f"The end of the server's log:\n{words}"), file=sys.stderr)
    return 1


@contextmanager
def _directory(keep: str | None) -> Iterator[Path]:
    """A directory of our own; a temporary one is removed whatever happens."""
    if keep is None:
        made = Path(tempfile.mkdtemp(prefix="holdfast-demo-"))
        try:
            yield made
        finally:
            shutil.rmtree(made, ignore_errors=True)
        return
    path = Path(keep).absolute()
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=False)
    except FileExistsError:
        raise ConfigurationError(f"--keep {path}: it exists already; name a new directory") from None
    except OSError as problem:
        raise ConfigurationError(f"--keep {path}: it cannot be made: {problem.strerror}") from None
    yield path


@contextmanager
def _ended_by_signals() -> Iterator[None]:
    """Let SIGTERM and SIGHUP end us as Ctrl-C does: in order, leaving nothing behind.

    SIGINT too: a shell starts background jobs with it ignored, and then nothing but SIGKILL would end us in time.
    """

    def end(_number: int, _frame: object) -> None:
        raise KeyboardInterrupt

    before = {number: signal.signal(number, end) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
