"""Host lists and JDBC URLs, as operators write them."""

import re
from dataclasses import dataclass, field
from typing import Final

from holdfast_mysqlfailover.plan import Host

_URL = re.compile(
    r"jdbc:(?:mysql|mariadb):(?P<mode>[a-z:+]*)//(?P<hosts>[^/?]*)(?:/(?P<name>[^?]*))?(?:\?(?P<rest>.*))?"
)
_NAME = re.compile(r"[A-Za-z0-9._-]+|[0-9A-Fa-f:.%]+")
LARGEST_PORT: Final = 65535


class BadAddress(ValueError):
    """Cannot be understood; the text says what, for people."""


@dataclass(frozen=True, slots=True)
class Url:
    """A JDBC URL taken apart. The order of `hosts` is the order of preference."""

    hosts: tuple[Host, ...]
    database: str
    parameters: dict[str, str] = field(default_factory=dict)


def hosts_of(texts: list[str], port: int) -> tuple[Host, ...]:
    """Hosts in order, each with its own port or the common one. `BadAddress` if one is malformed or stands twice."""
    found: list[Host] = []
    for text in texts:
        host = _host(text.strip(), port, len(found))
        if any((host.name.lower(), host.port) == (other.name.lower(), other.port) for other in found):
            raise BadAddress(f"names {host} twice; each host stands once, the preferred one first")
        found.append(host)
    return tuple(found)


def url_of(text: str, port: int) -> Url:
    """A JDBC URL's parts."""
    match = _URL.fullmatch(text)
    if match is None:
        raise BadAddress("is no JDBC URL such as jdbc:mysql://db1:3306,db2:3306/cloud?useSSL=true")
    if match["mode"]:
        raise BadAddress(
            f"asks for {match['mode'].strip(':')}; only the failover of jdbc:mysql://host1,host2/ is supported"
        )
    if "@" in match["hosts"]:
        # Not shown: what stands before it is a password.
        raise BadAddress("holds a user and a password before an @; write them to the keys username and password")
    hosts = hosts_of(match["hosts"].split(","), port)
    return Url(hosts, match["name"] or "", parameters_of(match["rest"] or ""))


def parameters_of(text: str) -> dict[str, str]:
    """The parameters after a URL's question mark, by lower-case name."""
    found = {}
    for part in text.split("&"):
        name, _, value = part.partition("=")
        if name.strip():
            found[name.strip().lower()] = value.strip()
    return found


def _host(text: str, port: int, number: int) -> Host:
    if not text:
        raise BadAddress("has an empty place in its list of hosts")
    if text.startswith("["):
        name, bracket, rest = text[1:].partition("]")
        if not bracket or (rest and not rest.startswith(":")):
            raise BadAddress(f"has {text!r}; an IPv6 address with a port is written [::1]:3306")
        own = rest[1:]
    elif text.count(":") > 1:
        name, own = text, ""
    else:
        name, _, own = text.partition(":")
    if not _NAME.fullmatch(name):
        raise BadAddress(f"has {name!r}, which is no name or address of a host")
    if own and (not own.isascii() or not own.isdigit() or not 1 <= int(own) <= LARGEST_PORT):
        raise BadAddress(f"has {text!r}; a port is a number from 1 to {LARGEST_PORT}")
    return Host(number, name, int(own) if own else port)
