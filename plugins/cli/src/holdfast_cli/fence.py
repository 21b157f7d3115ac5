"""`holdfast fence`: whether hosts could be fenced now, and the drill that proves it of one."""

import argparse
import json

from holdfast.commands.tables import table
from holdfast.hooks.markers import hookimpl

from holdfast_cli.api import add_output_options, awaited, refused
from holdfast_cli.client import ALL, Answer, ApiError, ApiUnreachable, Client
from holdfast_cli.credentials import client_from
from holdfast_cli.explain import find

_WELL = "Ready"
_MARGIN_SECONDS = 600.0
_BOOT_SECONDS = 900


class FenceCommand:
    """`list` shows the fence paths and what is wrong with them; `drill` power-cycles an empty host in maintenance."""

    summary = "show whether hosts could be fenced now; drill the fencing of an empty host"

    @hookimpl
    def configure(self, parser: argparse.ArgumentParser) -> None:
        """Its arguments."""
        words = parser.add_subparsers(dest="fence_word", metavar="WORD", required=True)
        listing = words.add_parser(
            "list", help="every fence path with its readiness", description="every fence path with its readiness"
        )
        listing.add_argument("host", metavar="HOST", nargs="?", help="name or UUID of one host; all if not given")
        listing.add_argument("--not-ready", action="store_true", help="only those that are not known to be ready")
        add_output_options(listing)
        what = "power-cycle an empty host in maintenance, and tell the time of each stage"
        drill = words.add_parser("drill", help=what, description=what)
        drill.add_argument("host", metavar="HOST", help="name or UUID")
        drill.add_argument("--level", type=int, metavar="N", help="the fence level to try (each, one after the other)")
        drill.add_argument(
            "--timeout", type=int, default=_BOOT_SECONDS, metavar="S", help="seconds that the host has to boot in (900)"
        )
        add_output_options(drill)

    @hookimpl
    def run(self, arguments: argparse.Namespace) -> int:
        """0; 1 if the API refuses, the drill fails, or a listed path is not ready."""
        client = client_from(arguments.credentials)
        try:
            return _drill(client, arguments) if arguments.fence_word == "drill" else _list(client, arguments)
        except (ApiError, ApiUnreachable) as problem:
            return refused(problem)


def _list(client: Client, arguments: argparse.Namespace) -> int:
    hosts = [_host(client, arguments.host)] if arguments.host else client.items("listHosts", type="Routing", **ALL)
    rows = [row for host in sorted(hosts, key=lambda one: str(one["name"])) for row in _paths(host)]
    if arguments.not_ready:
        rows = [row for row in rows if row["readiness"] != _WELL]
    if arguments.json:
        print(json.dumps(rows, indent=2))
    elif rows:
        print(table(rows, ("host", "path", "device", "power", "readiness", "detail")), end="")
    else:
        print("no fence path is not ready" if arguments.not_ready else "there is no host")
    return int(any(row["readiness"] not in (_WELL, "Warning") for row in rows))


def _paths(host: Answer) -> list[Answer]:
    devices = host.get("fencedevices") or [host.get("outofbandmanagement") or {}]
    found = []
    for device in devices:
        driver, address = device.get("driver"), device.get("address", "")
        off = "" if device.get("enabled") else "disabled" if driver else "not configured"
        found.append(
            {
                "host": host["name"],
                "path": f"{device.get('level', 1)}.{device.get('index', 0)}",
                "device": f"{driver} {address}" if driver else "-",
                "power": device.get("powerstate", "Disabled"),
                "readiness": off or device.get("readiness", "not looked at yet"),
                "detail": device.get("readinessdetail", ""),
            }
        )
    return found


def _drill(client: Client, arguments: argparse.Namespace) -> int:
    host = _host(client, arguments.host)
    wanted = {} if arguments.level is None else {"level": arguments.level}
    job = client.call("runFenceDrill", hostid=host["id"], timeout=arguments.timeout, **wanted)["jobid"]
    what = f"fence drill of {host['name']}"
    told = awaited(client, str(job), what, arguments.timeout + _MARGIN_SECONDS)["fencedrill"]
    if arguments.json:
        print(json.dumps(told, indent=2))
        return 0
    rows, before, level = [], 0.0, 0
    for stage in told["stages"]:
        before = before if stage["level"] == level else 0.0
        level = stage["level"]
        rows.append(
            {
                "level": level,
                "stage": stage["stage"],
                "seconds": f"{stage['seconds']:.2f}",
                "took": f"{stage['seconds'] - before:+.2f}",
            }
        )
        before = stage["seconds"]
    print(table(rows, ("level", "stage", "seconds", "took")), end="")
    print(f"fence drill of {host['name']}: passed. It is in maintenance still: cancelHostMaintenance returns it")
    return 0


def _host(client: Client, subject: str) -> Answer:
    hosts = find(client, "listHosts", subject)
    if len(hosts) == 1:
        return hosts[0]
    named = ", ".join(str(host["id"]) for host in hosts)
    raise ApiError(431, f"{subject!r} names several hosts: {named}" if hosts else f"there is no host {subject!r}")
