"""`holdfast`, also `python -m holdfast`: core's own commands, and those of installed plugins by name.

A plugin's command is imported only when it is called; help shows the others from metadata alone.
"""

import argparse
import errno
import os
import sys
import traceback
from collections.abc import Callable, Sequence
from importlib.metadata import version
from typing import Any

from holdfast.commands import config as config_commands
from holdfast.commands import plugins as plugin_commands
from holdfast.commands import processes
from holdfast.discovery import Catalogue, discover
from holdfast.errors import HoldfastError
from holdfast.log_output import redact, start_logging
from holdfast.plugins import Plugins

_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)
"""What a write says that nobody can take in."""

Configure = Callable[[argparse.ArgumentParser], None]
Run = Callable[[argparse.Namespace], int]

OWN: dict[str, tuple[str, Configure, Run]] = {
    "plugins": ("show and verify installed plugins", plugin_commands.configure, plugin_commands.run),
    "config": ("verify the configuration", config_commands.configure, config_commands.run),
    "server": ("run a management server", processes.configure, processes.run_server),
    "agent": ("run the agent of a KVM host", processes.configure, processes.run_agent),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status.

    2 stands for a fault of input or configuration, told in one line; 1 for a failure that nobody foresaw.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    debug = False
    _open_streams()
    try:
        first, _rest = _global_options(add_help=False).parse_known_args(words)
        debug = first.debug
        start_logging("debug" if debug else "warning")
        parser, run = _parser(first.word)
        arguments = parser.parse_args(words)
        status = run(arguments)
        sys.stdout.flush()  # what cannot be written is to be told here, not by the interpreter as it ends
        return status
    except HoldfastError as error:
        _tell(f"holdfast: {' '.join(str(error).split())}", debug)
        return 2
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # Whoever read our output went away; keep the interpreter from complaining about it at exit.
        _give_up_output()
        return 141
    except Exception as problem:
        if isinstance(problem, OSError) and problem.errno in _NO_ROOM and problem.filename is None:
            _give_up_output()
            _tell(f"holdfast: the output could not be written: {problem.strerror}", debug)
        else:
            # A bug, or a library's error that nobody translated: all of it is needed, but no secret that it may carry.
            _tell("", traced=True)
        return 1


def _open_streams() -> None:
    """A program may be started with its streams closed; what is said then goes nowhere."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115 - until the process ends


def _give_up_output() -> None:
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _tell(text: str, traced: bool) -> None:
    """One line, or the traceback of what is being handled; no secret is in either."""
    print(redact(traceback.format_exc() if traced else text), file=sys.stderr)


def _global_options(add_help: bool) -> argparse.ArgumentParser:
    """Options that stand before the command; without help, only to find the command's word."""
    parser = argparse.ArgumentParser(
        prog="holdfast", description="High availability for KVM clouds.", add_help=add_help, allow_abbrev=False
    )
    parser.add_argument("--config", metavar="FILE", default=None, help="configuration file")
    parser.add_argument("--debug", action="store_true", help="show tracebacks and debugging lines")
    if not add_help:
        parser.add_argument("word", nargs="?")
        parser.add_argument("rest", nargs=argparse.REMAINDER)
    return parser


def _parser(word: str | None) -> tuple[argparse.ArgumentParser, Run]:
    """The full parser, and what runs `word`. Only that command's plugin is imported."""
    catalogue = discover()
    parser = _global_options(add_help=True)
    parser.add_argument("--version", action="version", version=f"holdfast {version('holdfast')}")
    words = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    run: Run = _nothing
    for name, (summary, configure, own) in OWN.items():
        subparser = words.add_parser(name, help=summary, description=summary, allow_abbrev=False)
        configure(subparser)
        run = own if name == word else run
        if name == word and catalogue.claims("command", name):
            run = _extended(subparser, own, Plugins(catalogue=catalogue).driver("command", name))
    for name in catalogue.names("command"):
        if name in OWN:
            continue
        subparser = words.add_parser(name, help=_origin(catalogue, name), allow_abbrev=False)
        if name == word:
            command = Plugins(catalogue=catalogue).driver("command", name)
            subparser.description = command.summary or None
            command.configure(subparser)
            run = command.run
    return parser, run


def _extended(parser: argparse.ArgumentParser, own: Run, command: Any) -> Run:
    """Core's own command, with words that a plugin of that name adds: the plugin runs where one of them is given."""
    before = {action.dest for action in parser._actions}
    command.configure(parser)
    added = {action.dest for action in parser._actions} - before

    def run(arguments: argparse.Namespace) -> int:
        meant = any(getattr(arguments, name, None) is not None for name in added)
        status: int = command.run(arguments) if meant else own(arguments)
        return status

    return run


def _origin(catalogue: Catalogue, name: str) -> str:
    entries = catalogue.claims("command", name)
    return "from " + " and ".join(f"{entry.distribution} {entry.version}" for entry in entries)


def _nothing(_arguments: argparse.Namespace) -> int:
    raise AssertionError("argparse refuses an unknown or absent word before this is reached")


if __name__ == "__main__":
    sys.exit(main())
