"""`holdfast db status|setup-replication|purge`: the database servers seen, set up and tended from a shell."""

import argparse
import json
import math
import sys
import time
from pathlib import Path

from holdfast.config import load_config
from holdfast.errors import InvalidRequest
from holdfast.hooks.markers import hookimpl

from holdfast_replication.access import add_access, replication_password, servers_of
from holdfast_replication.binary_logs import Memory
from holdfast_replication.findings import Limits, judge
from holdfast_replication.nodes import nodes_of
from holdfast_replication.purging import decisions, purge
from holdfast_replication.reading import read_all
from holdfast_replication.setting_up import carry_out, planned, verify
from holdfast_replication.setup_plan import Plan, Wish
from holdfast_replication.state import Silent
from holdfast_replication.status_tree import status_text


class DatabaseCommand:
    """Each action reads `servers()` of the configured database, or the servers named on the command line."""

    summary = "show, set up and tend the replication of the database servers"

    @hookimpl
    def configure(self, parser: argparse.ArgumentParser) -> None:
        """Its actions."""
        actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
        status = actions.add_parser("status", help="the topology as a tree, and what is wrong with it")
        add_access(status, "servers to read, instead of those that the configuration names")
        status.add_argument("--json", action="store_true", help="print JSON")
        setting = actions.add_parser(
            "setup-replication", help="make servers replicate: two ways between the first two, onward to each next one"
        )
        add_access(setting, "the servers in order; the first holds the data", required=True)
        setting.add_argument("--one-way", action="store_true", help="a chain alone: the first takes from nobody")
        setting.add_argument("--semi-sync", action="store_true", help="commits wait until a replica has them")
        setting.add_argument(
            "--replication-user", default="holdfast_repl", metavar="NAME", help="replicas log in with it"
        )
        setting.add_argument(
            "--replication-password-file", metavar="FILE",
            help="its password; or set HOLDFAST_REPLICATION_PASSWORD, or be asked",
        )  # fmt: skip
        setting.add_argument("--dry-run", action="store_true", help="show the statements and do nothing")
        purging = actions.add_parser("purge", help="remove binary logs that no replica needs")
        add_access(purging, "servers to tend, instead of those that the configuration names")
        purging.add_argument("--keep-hours", type=float, default=24.0, help="younger ones stay (default 24)")
        purging.add_argument(
            "--lost-hours", type=float, default=72.0, help="keep what a replica lost so long ago needs (default 72)"
        )
        purging.add_argument(
            "--forget", action="append", default=[], metavar="HOST:PORT", help="a replica that is gone"
        )
        purging.add_argument("--dry-run", action="store_true", help="show what would go")

    @hookimpl
    def run(self, arguments: argparse.Namespace) -> int:
        """0 if all is well or done; 1 if the replication is not well, or a server did not answer. Faults of use: 2."""
        action = {"status": _status, "setup-replication": _setup, "purge": _purge}[arguments.action]
        return action(arguments)


def _status(arguments: argparse.Namespace) -> int:
    snapshot = read_all(servers_of(arguments), arguments.timeout)
    findings = judge(snapshot, Limits())
    if arguments.json:
        sys.stdout.write(json.dumps({"databasenode": nodes_of(snapshot, findings)}, indent=2) + "\n")
    else:
        sys.stdout.write(status_text(snapshot, findings))
    return 1 if findings else 0


def _setup(arguments: argparse.Namespace) -> int:
    servers = servers_of(arguments)
    wish = Wish(arguments.replication_user, arguments.one_way, arguments.semi_sync)
    found = planned(servers, wish, arguments.timeout)
    if arguments.dry_run:
        _show(found)
        return 0
    if found.steps:
        carry_out(servers, found, replication_password(arguments), arguments.timeout, _tell)
    wrong = verify(servers, arguments.timeout)
    for sentence in wrong:
        sys.stderr.write(f"holdfast: {sentence}\n")
    if not wrong:
        sys.stdout.write(status_text(read_all(servers, arguments.timeout), ()))
        _show_kept(found)
    return 1 if wrong else 0


def _tell(text: str) -> None:
    sys.stdout.write(text.replace("{password}", "'****'") + "\n")
    sys.stdout.flush()


def _show(found: Plan) -> None:
    if not found.steps:
        sys.stdout.write("all is in place; there is nothing to do\n")
    for step in found.steps:
        _tell(f"{step.server}: {step.statement}   -- {step.why}")
    _show_kept(found)


def _show_kept(found: Plan) -> None:
    sys.stdout.write("\nPut these under [mysqld] of each server's configuration file, so that a restart keeps them:\n")
    for server, lines in found.kept.items():
        sys.stdout.write(f"\n# {server}\n" + "".join(f"{line}\n" for line in lines))


def _purge(arguments: argparse.Namespace) -> int:
    for name, hours in (("keep", arguments.keep_hours), ("lost", arguments.lost_hours)):
        if not 0 <= hours < math.inf:
            raise InvalidRequest(f"--{name}-hours is {hours:g}; 0 or more hours are allowed")
    servers = servers_of(arguments)
    memory = Memory(_memory_file(arguments))
    for replica in arguments.forget:
        if not memory.forget(replica):
            sys.stderr.write(f"holdfast: nothing was known of {replica}\n")
    snapshot = read_all(servers, arguments.timeout)
    kept = [one for one in snapshot.readings if one.address not in arguments.forget]
    snapshot = type(snapshot)(tuple(kept), snapshot.confirmed)
    memory.note(snapshot, time.time())
    keep, lost = arguments.keep_hours * 3600, arguments.lost_hours * 3600
    for decision in decisions(snapshot, memory, keep, lost):
        if decision.before:
            mib = decision.bytes / (1 << 20)
            text = f"{decision.server}: may purge {decision.reason}, before {decision.before} ({mib:.1f} MiB)"
        else:
            text = f"{decision.server}: keeps all: {decision.reason}"
        sys.stdout.write(text + "\n")
    if not arguments.dry_run:
        for done in purge(servers, snapshot, memory, keep, lost, arguments.timeout):
            sys.stdout.write(done + "\n")
    silent = [one for one in snapshot.readings if isinstance(one, Silent)]
    for one in silent:
        sys.stderr.write(f"holdfast: {one.address} was not looked at, so its logs all stay: {one.reason}\n")
    return 1 if silent else 0


def _memory_file(arguments: argparse.Namespace) -> Path | None:
    """Where the service keeps what it saw; with servers named by hand only what is seen now counts."""
    if arguments.server:
        return None
    return load_config(getattr(arguments, "config", None)).server.data_dir / "binary-logs.json"
