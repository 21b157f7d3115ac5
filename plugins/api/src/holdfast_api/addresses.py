"""Addresses, netmasks and URLs that callers send."""

import re
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from urllib.parse import unquote, urlsplit

from holdfast.errors import InvalidRequest

_LONGEST_NAME = 255
_HOST = re.compile(r"[\w.:-]+")
_UNFIT = re.compile(r"[\s\x00-\x1f\x7f-\x9f\ufffd]")


def check_address(name: str, text: str) -> str:
    """An IPv4 or IPv6 address, in its usual spelling."""
    try:
        return str(ip_address(text.strip()))
    except ValueError:
        raise InvalidRequest(f"parameter {name}: {text!r} is no IP address") from None


def check_cidr(name: str, text: str) -> str:
    """A network such as 10.1.1.0/24."""
    try:
        return str(ip_network(text.strip(), strict=False))
    except ValueError:
        raise InvalidRequest(f"parameter {name}: {text!r} is no network; write 10.1.1.0/24") from None


def check_netmask(name: str, text: str) -> str:
    """A netmask such as 255.255.255.0."""
    try:
        return str(ip_network(f"0.0.0.0/{text.strip()}").netmask)
    except ValueError:
        raise InvalidRequest(f"parameter {name}: {text!r} is no netmask; write 255.255.255.0") from None


@dataclass(frozen=True, slots=True)
class Url:
    """The parts of a URL. `host` and `path` are as they were sent, letter case included."""

    scheme: str
    host: str
    port: int
    path: str


def read_url(name: str, text: str, schemes: tuple[str, ...]) -> Url:
    """Take a URL apart; `InvalidRequest` if it has no host, or none of `schemes`."""
    examples = ", ".join(f"{scheme}://" for scheme in schemes)
    shown = text if len(text) <= 100 else text[:100] + "…"
    try:
        parts = urlsplit(text.strip())
        port = parts.port or 0
    except ValueError as problem:
        raise InvalidRequest(f"parameter {name}: {shown!r} is no URL: {problem}") from None
    scheme = parts.scheme.lower()
    if scheme not in schemes:
        raise InvalidRequest(f"parameter {name}: {shown!r} has to begin with one of {examples}")
    if parts.username is not None or parts.password is not None:
        raise InvalidRequest(f"parameter {name}: user and password do not belong in the URL; they have parameters")
    if parts.query or parts.fragment:
        raise InvalidRequest(f"parameter {name}: {shown!r} may have neither ? nor #")
    host = parts.netloc.rpartition("@")[2]
    host = host.rpartition(":")[0] if parts.port is not None else host.rstrip(":")
    host = host.strip("[]")
    if not _HOST.fullmatch(host) or len(host) > _LONGEST_NAME:
        raise InvalidRequest(f"parameter {name}: {shown!r} names no host")
    path = unquote(parts.path)
    if _UNFIT.search(path):
        raise InvalidRequest(f"parameter {name}: {shown!r} has blanks or control characters in it")
    return Url(scheme, host, port, path)
