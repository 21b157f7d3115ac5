"""Which LUN of an iSCSI pool the disk of a new VM gets: one to a disk, of those that the pool's detail `luns` names."""

from collections.abc import Iterator

from holdfast.errors import InvalidRequest, NoCapacity
from holdfast.hooks.store import Query, Store
from holdfast.model import StoragePool, StoragePoolDetail, Vm

DETAIL = "luns"
LUN_POOL = "IscsiLUN"
_HIGHEST = 16383


def read_luns(text: str) -> tuple[int, ...]:
    """Numbers and ranges, such as 2-20,30. `InvalidRequest` if they are no such thing."""
    try:
        return tuple(dict.fromkeys(_numbers(text)))
    except ValueError:
        raise InvalidRequest(
            f"parameter details: {DETAIL} is {text[:60]!r}; write the LUNs that VMs may have as numbers and ranges "
            f"from 0 to {_HIGHEST}, such as 2-20,30"
        ) from None


def _numbers(text: str) -> Iterator[int]:
    for part in text.split(","):
        first, _, last = part.strip().partition("-")
        begin, end = int(first), int(last or first)
        if not 0 <= begin <= end <= _HIGHEST:
            raise ValueError(part)
        yield from range(begin, end + 1)


def root_disk_of_new_vm(store: Store, pool: StoragePool) -> str:
    """What the disk is called on the pool: "" (after its VM), and on a pool of LUNs the number of a free one.

    A LUN that no VM ever had comes first. `NoCapacity` if none is free.
    """
    if pool.pool_type != LUN_POOL:
        return ""
    details = store.select(StoragePoolDetail, Query(equal={"pool_id": pool.id, "name": DETAIL}, limit=1))
    if not details:
        raise NoCapacity(
            f"storage pool {pool.name} consists of LUNs, and its detail {DETAIL} does not say which VMs may have: make "
            f"the pool with details[0].{DETAIL}=2-20 or the like"
        )
    held = store.select(Vm, Query(equal={"pool_id": pool.id}))
    taken = {vm.root_disk for vm in held if vm.removed is None}
    before = {vm.root_disk for vm in held if vm.removed is not None}
    own = pool.path.rpartition("/")[2]
    free = [str(number) for number in read_luns(details[0].value) if str(number) not in taken and str(number) != own]
    if not free:
        raise NoCapacity(f"storage pool {pool.name} has no free LUN: all of {details[0].value} belong to VMs")
    return min(free, key=lambda number: (number in before, int(number)))
