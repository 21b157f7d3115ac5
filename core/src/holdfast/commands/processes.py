"""`holdfast server` and `holdfast agent`: processes that run until they are told to stop."""

import argparse

from holdfast.config import load_config
from holdfast.discovery import discover
from holdfast.errors import ConfigurationError
from holdfast.log_output import start_logging
from holdfast.plugins import Plugins
from holdfast.server import assembled, run, standalone

AGENT = "agent"


def configure(parser: argparse.ArgumentParser) -> None:
    """Add what both take."""
    parser.add_argument("--config", metavar="FILE", default=argparse.SUPPRESS, help="configuration file")


def run_server(arguments: argparse.Namespace) -> int:
    """A management server with the services that the configuration lists."""
    config = load_config(arguments.config)
    start_logging("debug" if arguments.debug else config.server.log_level)
    with assembled(config) as parts:
        return run(parts, config.server.services)


def run_agent(arguments: argparse.Namespace) -> int:
    """The agent of a KVM host: one service, no store, no coordinator."""
    catalogue = discover()
    config = load_config(arguments.config, catalogue=catalogue)
    if not catalogue.claims("service", AGENT):
        raise ConfigurationError(
            "no installed distribution offers the service agent; install holdfast-agent into this environment "
            "(pip install holdfast-agent), then run `holdfast agent` again"
        )
    start_logging("debug" if arguments.debug else config.server.log_level)
    with standalone(config, Plugins(config, catalogue)) as parts:
        return run(parts, (AGENT,))
