"""The background loop that programs run on: one a process, however many programs.

An `async def` program is a task on the loop. A plain `def` program runs in a greenlet on the loop's thread: where it
must wait it parks, the loop goes on, and it is resumed when its answer is there. So ten thousand programs need one
thread, and one that waits costs a small stack and nothing else.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from contextvars import ContextVar
from functools import cache
from time import perf_counter
from typing import TYPE_CHECKING, Any, TypeVar

import greenlet

from .held import Clock, Watch

if TYPE_CHECKING:
    from .run import Run

T = TypeVar("T")

current_run: ContextVar[Run[Any] | None] = ContextVar("ramify_current_run", default=None)
"""The run whose program is executing, None outside of programs."""


class Hub:
    """Runs programs on an event loop.

    Args:
        loop: runs on `thread`.
        thread: None for the current one.
        clock: by which programs are watched that hold the loop.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        thread: threading.Thread | None = None,
        clock: Callable[[], float] = perf_counter,
    ) -> None:
        self.loop = loop
        self.clock = clock
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

    def from_outside(
        self, action: Callable[[], T], parks: bool = True, dropped: Callable[[T], object] | None = None
    ) -> T:
        """Do something on the loop's thread for a caller on another thread, which blocks until it is done.

        Args:
            action: what to do.
            parks: it may wait for values, and is given a greenlet to do so.
            dropped: takes what came of it after all if the caller was interrupted by Ctrl-C.
        """
        done: Future[T] = Future()

        def work() -> None:
            try:
                done.set_result(action())
            except BaseException as error:
                done.set_exception(error)

        self.call((lambda: Parkable(self, work).switch()) if parks else work)  # a greenlet belongs to its thread
        try:
            return done.result()
        except KeyboardInterrupt:
            if dropped is not None:
                done.add_done_callback(lambda _: dropped(done.result()) if done.exception() is None else None)
            raise

    async def in_greenlet(self, body: Callable[[], T], watch: Watch | None = None) -> T:
        """Run a plain function that may park, and give its result. `watch` warns if it runs on without parking."""
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
            if watch is not None:
                watch.check(self.clock() - program.since, lambda: "")

        program = Parkable(self, run, watch)
        program.switch()
        return await future


async def _as_coroutine(main: Awaitable[T]) -> T:
    return await main


class Parkable(greenlet.greenlet):
    """The greenlet of one plain `def` program."""

    def __init__(self, hub: Hub, body: Callable[[], None], watch: Watch | None = None) -> None:
        super().__init__(body)
        self.hub = hub
        self.since = hub.clock()
        self._watch = watch
        self._parked = False

    def park(self, timeout: float | None = None) -> bool:
        """Stop until `wake`; call it inside the program. False if `timeout` seconds passed first."""
        timer = None if timeout is None else self.hub.loop.call_later(max(timeout, 0.0), self._resume, False)
        self._parked = True
        assert self.parent is not None  # the greenlet of the loop
        if self._watch is not None:
            self._watch.check(self.hub.clock() - self.since)
        woken = self.parent.switch()
        self.since = self.hub.clock()
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
    return Hub(ready[0], thread, Clock())
