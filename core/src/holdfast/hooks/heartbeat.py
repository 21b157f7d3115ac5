"""Storage heartbeat: signs of life that travel through the storage itself."""

from holdfast.errors import Unsupported
from holdfast.hooks.markers import hookspec, optional
from holdfast.model.views import DiskReading, HeartbeatReading, PoolView


class HeartbeatDriver:
    """Writes and watches per-host heartbeats on one kind of storage pool. Group `holdfast.heartbeat`; chosen per pool.

    Runs on the hosts, inside the agent (drivers with `runs_on = "server"` run in the management server instead and are
    told whose path to use by `reader`/`writer`). All methods block and must return or raise within `deadline` seconds;
    I/O that may hang belongs where it can hang alone.

    Errors: `Unreachable` (the storage does not answer), `Refused` (it answered and said no). Both mean "unknown".
    """

    runs_on = "agent"

    @hookspec
    def prepare(self, pool: PoolView, writer: str, deadline: float) -> None:
        """Make room for `writer`'s heartbeat on the pool. Idempotent; touches nothing else there."""
        raise NotImplementedError

    @hookspec
    def write(self, pool: PoolView, writer: str, sequence: int, deadline: float) -> None:
        """Write `writer`'s beat so that no reader sees it torn. Returning says that it is on the storage."""
        raise NotImplementedError

    @hookspec
    def read(self, pool: PoolView, subject: str, reader: str, deadline: float) -> HeartbeatReading:
        """What `reader` sees of `subject`'s beat, judged by the reader's own clock. `NotFound` if there is none."""
        raise NotImplementedError

    @hookspec
    def remove(self, pool: PoolView, subject: str, deadline: float) -> None:
        """Remove what `prepare` and `write` left for `subject`. Idempotent."""
        raise NotImplementedError

    @optional
    def watch(self, pool: PoolView, reader: str, deadline: float) -> None:
        """Optional. Let `reader` look once at every beat on the pool, so that a later `read` knows how long each stood.

        The agent calls it after each of its own beats: a reader that has never seen a beat move cannot say that it
        stopped. Drivers that watch by themselves need none.
        """

    @optional
    def leave(self, pool_uuid: str) -> None:
        """Optional. The pool is not asked about any more: let go of connections and processes. Never blocks."""

    @optional
    def look_at_disks(self, pool: PoolView, disks: tuple[str, ...], reader: str, deadline: float) -> DiskReading:
        """Optional. Whether these disks of the pool change, as `reader` sees it, judged by the reader's own clock.

        `disks` are files at the top of the pool (`DiskSpec.file`). Asked again and again while a host is in doubt; a
        change counts only between two looks that follow each other closely. It has to be the storage's word, past every
        cache, and must neither open nor lock a disk. Disks that are not there are left out.
        `Unsupported` where the storage cannot tell: the disks then say nothing, for or against.
        """
        raise Unsupported("this kind of storage cannot tell whether a disk is being written")
