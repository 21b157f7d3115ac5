"""Reads many BMCs at once, so that those that are dark cost the others nothing."""

import contextlib
import errno
import selectors
import socket
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait

from holdfast.errors import DeadlineExceeded, DriverError, HoldfastError, Unreachable
from holdfast.model.states import PowerState
from holdfast.model.views import BmcView

from holdfast_oobm_redfish.deadline import Deadline

KNOCK_SECONDS = 1.5
"""How long all BMCs that were dark last time, together, get to take a connection: room for one lost packet."""
PATIENCE_SECONDS = 10.0
"""What one BMC may take of a place in the pool; one that was dark last time, and takes connections again, less."""
SUSPECT_SECONDS = 3.0
SUSPECT_SHARE = 4
"""For those there is one thread for so many others, so that BMCs that take connections and hang are no burden."""

Answer = PowerState | HoldfastError
_Address = tuple[str, str]


class Sweep:
    """A bounded pool of threads. A BMC that did not answer is asked again only once it takes a connection, and whether
    it does is tried for all of them at once, without a thread. Thread-safe.
    """

    def __init__(self, read: Callable[[BmcView, float], PowerState], threads: int) -> None:
        self._read = read
        self._threads = threads
        self._lock = threading.Lock()
        self._pools: tuple[ThreadPoolExecutor, ThreadPoolExecutor] | None = None
        self._dark: set[_Address] = set()

    def ask(self, bmcs: Sequence[BmcView], seconds: float) -> dict[str, Answer]:
        """By `BmcView.key`: its state, or why there is none. Raises nothing."""
        deadline = Deadline(seconds)
        with self._lock:
            if self._pools is None:
                few = max(1, self._threads // SUSPECT_SHARE)
                self._pools = (
                    ThreadPoolExecutor(self._threads, "redfish-sweep"),
                    ThreadPoolExecutor(few, "redfish-suspects"),
                )
            (pool, suspects), dark = self._pools, [bmc for bmc in bmcs if _address(bmc) in self._dark]
        shunned = {bmc.key for bmc in dark}
        bright = [bmc for bmc in bmcs if bmc.key not in shunned]
        futures = {bmc.key: pool.submit(self._one, bmc, deadline, PATIENCE_SECONDS) for bmc in bright}
        answering = _answering(dark, deadline.within(KNOCK_SECONDS))
        back = [bmc for bmc in dark if _address(bmc) in answering]
        futures |= {bmc.key: suspects.submit(self._one, bmc, deadline, SUSPECT_SECONDS) for bmc in back}
        wait(futures.values(), max(0.0, deadline.remaining()))
        with self._lock:
            self._dark |= {_address(bmc) for bmc in bmcs if _hangs(futures.get(bmc.key))}
        found = {key: _outcome(future, key, seconds) for key, future in futures.items()}
        return {bmc.key: found.get(bmc.key) or _no_connection(bmc) for bmc in bmcs}

    def close(self) -> None:
        """Let the threads go; the next call takes new ones."""
        with self._lock:
            pools, self._pools = self._pools or (), None
        for pool in pools:
            pool.shutdown(wait=False, cancel_futures=True)

    def _one(self, bmc: BmcView, deadline: Deadline, patience: float) -> Answer:
        left = min(deadline.remaining(), patience)
        if left <= 0:
            return DeadlineExceeded(f"BMC {bmc.address}: not asked: others took all {deadline.seconds:g} s")
        dark = False
        try:
            return self._read(bmc, left)
        except HoldfastError as error:
            dark = isinstance(error, Unreachable)
            return error
        except Exception as error:
            return DriverError(f"BMC {bmc.address}: reading its power broke ({type(error).__name__})")
        finally:
            with self._lock:
                (self._dark.add if dark else self._dark.discard)(_address(bmc))


def _address(bmc: BmcView) -> _Address:
    return bmc.address.strip().removeprefix("[").removesuffix("]"), bmc.port.strip()


def _no_connection(bmc: BmcView) -> HoldfastError:
    return Unreachable(f"BMC {bmc.address}: still takes no connection within {KNOCK_SECONDS:g} s")


def _hangs(future: "Future[Answer] | None") -> bool:
    return future is not None and future.running()


def _outcome(future: "Future[Answer]", host: str, seconds: float) -> Answer:
    if future.done() and not future.cancelled():
        return future.result()
    future.cancel()
    return DeadlineExceeded(f"BMC of host {host}: no answer within {seconds:g} s")


def _answering(bmcs: Sequence[BmcView], deadline: Deadline) -> set[_Address]:
    """Those that take a connection, or say at once that they do not; a name counts, since looking it up may hang."""
    found: set[_Address] = set()
    with selectors.DefaultSelector() as selector, contextlib.ExitStack() as sockets:
        for address in {_address(bmc) for bmc in bmcs}:
            knocking = _knock(address)
            if knocking is None:
                found.add(address)
            else:
                sockets.enter_context(knocking)
                selector.register(knocking, selectors.EVENT_WRITE, address)
        while selector.get_map() and (left := deadline.remaining()) > 0:
            for key, _ in selector.select(left):
                found.add(key.data)
                selector.unregister(key.fileobj)
    return found


def _knock(address: _Address) -> socket.socket | None:
    """A connection in the making; None where that is not so simple, and the driver had better look itself."""
    try:
        port = int(address[1] or 443)
        family, kind, protocol, _, where = socket.getaddrinfo(
            address[0], port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST
        )[0]
        knocking = socket.socket(family, kind, protocol)
    except (OSError, ValueError, OverflowError):
        return None
    knocking.setblocking(False)
    if knocking.connect_ex(where) in (0, errno.EINPROGRESS):
        return knocking
    knocking.close()
    return None
