"""Command: a word after `holdfast` on the command line."""

import argparse

from holdfast.hooks.markers import hookspec


class Command:
    """One subcommand. Group `holdfast.command`; the entry-point name is the word. Constructed without settings."""

    summary = ""
    """One line for `holdfast --help`."""

    @hookspec
    def configure(self, parser: argparse.ArgumentParser) -> None:
        """Add the subcommand's own arguments."""
        raise NotImplementedError

    @hookspec
    def run(self, arguments: argparse.Namespace) -> int:
        """Do it; return the exit status. A `HoldfastError` is shown as one line and ends with status 2."""
        raise NotImplementedError
