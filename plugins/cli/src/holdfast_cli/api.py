"""`holdfast api COMMAND k=v …`: any command of the API, signed."""

import argparse
import getpass
import json
import sys
from math import inf
from pathlib import Path

from holdfast.errors import ConfigurationError
from holdfast.hooks.markers import hookimpl
from holdfast.log_output import redact

from holdfast_cli.answers import shown
from holdfast_cli.client import Answer, ApiError, ApiUnreachable, Client
from holdfast_cli.credentials import client_from
from holdfast_cli.progress import ProgressLine

_EPILOG = """\
The API's address and keys come from HOLDFAST_API_URL, HOLDFAST_API_KEY and HOLDFAST_SECRET_KEY, or from
~/.config/holdfast/api.toml (url, api_key, secret_key; mode 0600), never from the command line. A value that others must
not see on it, such as a BMC's password: name=@FILE takes it from a file, name=@- asks for it. name=@@x is the text @x.

  holdfast api listHosts state=Up
  holdfast api deployVirtualMachine zoneid=… templateid=… serviceofferingid=…
  holdfast api configureOutOfBandManagement hostid=… driver=ipmi address=10.0.0.9 port=623 username=admin password=@-
"""


class ApiCommand:
    """Calls one command and shows its answer. An answer that is a job is awaited."""

    summary = "call a command of the API, signed"

    @hookimpl
    def configure(self, parser: argparse.ArgumentParser) -> None:
        """Its arguments."""
        parser.formatter_class = argparse.RawDescriptionHelpFormatter
        parser.epilog = _EPILOG
        parser.add_argument("api_command", metavar="COMMAND", help="such as listHosts; listApis names them all")
        parser.add_argument("parameters", metavar="NAME=VALUE", nargs="*", help="its parameters")
        add_output_options(parser)
        parser.add_argument("--no-wait", action="store_true", help="show the job's id instead of waiting for its end")
        parser.add_argument(
            "--timeout", type=float, default=600.0, metavar="S", help="wait for a job at most this many seconds (600)"
        )

    @hookimpl
    def run(self, arguments: argparse.Namespace) -> int:
        """0, or 1 if the API refused the call or the job failed."""
        if not 0 <= arguments.timeout < inf:
            raise ConfigurationError(f"--timeout is {arguments.timeout:g}; 0 or more seconds are allowed")
        parameters = dict(_parameter(word) for word in arguments.parameters)
        client = client_from(arguments.credentials)
        try:
            answer = _call(client, arguments, parameters)
        except (ApiError, ApiUnreachable) as problem:
            return refused(problem)
        sys.stdout.write(json.dumps(answer, indent=2) + "\n" if arguments.json else shown(answer))
        return 0


def add_output_options(parser: argparse.ArgumentParser) -> None:
    """What all commands that speak with the API take."""
    parser.add_argument("--json", action="store_true", help="print the answer as JSON")
    parser.add_argument("--credentials", metavar="FILE", help="api.toml with url, api_key and secret_key")


def refused(problem: ApiError | ApiUnreachable) -> int:
    """Tell in one line why the API did not do it."""
    code = f" (error {problem.code})" if isinstance(problem, ApiError) else ""
    print(redact(f"holdfast: {' '.join(str(problem).split())}{code}"), file=sys.stderr)
    return 1


def _call(client: Client, arguments: argparse.Namespace, parameters: dict[str, str]) -> Answer:
    answer = client.send(arguments.api_command, parameters)
    # Queries about jobs show a job's id, too: they are answers, and nothing is to be awaited.
    if "jobid" not in answer or "jobstatus" in answer or arguments.no_wait:
        return answer
    return awaited(client, str(answer["jobid"]), arguments.api_command, arguments.timeout)


def awaited(client: Client, job: str, what: str, limit: float) -> Answer:
    """Wait for a job, showing that on a terminal. Whoever breaks that off is told that the job goes on."""
    line = ProgressLine()
    line.begin()
    try:
        return client.wait(job, lambda _waited: line.show(what), limit=limit)
    except KeyboardInterrupt:
        line.clear()
        print(f"holdfast: job {job} goes on; queryAsyncJobResult shows what comes of it", file=sys.stderr)
        raise
    finally:
        line.clear()


def _parameter(word: str) -> tuple[str, str]:
    name, equals, value = word.partition("=")
    if not equals or not name:
        raise ConfigurationError(f"{word!r} is no parameter; write NAME=VALUE, such as state=Up")
    if value.startswith("@@"):
        return name, value[1:]
    return (name, _from_elsewhere(name, value[1:])) if value.startswith("@") else (name, value)


def _from_elsewhere(name: str, where: str) -> str:
    if where == "-":
        return getpass.getpass(f"{name}: ") if sys.stdin.isatty() else sys.stdin.readline().rstrip("\r\n")
    try:
        return Path(where).read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as problem:
        raise ConfigurationError(f"{name}=@{where}: the file cannot be read: {problem}") from None
