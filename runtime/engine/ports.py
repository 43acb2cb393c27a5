"""What the engine needs from the world, so that a simulation can be the world.

Time is the event loop's own clock (`loop.time`), worker replies and finished jobs arrive through the loop, and work off
the loop goes through an `Executor`. In production these are a uvloop, the worker's thread and thread pools; in the
simulation a loop whose clock jumps, timers, and a function that runs the job at once.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import Any, Protocol, TypeVar

from ..protocol.graph import EngineReply

T = TypeVar("T")


class ReplySink(Protocol):
    """Where the replies for one client go. Called on the engine's loop; must not block."""

    def send(self, reply: EngineReply) -> None: ...


class InlineExecutor(Executor):
    """Runs each job in `submit`, on the caller's thread. The simulation's executor, and the tests'."""

    def submit(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
        future: Future[T] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:
            future.set_exception(error)
        return future
