"""From nothing to a session with the right BMC at the right privilege level."""

import asyncio
import random
from typing import Final

from holdfast.errors import Refused, Unreachable

from holdfast_oobm_ipmi import refusals
from holdfast_oobm_ipmi.exchange import Command, Exchange
from holdfast_oobm_ipmi.resolver import Found, Resolver
from holdfast_oobm_ipmi.rmcp_session import LoginFailed, LoginStarved, Progress, Reply

LOGIN_SECONDS: Final = 20.0
"""The longest that one login may take, whoever waits for it."""

STARVED_LOGINS: Final = 3
_SET_PRIVILEGE: Final = (0x06, 0x3B)
_GET_SYSTEM_GUID: Final = Command(0x06, 0x37, "asking for the system's UUID")
_GUID_BYTES: Final = 16


async def log_in(exchange: Exchange, resolver: Resolver) -> None:
    """Log in. Tries until it is cancelled, `LOGIN_SECONDS` are over (`TimeoutError`) or the BMC says no.

    When it raises, nothing of the session is left.
    """
    target = exchange.target
    try:
        async with asyncio.timeout(LOGIN_SECONDS):
            exchange.doing = "looking up its address"
            try:
                places = await resolver.find(target.address, target.port)
            except Unreachable as error:
                raise Unreachable(f"{target.where}: {error}") from error
            await _get_session(exchange, places)
            await _take_privilege(exchange)
            if target.uuid is not None:
                await _check_identity(exchange)
    except BaseException:
        exchange.hang_up()
        raise


async def _get_session(exchange: Exchange, places: Found) -> None:
    patience = exchange.first_patience * random.uniform(1.0, 1.2)  # noqa: S311  # staggers repeats, hides nothing
    starved = 0
    attempt = 0
    capabilities_known = False
    while True:
        session = exchange.begin(*places[attempt % len(places)])
        attempt += 1
        session.begin(ask_capabilities=not capabilities_known)
        while True:
            exchange.doing = session.stage
            event = await exchange.next_event(patience)
            if isinstance(event, LoginFailed):
                raise event.error
            if not isinstance(event, Progress):
                break
            capabilities_known = True
            if session.established:
                return
        if isinstance(event, LoginStarved):
            starved += 1
            if starved >= STARVED_LOGINS:
                raise event.error
        else:
            patience = exchange.longer(patience)


async def _take_privilege(exchange: Exchange) -> None:
    target = exchange.target
    reply = await _step(exchange, Command(*_SET_PRIVILEGE, "setting the privilege level", bytes([target.privilege])))
    if reply.code:
        raise refusals.privilege_step_refused(target, reply.code)
    if reply.data and reply.data[0] & 0x0F < target.privilege:
        raise refusals.privilege_refused(target, f"the BMC granted level {reply.data[0] & 0x0F}")


async def _check_identity(exchange: Exchange) -> None:
    wanted = exchange.target.uuid
    assert wanted is not None
    where = exchange.target.where
    reply = await _step(exchange, _GET_SYSTEM_GUID)
    if reply.code or len(reply.data) < _GUID_BYTES:
        raise Refused(
            f"{where}: it does not tell its system UUID, so whether it is the BMC of {wanted} cannot be checked; "
            "remove the uuid from its options to use it unchecked"
        )
    told = reply.data[:_GUID_BYTES]
    # SMBIOS order, network order, and the IPMI specification's own (all bytes reversed): firmware has them all.
    if told not in (wanted.bytes_le, wanted.bytes, wanted.bytes[::-1]):
        raise Refused(
            f"{where}: it belongs to another system: its UUID reads {told.hex()}, expected {wanted}; nothing was "
            "switched; correct the address or the uuid"
        )


async def _step(exchange: Exchange, command: Command) -> Reply:
    while True:
        # A session this young is not lost: the packets are.
        reply = await exchange.answer(command)
        if reply is not None:
            return reply
