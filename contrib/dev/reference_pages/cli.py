"""cli.md: the words after `holdfast`, from their argument parsers."""

import argparse
from collections.abc import Iterator

from holdfast.__main__ import OWN
from holdfast.discovery import discover
from holdfast.plugins import Plugins

from reference_pages.markdown import code, page, table


def write() -> str:
    """The page."""
    intro = (
        "`holdfast [--config FILE] [--debug] COMMAND …`. `--debug` shows tracebacks and debugging lines. "
        "The exit status is 0 for success, 2 for a fault of input or configuration (told in one line), and 1 for any "
        "other failure."
    )
    blocks: list[str] = []
    catalogue = discover()
    for word, (summary, configure, _run) in OWN.items():
        parser = argparse.ArgumentParser(prog=f"holdfast {word}", description=summary)
        configure(parser)
        if catalogue.claims("command", word):
            Plugins(catalogue=catalogue).driver("command", word).configure(parser)
        blocks += _parser(parser)
    for word in catalogue.names("command"):
        if word in OWN:
            continue
        command = Plugins(catalogue=catalogue).driver("command", word)
        parser = argparse.ArgumentParser(prog=f"holdfast {word}", description=command.summary)
        command.configure(parser)
        blocks += _parser(parser)
    return page("Command line", intro, *blocks)


def _parser(parser: argparse.ArgumentParser) -> Iterator[str]:
    yield f"## {parser.prog}"
    summary = (parser.description or "").strip().rstrip(".")
    yield f"{summary[:1].upper()}{summary[1:]}."
    inner: dict[str, argparse.ArgumentParser] = {}
    rows = []
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            inner = dict(action.choices)
            helps = {choice.dest: choice.help or "" for choice in action._choices_actions}
            rows += [(code(word), helps.get(word, "")) for word in inner]
        elif not isinstance(action, argparse._HelpAction):
            rows.append((code(_name(action)), (action.help or "") % _values(action)))
    if rows:
        yield table(("argument", "meaning"), rows)
    for one in inner.values():
        yield from (block.replace("## ", "### ", 1) if block.startswith("## ") else block for block in _parser(one))


def _name(action: argparse.Action) -> str:
    value = action.metavar if isinstance(action.metavar, str) else action.dest.upper()
    if not action.option_strings:
        return f"[{value}]" if action.nargs in ("?", "*") else f"{value}…" if action.nargs == "+" else value
    takes = "" if action.nargs == 0 else f" {value}"
    return f"{', '.join(action.option_strings)}{takes}"


def _values(action: argparse.Action) -> dict[str, object]:
    return {"default": action.default, "prog": "holdfast", "type": getattr(action.type, "__name__", "text")}
