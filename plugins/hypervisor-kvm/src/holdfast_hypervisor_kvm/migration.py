"""Live migration: libvirtd of this host hands the guest to libvirtd of the target, over storage that both share."""

import logging
from dataclasses import dataclass
from typing import Any

from holdfast.errors import HoldfastError, Refused, Unreachable

from holdfast_hypervisor_kvm.connection import Connection, refusal, words
from holdfast_hypervisor_kvm.deadline import Abandoned, Deadline
from holdfast_hypervisor_kvm.run_mark import RunMark, remarked

log = logging.getLogger("holdfast.hypervisor.kvm")

_LIVE, _PEER2PEER, _UNSAFE, _ABORT_ON_ERROR = 1, 2, 512, 4096
_MIGRATABLE, _SECURE = 8, 1
_ABORT_SECONDS = 10.0
_LEFT_TO_ABORT = 0.2


@dataclass(frozen=True, slots=True)
class Order:
    """Which domain goes where, and which run it is there. `uri` is the target's libvirtd as this host's reaches it."""

    uuid: str
    mark: RunMark
    uri: str
    address: str
    unsafe: bool


def move(connection: Connection, order: Order, limit: Deadline) -> None:
    """Returns once the guest runs at the target and is gone here. `Refused`: it stayed. Else it is not known."""
    module = connection.module

    def question(handle: Any) -> None:
        domain = handle.lookupByUUIDString(order.uuid)
        text = remarked(domain.XMLDesc(_MIGRATABLE | _SECURE), order.mark)
        flags = _LIVE | _PEER2PEER | _ABORT_ON_ERROR | (_UNSAFE if order.unsafe else 0)
        parameters = {module.VIR_MIGRATE_PARAM_DEST_XML: text}
        if order.address:
            # Else the memory goes to the target's own name for itself, which this host may not know.
            address = f"[{order.address}]" if ":" in order.address else order.address
            parameters[module.VIR_MIGRATE_PARAM_URI] = f"tcp://{address}"
        domain.migrateToURI3(order.uri, parameters, flags)

    try:
        connection.ask("migrating a VM", Deadline(limit.left() * (1 - _LEFT_TO_ABORT)), question)
    except Abandoned as problem:
        _abort(connection, order)
        raise Unreachable(f"the VM did not reach its target in time: {problem}") from problem
    except module.libvirtError as problem:
        if _is_here(connection, order, limit):
            raise refusal("the VM was not moved", problem) from problem
        raise Unreachable(f"whether the VM was moved is not known: {words(problem)}") from problem


def _is_here(connection: Connection, order: Order, limit: Deadline) -> bool:
    """Whether the guest still runs here: then it does not run there."""
    module = connection.module
    try:
        state, _ = connection.ask("looking at a VM", limit, lambda c: c.lookupByUUIDString(order.uuid).state())
    except module.libvirtError:
        return False
    return bool(state == module.VIR_DOMAIN_RUNNING)


def _abort(connection: Connection, order: Order) -> None:
    try:
        connection.ask(
            "ending a migration", Deadline(_ABORT_SECONDS), lambda c: c.lookupByUUIDString(order.uuid).abortJob()
        )  # fmt: skip
    except (HoldfastError, connection.module.libvirtError) as problem:
        log.warning("a migration that takes too long could not be ended: %s", words(problem))


def check_uri(text: str) -> str:
    """What is wrong with the option `migration_uri`, or ""."""
    try:
        text.format(address="host")
    except (KeyError, IndexError, ValueError):
        return "write it with {address} where the target's address belongs"
    return ""


__all__ = ["Order", "Refused", "check_uri", "move"]
