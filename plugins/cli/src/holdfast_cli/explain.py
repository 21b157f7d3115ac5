"""`holdfast explain HOST|VM`: its state, why, what it waits for, on what evidence, and how it came about."""

import argparse
import json
import sys
from typing import Any
from uuid import UUID

from holdfast.errors import ConfigurationError
from holdfast.hooks.markers import hookimpl

from holdfast_cli.api import add_output_options, refused
from holdfast_cli.client import Answer, ApiError, ApiUnreachable, Client
from holdfast_cli.credentials import client_from
from holdfast_cli.explanation import host_story, vm_story


class ExplainCommand:
    """Finds a host or a VM by name or UUID, and explains it."""

    summary = "explain the state of a host or a VM: why, what it waits for, on what evidence"

    @hookimpl
    def configure(self, parser: argparse.ArgumentParser) -> None:
        """Its arguments."""
        parser.add_argument("subject", metavar="HOST|VM", help="name or UUID")
        only = parser.add_mutually_exclusive_group()
        only.add_argument("--host", action="store_true", help="a host is meant")
        only.add_argument("--vm", action="store_true", help="a VM is meant")
        add_output_options(parser)

    @hookimpl
    def run(self, arguments: argparse.Namespace) -> int:
        """0, or 1 if there is no such host or VM, or several."""
        if not arguments.subject.strip():
            raise ConfigurationError("no host or VM is named; give a name or UUID")
        client = client_from(arguments.credentials)
        try:
            hosts = [] if arguments.vm else find(client, "listHosts", arguments.subject)
            vms = [] if arguments.host else find(client, "listVirtualMachines", arguments.subject)
            if len(hosts) + len(vms) != 1:
                return _undecided(arguments.subject, hosts, vms)
            sys.stdout.write(_explained(client, hosts, vms, arguments.json))
        except (ApiError, ApiUnreachable) as problem:
            return refused(problem)
        return 0


def explain_host(client: Client, uuid: str) -> Answer:
    """What the API explains of a host."""
    return dict(client.call("explainHostHA", id=uuid)["hosthaexplanation"])


def explain_vm(client: Client, uuid: str) -> Answer:
    """What the API explains of a VM."""
    return dict(client.call("explainVirtualMachineHA", id=uuid)["virtualmachinehaexplanation"])


def _explained(client: Client, hosts: list[Answer], vms: list[Answer], as_json: bool) -> str:
    told = explain_host(client, hosts[0]["id"]) if hosts else explain_vm(client, vms[0]["id"])
    if as_json:
        return json.dumps(told, indent=2) + "\n"
    return host_story(told) if hosts else vm_story(told)


def find(client: Client, command: str, subject: str) -> list[Answer]:
    """What a list command shows under a name or a UUID."""
    if not _is_uuid(subject):
        return client.items(command, name=subject)
    try:
        return client.items(command, id=subject)
    except ApiError as problem:
        if problem.code == 431:  # a UUID that names nothing of this kind
            return []
        raise


def _is_uuid(text: str) -> bool:
    try:
        return str(UUID(text)) == text.lower()
    except ValueError:
        return False


def _undecided(subject: str, hosts: list[Answer], vms: list[Answer]) -> int:
    found: list[tuple[str, Any]] = [("host", one["id"]) for one in hosts] + [("VM", one["id"]) for one in vms]
    if found:
        names = ", ".join(f"{kind} {uuid}" for kind, uuid in found)
        text = f"{subject!r} names several: {names}; give the UUID, or --host or --vm"
    else:
        shown = "`holdfast api listHosts` and `listVirtualMachines` show those there are"
        text = f"there is no host or VM {subject!r}; {shown}"
    print(f"holdfast: {text}", file=sys.stderr)
    return 1
