"""The background loop that programs run on: one a process, however many programs.

Each program runs in a greenlet on the loop's thread. Where it must wait it parks: the greenlet stops, the loop goes on,
and the program is resumed when its answer is there. So ten thousand plain `def` programs need one thread, and a program
that waits costs a stack and nothing else.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from functools import cache

import greenlet


class Hub:
    """Runs programs on an event loop that belongs to `thread` (the current one if None is given)."""

    def __init__(self, loop: asyncio.AbstractEventLoop, thread: threading.Thread | None = None) -> None:
        self.loop = loop
        self._thread = thread or threading.current_thread()

    def call(self, callback: Callable[[], object]) -> None:
        """Run `callback` on the loop soon; from any thread."""
        self.loop.call_soon_threadsafe(callback)

    @property
    def inside(self) -> bool:
        """Whether the caller is on the loop's thread."""
        return threading.current_thread() is self._thread

    def spawn(self, body: Callable[[], None]) -> None:
        """Start a program; from any thread. `body` must not raise."""
        self.call(lambda: Task(self, body).switch())


class Task(greenlet.greenlet):
    """One program's greenlet."""

    def __init__(self, hub: Hub, body: Callable[[], None]) -> None:
        super().__init__(body)
        self.hub = hub
        self.parked = False

    def park(self, timeout: float | None = None) -> bool:
        """Stop until `wake`; call it inside the program. False if `timeout` seconds passed first."""
        timer = None if timeout is None else self.hub.loop.call_later(max(timeout, 0.0), self._resume, False)
        self.parked = True
        assert self.parent is not None  # the greenlet of the loop
        woken = self.parent.switch()
        if timer is not None:
            timer.cancel()
        return bool(woken)

    def wake(self) -> None:
        """Let the program go on; on the loop's thread. Nothing happens if it is not parked."""
        self.hub.loop.call_soon(self._resume, True)

    def interrupt(self, error: BaseException) -> None:
        """Raise `error` where the program is parked."""
        if self.parked:
            self.parked = False
            self.throw(error)

    def _resume(self, woken: bool) -> None:
        if self.parked:
            self.parked = False
            self.switch(woken)


def current_task() -> Task | None:
    """The program that is running, None outside of programs."""
    task = greenlet.getcurrent()
    return task if isinstance(task, Task) else None


@cache
def shared_hub() -> Hub:
    """The process's hub; its thread is started by the first call and is a daemon."""
    ready: list[asyncio.AbstractEventLoop] = []
    started = threading.Event()

    def serve() -> None:
        loop = asyncio.new_event_loop()
        asyncio.set_event_loop(loop)
        ready.append(loop)
        started.set()
        loop.run_forever()

    thread = threading.Thread(target=serve, name="ramify-programs", daemon=True)
    thread.start()
    started.wait()
    return Hub(ready[0], thread)
