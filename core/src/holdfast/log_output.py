"""Log lines for people and journals, with a second line of defence against secrets.

The first line is `holdfast.model.Secret`: code never formats a secret. This one masks what still looks like one, in
messages and in tracebacks, because third-party libraries write log lines too.
"""

import logging
import re
import sys
import time
from typing import TextIO

MASK = "****"

_PLAIN = (
    r"[\w.-]{0,40}(?:passwords?|passwd|passphrase|secret[_-]?(?:access[_-]?)?keys?|api[_-]?keys?|session[_-]?key|"
    r"access[_-]?key|auth[_-]?token|j_?session_?id)"
)
# These also stand before a colon in plain prose ("wrong signature: it is ..."): masked only where a value is meant.
_AMBIGUOUS = r"[\w.-]{0,40}(?:secret|signature|token)"
_VALUE = r"""b?"(?:[^"\\]|\\.)*"|b?'(?:[^'\\]|\\.)*'"""
_PAIR = re.compile(
    rf"""(?P<name>\b(?:{_PLAIN}["']?\s*(?:=|:|%3d)|{_AMBIGUOUS}(?:["']?\s*=|["']\s*:|["']?\s*%3d|:(?=\s*["'])))\s*)"""
    rf"""(?P<value>{_VALUE}|[^\s&,;)\]}}"']+)""",
    re.IGNORECASE,
)
_HEADER = re.compile(
    r"(?P<name>\bauthorization[\"']?\s*[=:]\s*[\"']?(?:basic|bearer|digest)\s+)[^\s\"',]+", re.IGNORECASE
)
_USERINFO = re.compile(r"(?P<name>\b[a-z][a-z0-9+.-]*://[^\s/:@]*:)[^\s/@]+(?=@)", re.IGNORECASE)
_IPMITOOL = re.compile(r"(?P<name>(?<=\s)-P\s+)\S+")


def redact(text: str) -> str:
    """`text` with the values of parameters that look like passwords, keys or signatures masked."""
    text = _HEADER.sub(rf"\g<name>{MASK}", text)
    text = _USERINFO.sub(rf"\g<name>{MASK}", text)
    text = _IPMITOOL.sub(rf"\g<name>{MASK}", text)
    return _PAIR.sub(_mask, text)


def _mask(match: re.Match[str]) -> str:
    value = match["value"]
    # A Secret's own repr is already safe and says more than a mask does.
    return match[0] if value.startswith("Secret(") else f"{match['name']}{MASK}"


class PlainFormatter(logging.Formatter):
    """Time in UTC, level, logger, message. The whole text is redacted, tracebacks included."""

    converter = staticmethod(time.gmtime)
    default_time_format = "%Y-%m-%dT%H:%M:%S"
    default_msec_format = "%s.%03dZ"

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)-7s %(name)s: %(message)s")

    def format(self, record: logging.LogRecord) -> str:
        return redact(super().format(record))


def start_logging(level: str = "info", stream: TextIO | None = None) -> None:
    """Send all log records at `level` and above to `stream` (standard error), replacing earlier handlers."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(PlainFormatter())
    root = logging.getLogger()
    for old in root.handlers[:]:
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(level.upper())
    logging.captureWarnings(True)
