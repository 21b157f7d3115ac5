"""Who may start which run of a VM (S1).

Invariant kept here: a new run epoch is granted only if every earlier permit that is not ended is covered by the proof.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from holdfast.model.availability import Permit
from holdfast.model.evidence import Proof, ProofKind
from holdfast.model.states import PermitState

_ABOUT_A_HOST = frozenset(
    {ProofKind.CHASSIS_OFF, ProofKind.LEASE_EXPIRED, ProofKind.STORAGE_CUT, ProofKind.DECLARED_DEAD}
)


@dataclass(frozen=True, slots=True)
class Uncovered:
    """A permit that stands in the way: its run may still be live, and the proof does not speak of it."""

    permit: Permit
    why: str


def uncovered(
    vm_uuid: str, permits: Sequence[Permit], proofs: Sequence[Proof], host_uuids: dict[int, str]
) -> list[Uncovered]:
    """Permits of the VM that are not ended and that none of the proofs covers. Empty: a new run may be granted.

    `host_uuids` maps the database ids in the permits to host uuids.
    """
    found = []
    for permit in permits:
        if permit.state == PermitState.ENDED:
            continue
        host = host_uuids.get(permit.host_id, "")
        if not any(covers(proof, vm_uuid, permit, host) for proof in proofs):
            found.append(
                Uncovered(permit, f"run {permit.run_epoch} on host {host or permit.host_id} may still be live")
            )
    return found


def covers(proof: Proof, vm_uuid: str, permit: Permit, host_uuid: str) -> bool:
    """Whether `proof` shows that the run of `permit` can no longer write."""
    if proof.kind in _ABOUT_A_HOST:
        return bool(host_uuid) and proof.subject == host_uuid
    if proof.kind is ProofKind.AGENT_REPORT:
        return proof.subject == vm_uuid and permit.run_epoch <= proof.covers_epoch
    return False
