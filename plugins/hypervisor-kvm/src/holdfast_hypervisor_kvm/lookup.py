"""Finding one VM's domain, and ending it."""

from collections.abc import Callable
from typing import Any, TypeVar

from holdfast.errors import Unreachable

from holdfast_hypervisor_kvm.connection import Connection, words
from holdfast_hypervisor_kvm.deadline import Deadline
from holdfast_hypervisor_kvm.sightings import Sighting, Sightings

T = TypeVar("T")


class Lookup:
    """Asks libvirt about single domains."""

    def __init__(self, connection: Connection, sightings: Sightings) -> None:
        self._connection = connection
        self._sightings = sightings

    def look(self, uuid: str, limit: Deadline) -> Sighting | None:
        """The domain as it is now; None if there is none."""

        def question(connection: Any) -> Sighting | None:
            domain = self.domain(connection, uuid)
            return None if domain is None else self._sightings.one(domain)

        try:
            return self._unless_gone("looking at a VM", uuid, limit, question)
        except self._connection.module.libvirtError as problem:
            raise Unreachable(f"looking at a VM: {words(problem)}") from problem

    def domain(self, connection: Any, uuid: str) -> Any:
        """libvirt's handle, or None. Blocks; to be called in a question."""
        module = self._connection.module
        try:
            return connection.lookupByUUIDString(uuid)
        except module.libvirtError as problem:
            if problem.get_error_code() == module.VIR_ERR_NO_DOMAIN:
                return None
            raise

    def destroy(self, uuid: str, limit: Deadline) -> None:
        """End the domain at once. Returns when it is gone; `Unreachable` if that is not certain."""

        def question(connection: Any) -> None:
            domain = self.domain(connection, uuid)
            if domain is not None:
                domain.destroy()

        try:
            self._unless_gone("destroying a VM", uuid, limit, question)
        except self._connection.module.libvirtError as problem:
            raise Unreachable(f"a VM could not be destroyed: {words(problem)}") from problem
        if self.look(uuid, limit) is not None:
            raise Unreachable("libvirt destroyed a VM, and still shows it")

    def _unless_gone(self, what: str, uuid: str, limit: Deadline, question: Callable[[Any], T]) -> T | None:
        """None if the domain went away while something was asked of it."""
        module = self._connection.module
        try:
            return self._connection.ask(what, limit, question)
        except module.libvirtError as problem:
            if problem.get_error_code() not in (module.VIR_ERR_NO_DOMAIN, module.VIR_ERR_OPERATION_INVALID):
                raise
            if self._connection.ask(what, limit, lambda connection: self.domain(connection, uuid)) is not None:
                raise
            return None
