"""The life of one VM's permits on a few hosts, with the truth of which run is live kept beside the records."""

from random import Random

from holdfast.engine import permits
from holdfast.model.availability import Permit
from holdfast.model.evidence import Proof, ProofKind
from holdfast.model.states import PermitState

HOSTS = {1: "host-1", 2: "host-2", 3: "host-3"}
VM = "vm-1"
_HOST_PROOFS = (ProofKind.CHASSIS_OFF, ProofKind.LEASE_EXPIRED, ProofKind.STORAGE_CUT, ProofKind.DECLARED_DEAD)


class TwoRuns(AssertionError):
    """Two runs of one VM were live at once (S1)."""


def permit_life(chance: Random, rounds: int = 30) -> int:
    """Start, crash, fence and report at random; returns how many runs were granted. Every proof told is true."""
    records: list[Permit] = []
    live: dict[int, int] = {}  # run epoch -> host id
    proofs: list[Proof] = [Proof(ProofKind.NEVER_RAN, VM, 0.0)]
    granted = 0
    for at in range(rounds):
        match chance.randrange(4):
            case 0:
                lost = chance.choice(list(HOSTS))
                live = {epoch: host for epoch, host in live.items() if host != lost}
                proofs.append(Proof(chance.choice(_HOST_PROOFS), HOSTS[lost], float(at)))
            case 1 if records:
                seen = chance.choice(records).run_epoch
                live = {epoch: host for epoch, host in live.items() if epoch > seen}
                proofs.append(Proof(ProofKind.AGENT_REPORT, VM, float(at), covers_epoch=seen))
            case 2:
                told = Proof(ProofKind.AGENT_REPORT, "vm-2", float(at), covers_epoch=99)
                proofs.append(chance.choice([told, Proof(ProofKind.NEVER_RAN, VM, float(at))]))
            case _ if not permits.uncovered(VM, records, proofs, HOSTS):
                if live:
                    raise TwoRuns(f"{live} is live and one more run was granted under {proofs}")
                granted += 1
                records = [_ended(permit) if chance.random() < 0.7 else permit for permit in records]
                target = chance.choice(list(HOSTS))
                records.append(Permit(vm_id=1, run_epoch=granted, host_id=target, proof_kind="", state=_state(chance)))
                live = {granted: target}
                # A proof speaks of what was there when it was completed: the next incident needs its own.
                proofs = []
            case _:
                pass
    return granted


def _state(chance: Random) -> str:
    return chance.choice([PermitState.ISSUED, PermitState.RUNNING])


def _ended(permit: Permit) -> Permit:
    return Permit(
        vm_id=permit.vm_id, run_epoch=permit.run_epoch, host_id=permit.host_id, proof_kind="", state=PermitState.ENDED
    )
