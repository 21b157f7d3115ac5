"""Joining a cloud: from a token to a certificate.

The host believes a server only if its authority has the fingerprint that stands in the token; the token's secret is
sent only over a connection that this authority vouches for.
"""

import asyncio
import hashlib
import ssl
from dataclasses import dataclass
from typing import TypeVar

from holdfast.errors import Refused, Unreachable
from holdfast.model.secret import Secret
from holdfast.protocol import SERVER_NAME
from holdfast.protocol import frames as f
from holdfast.protocol import messages as m
from holdfast.protocol.tokens import JoinToken

from holdfast_agent.addresses import read_address
from holdfast_agent.certificates import new_request
from holdfast_agent.identity import Identity, IdentityStore
from holdfast_agent.line import words_of

T = TypeVar("T")

_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class _Asked:
    """One message to a server, over TLS that `context` demands."""

    server: str
    context: ssl.SSLContext
    message: m.Message


async def join(servers: tuple[str, ...], token: Secret, machine: str, store: IdentityStore) -> Identity:
    """Use the token up, and keep what it gives. Nothing is kept if this raises.

    `ConfigurationError` if the token is garbage, `Refused` if a server says no, `Unreachable` if none answers.
    """
    found = JoinToken.read(token)
    request, key = new_request(machine)
    troubles = []
    for server in servers:
        try:
            authority = await _authority(server, found)
            asked = _Asked(server, _context(authority), m.Join(found.secret, machine, request))
            joined = await _ask(asked, m.Joined)
        except Unreachable as problem:
            troubles.append(f"{server}: {problem}")
            continue
        identity = Identity(joined.host_uuid, joined.name, servers)
        store.save(identity, joined.certificate, key, joined.authority)
        return identity
    raise Unreachable("no server could be asked; " + "; ".join(troubles))


async def _authority(server: str, token: JoinToken) -> str:
    """The server's authority, once its fingerprint was compared. Until then nothing that it says is believed."""
    unsure = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    unsure.minimum_version = ssl.TLSVersion.TLSv1_3
    unsure.check_hostname = False
    unsure.verify_mode = ssl.CERT_NONE
    found = await _ask(_Asked(server, unsure, m.AskAuthority()), m.Authority)
    try:
        fingerprint = hashlib.sha256(ssl.PEM_cert_to_DER_cert(found.certificate)).hexdigest()
    except ValueError:
        raise Refused(f"server {server} did not give a certificate; is that the agents' port of Holdfast?") from None
    if fingerprint != token.fingerprint:
        raise Refused(
            f"server {server} is not one of the cloud that this token is for: the fingerprints of their authorities "
            "differ. The token was not sent. Look at the address, and where the token comes from"
        )
    return found.certificate


def _context(authority: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.load_verify_locations(cadata=authority)
    return context


async def _ask(asked: _Asked, wanted: type[T]) -> T:
    """Say one thing, hear one thing."""
    address, port = read_address(asked.server)
    try:
        async with asyncio.timeout(_SECONDS):
            reader, writer = await asyncio.open_connection(
                address, port, ssl=asked.context, server_hostname=SERVER_NAME
            )
            try:
                writer.write(m.encode(asked.message))
                answer = await _one_message(reader)
            finally:
                writer.close()
    except (OSError, TimeoutError, EOFError) as problem:
        raise Unreachable(words_of(problem)) from problem
    except f.ProtocolError as problem:
        raise Refused(f"server {asked.server} does not speak the agents' protocol: {problem}") from problem
    if isinstance(answer, m.Goodbye):
        raise Refused(f"server {asked.server}: {answer.reason}")
    if not isinstance(answer, wanted):
        raise Refused(f"server {asked.server} answered with something else than was asked for")
    return answer


async def _one_message(reader: asyncio.StreamReader) -> m.Message:
    frames = f.FrameReader()
    while True:
        data = await reader.read(1 << 16)
        if not data:
            raise EOFError
        for kind, body in frames.feed(data):
            if kind is f.FrameKind.MESSAGE:
                return m.decode(body)
