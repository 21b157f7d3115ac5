"""Greenlets that run one blocking call after the other: making one costs ten times as much as switching to one."""

import contextvars
from collections.abc import Callable

from greenlet import GreenletExit, getcurrent, greenlet  # type: ignore[import-untyped]


class Workers:
    """The idle greenlets of one loop. It may run in another thread later on: greenlets stay with theirs."""

    def __init__(self) -> None:
        self._idle: list[greenlet] = []
        self._hub: greenlet = None

    def run(self, context: contextvars.Context, function: Callable[..., None], *args: object) -> None:
        """Call `function(*args)` in a greenlet; returns once it has returned, or is parked.

        It may raise nothing but `GreenletExit`, which ends its greenlet too.
        """
        hub, idle = getcurrent(), self._idle
        if hub is not self._hub:
            self._hub, self._idle = hub, (idle := [])
        worker = idle.pop() if idle else greenlet(self._work)
        worker.gr_context = context
        worker.switch(function, args)

    def _work(self, function: Callable[..., None] | None, args: tuple[object, ...]) -> None:
        own = getcurrent()
        while function is not None:
            function(*args)
            function, args = None, ()  # what was called must not outlive its call
            hub: greenlet = own.parent
            if hub is self._hub:  # else its thread is not the loop's any more
                self._idle.append(own)
                function, args = hub.switch()

    def close(self) -> None:
        """End those that are idle, if this is their thread; otherwise they end with it."""
        idle, self._idle = self._idle, []
        for worker in idle if self._hub is getcurrent() else ():
            worker.throw(GreenletExit)
