"""Host tags as callers write them."""

from holdfast.errors import InvalidRequest
from holdfast.hooks.store import Change, Delete, Insert, Query, Store
from holdfast.model import HostTag

_LONGEST = 100


def read_tags(text: str) -> tuple[str, ...]:
    """Tags from a list separated by commas, each once, in order."""
    tags = tuple(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))
    for tag in tags:
        if len(tag) > _LONGEST:
            raise InvalidRequest(f"parameter hosttags: a tag may have {_LONGEST} characters, {tag[:20]!r}… has more")
    return tags


def replaced_tags(store: Store, host_id: int, tags: tuple[str, ...]) -> list[Change]:
    """The changes that give a host exactly these tags."""
    found = store.select(HostTag, Query(equal={"host_id": host_id}))
    changes: list[Change] = [Delete(HostTag, row.id) for row in found if row.tag not in tags]
    present = {row.tag for row in found}
    return changes + [Insert(HostTag(host_id=host_id, tag=tag)) for tag in tags if tag not in present]
