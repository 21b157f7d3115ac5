"""How large a host is, as its agent says it, ends up in its row."""

from collections.abc import Callable

import pytest
from holdfast.model import Host
from manager_bed import Bed

TRUE_SIZE = (64, 2600, 512 << 30)
KERNEL_SIZE = (64, 2000, 511 << 30)


def _size(bed: Bed) -> tuple[int, int, int]:
    host = bed.store.get(Host, 1)
    assert host is not None
    return host.cpus, host.speed, host.ram


@pytest.mark.parametrize("pause", [0.0, 0.001, 0.01, 0.1])
def test_the_last_word_on_a_size_is_stored(make_bed: Callable[..., Bed], pause: float) -> None:
    """An agent that comes back says the kernel's word, and at once the driver's, which is what the row says still."""
    bed = make_bed(servers=1)
    links = bed.managers["ms1"].desk.links
    boot = links.links["h1"].boot_id

    async def say(size: tuple[int, int, int]) -> None:
        links.on_connected("h1", boot, *size)

    def hear(size: tuple[int, int, int]) -> None:
        bed.loop.spawn(bed.lives["ms1"].process, say(size))

    hear(TRUE_SIZE)
    bed.run_until(lambda: _size(bed) == TRUE_SIZE, 10)
    bed.run(5)
    hear(KERNEL_SIZE)
    bed.run(pause)
    hear(TRUE_SIZE)
    bed.run(5)
    assert _size(bed) == TRUE_SIZE


def test_a_size_that_the_store_did_not_take_is_stored_later(make_bed: Callable[..., Bed]) -> None:
    """The host stays connected, so nobody says it again."""
    bed = make_bed(servers=1)
    links = bed.managers["ms1"].desk.links
    boot = links.links["h1"].boot_id

    async def say() -> None:
        links.on_connected("h1", boot, *TRUE_SIZE)

    bed.cut("database", "ms1", "database")
    bed.loop.spawn(bed.lives["ms1"].process, say())
    bed.run(1)
    bed.mend("database", "ms1", "database")
    bed.run_until(lambda: _size(bed) == TRUE_SIZE, 120)
