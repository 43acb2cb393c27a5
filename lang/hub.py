"""The background loop that programs run on: one a process, however many programs.

An `async def` program is a task on the loop. A plain `def` program runs in a greenlet on the loop's thread: where it
must wait it parks, the loop goes on, and it is resumed when its answer is there. So ten thousand programs need one
thread, and one that waits costs a small stack and nothing else.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar

import greenlet

if TYPE_CHECKING:
    from .run import Run

T = TypeVar("T")

current_run: ContextVar[Run[Any] | None] = ContextVar("ramify_current_run", default=None)
"""The run whose program is executing, None outside of programs."""


class Hub:
    """Runs programs on an event loop that belongs to `thread` (the current one if None is given)."""

    def __init__(self, loop: asyncio.AbstractEventLoop, thread: threading.Thread | None = None) -> None:
        self.loop = loop
        self._thread = thread or threading.current_thread()
        self._tasks: set[asyncio.Task[Any]] = set()

    @property
    def inside(self) -> bool:
        """Whether the caller is on the loop's thread."""
        return threading.current_thread() is self._thread

    def call(self, callback: Callable[[], object]) -> None:
        """Run `callback` on the loop soon; from any thread."""
        self.loop.call_soon_threadsafe(callback)

    def start(self, main: Awaitable[Any]) -> None:
        """Run a coroutine as a task; on the loop's thread. The hub keeps it alive."""
        task = self.loop.create_task(_as_coroutine(main))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def in_greenlet(self, body: Callable[[], T]) -> T:
        """Run a plain function that may park, and give its result."""
        future: asyncio.Future[T] = self.loop.create_future()

        def run() -> None:
            try:
                result = body()
            except BaseException as error:
                if isinstance(error, StopIteration):  # a future cannot hold one
                    error = RuntimeError("the program raised StopIteration")
                if not future.done():
                    future.set_exception(error)
            else:
                if not future.done():
                    future.set_result(result)

        Parkable(self, run).switch()
        return await future


async def _as_coroutine(main: Awaitable[T]) -> T:
    return await main


class Parkable(greenlet.greenlet):
    """The greenlet of one plain `def` program."""

    def __init__(self, hub: Hub, body: Callable[[], None]) -> None:
        super().__init__(body)
        self.hub = hub
        self._parked = False

    def park(self, timeout: float | None = None) -> bool:
        """Stop until `wake`; call it inside the program. False if `timeout` seconds passed first."""
        timer = None if timeout is None else self.hub.loop.call_later(max(timeout, 0.0), self._resume, False)
        self._parked = True
        assert self.parent is not None  # the greenlet of the loop
        woken = self.parent.switch()
        if timer is not None:
            timer.cancel()
        return bool(woken)

    def wake(self) -> None:
        """Let the program go on; on the loop's thread. Nothing happens if it is not parked."""
        self.hub.loop.call_soon(self._resume, True)

    def _resume(self, woken: bool) -> None:
        if self._parked:
            self._parked = False
            self.switch(woken)


def current_greenlet() -> Parkable | None:
    """The plain program that is running; None outside, and in `async def` programs."""
    found = greenlet.getcurrent()
    return found if isinstance(found, Parkable) else None


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
