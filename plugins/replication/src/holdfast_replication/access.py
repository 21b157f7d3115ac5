"""Which servers a command means, and the passwords for them, which never stand on a command line."""

import argparse
import getpass
import os
import sys
from pathlib import Path

from holdfast.config import load_config
from holdfast.errors import ConfigurationError, InvalidRequest
from holdfast.hooks.database import DatabaseServer
from holdfast.model import Secret
from holdfast.plugins import Plugins

ADMIN_PASSWORD = "HOLDFAST_DB_PASSWORD"  # noqa: S105 - the name of a variable
REPLICATION_PASSWORD = "HOLDFAST_REPLICATION_PASSWORD"  # noqa: S105 - the name of a variable


def add_access(parser: argparse.ArgumentParser, doc: str, required: bool = False) -> None:
    """The arguments that say which servers, and as whom."""
    parser.add_argument("--config", metavar="FILE", default=argparse.SUPPRESS, help="configuration file")
    parser.add_argument("--server", nargs="+", default=[], metavar="HOST:PORT", help=doc, required=required)
    parser.add_argument("--user", metavar="NAME", default="root", help="who logs in to them (default root)")
    parser.add_argument(
        "--password-file", metavar="FILE", help=f"the password for them; or set {ADMIN_PASSWORD}, or be asked"
    )
    parser.add_argument("--timeout", type=float, default=3.0, metavar="SECONDS", help="for one answer (default 3)")


def servers_of(arguments: argparse.Namespace) -> tuple[DatabaseServer, ...]:
    """The servers meant. Raises `ConfigurationError` if there are none, `InvalidRequest` for a malformed address."""
    if not 0.1 <= arguments.timeout <= 3600:
        raise InvalidRequest(f"--timeout is {arguments.timeout:g}; allowed are 0.1 to 3600 seconds")
    if not arguments.server:
        database = Plugins(load_config(getattr(arguments, "config", None))).driver("database")
        try:
            servers: tuple[DatabaseServer, ...] = tuple(database.servers())
        finally:
            database.close()
        if not servers:
            raise ConfigurationError(
                'the configured database names no servers; choose [database] driver = "mysql", or give --server'
            )
        return servers
    addresses = [address(text) for text in arguments.server]
    if len(set(addresses)) < len(addresses):
        raise InvalidRequest("--server names the same server more than once")
    password = _password(arguments.password_file, ADMIN_PASSWORD, f"Password of {arguments.user}: ")
    return tuple(DatabaseServer(host, port, arguments.user, password, "") for host, port in addresses)


def replication_password(arguments: argparse.Namespace) -> Secret:
    """The password that replicas log in with."""
    given = arguments.replication_password_file
    return _password(given, REPLICATION_PASSWORD, f"Password for {arguments.replication_user}: ")


def address(text: str) -> tuple[str, int]:
    """Host and port of "host", "host:port" or "[v6]:port"; the port is 3306 if none is given."""
    host, bracket, rest = text.removeprefix("[").partition("]") if text.startswith("[") else (text, "", "")
    if bracket:
        port = rest.removeprefix(":")
    else:
        host, _, port = text.partition(":")
    if not host or (port and not port.isdecimal()) or not 0 < int(port or 3306) < 65536:
        raise InvalidRequest(f"{text!r} is no HOST:PORT; write an IPv6 address in brackets")
    return host, int(port or 3306)


def _password(file: str | None, variable: str, prompt: str) -> Secret:
    if file:
        try:
            return Secret(Path(file).read_text(encoding="utf-8").rstrip("\r\n"))
        except (OSError, UnicodeDecodeError) as problem:
            raise ConfigurationError(f"the password file {file} cannot be read: {problem}") from problem
    if variable in os.environ:
        return Secret(os.environ[variable])
    if not sys.stdin.isatty():
        raise ConfigurationError(f"no password was given: set {variable}, or name a file that holds it")
    return Secret(getpass.getpass(prompt))
