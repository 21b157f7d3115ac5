"""Addresses of servers, as people write them."""

from holdfast.errors import ConfigurationError

USUAL_PORT = 8250
_HIGHEST_PORT = 65535


def read_address(text: str) -> tuple[str, int]:
    """`host`, `host:port`, `[v6]:port` or a bare IPv6 address; `ConfigurationError` if it is none of these."""
    text = text.strip()
    host, port = text, str(USUAL_PORT)
    if text.startswith("["):
        host, _, rest = text[1:].partition("]")
        port = rest.removeprefix(":") or port
    elif text.count(":") == 1:
        host, _, port = text.partition(":")
    if not host or any(character.isspace() or character == "/" for character in host):
        raise ConfigurationError(f"{text!r} is no address of a server; write HOST or HOST:PORT, without http://")
    if not port.isascii() or not port.isdigit() or not 0 < int(port) <= _HIGHEST_PORT:
        raise ConfigurationError(f"{text!r}: {port!r} is no port; one from 1 to {_HIGHEST_PORT} is meant")
    return host, int(port)
