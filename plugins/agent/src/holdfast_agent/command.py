"""`holdfast agent join`: what `holdfast agent` can do besides running."""

import argparse
import asyncio
import getpass
import socket
import sys
from pathlib import Path

from holdfast.config import load_config
from holdfast.errors import ConfigurationError
from holdfast.hooks.markers import hookimpl
from holdfast.model.secret import Secret
from holdfast.plugins import Plugins

from holdfast_agent.addresses import read_address
from holdfast_agent.identity import IdentityStore
from holdfast_agent.joining import join
from holdfast_agent.service import folder_of


class AgentCommand:
    """Extends core's `holdfast agent`, which calls it where a word follows."""

    summary = "run the agent of a KVM host, or let the host join a cloud"

    @hookimpl
    def configure(self, parser: argparse.ArgumentParser) -> None:
        """Add `join`."""
        words = parser.add_subparsers(dest="agent_word", metavar="join")
        joining = words.add_parser("join", help="let this host join a cloud", allow_abbrev=False)
        joining.add_argument(
            "--server", action="append", required=True, metavar="HOST[:PORT]",
            help="a management server or their balancer; may be given several times",
        )  # fmt: skip
        joining.add_argument(
            "--token-file", metavar="FILE", default="-",
            help="where the token stands; without it, or with -, it is asked for or read from standard input",
        )  # fmt: skip

    @hookimpl
    def run(self, arguments: argparse.Namespace) -> int:
        """Join. The token is never taken from the command line, where every user of the machine could read it."""
        config = load_config(arguments.config)
        store = IdentityStore(folder_of(Plugins(config).settings("service", "agent")))
        servers = tuple(arguments.server)
        for server in servers:
            read_address(server)
        token = _token(arguments.token_file)
        identity = asyncio.run(join(servers, token, socket.gethostname(), store))
        print(f"this machine is now host {identity.name} ({identity.host_uuid}); start `holdfast agent`")  # noqa: T201
        return 0


def _token(source: str) -> Secret:
    if source != "-":
        try:
            return Secret(Path(source).read_text(encoding="ascii").strip())
        except (OSError, UnicodeDecodeError) as problem:
            raise ConfigurationError(f"--token-file {source} cannot be read: {problem}") from problem
    if sys.stdin.isatty():
        return Secret(getpass.getpass("join token: "))
    return Secret(sys.stdin.readline().strip())
