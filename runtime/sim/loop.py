"""An asyncio event loop whose clock jumps: when nothing is ready, time goes on to the next timer at once.

The control plane runs on it unchanged. A seed fixes every latency, so a run is the same in any process; a test that
would hang has no timer left, and that is an error here, not a wait.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class Stalled(RuntimeError):
    """Nothing is ready and nothing is scheduled: in real time this would be a hang."""


class _JumpSelector(selectors.SelectSelector):
    """Never waits. `jump` is told how long the loop would have slept."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        events = super().select(0)
        if events or timeout == 0:
            return events
        if timeout is None:
            raise Stalled("every task waits and no timer is set")
        self.now += max(timeout, 0.0)
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    """`time()` starts at 0 and moves only when the loop would have slept, in seconds."""

    def __init__(self) -> None:
        self._jump = _JumpSelector()
        super().__init__(self._jump)

    def time(self) -> float:
        return self._jump.now


def run(main: Coroutine[Any, Any, T]) -> T:
    """Run `main` to its end on a fresh virtual loop.

    Raises:
        Stalled: it could never end.
    """
    loop = VirtualLoop()
    failures: list[BaseException] = []

    def fail(_: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        failures.append(context.get("exception") or RuntimeError(context["message"]))
        loop.stop()

    loop.set_exception_handler(fail)
    try:
        return loop.run_until_complete(main)
    except RuntimeError:
        if failures:  # a callback failed: that is the cause, not the stop or the stall that followed
            raise failures[0] from None
        raise
    finally:
        failures.clear()
        loop.run_until_complete(_cancel_rest(loop))
        loop.close()


async def _cancel_rest(loop: asyncio.AbstractEventLoop) -> None:
    rest = [task for task in asyncio.all_tasks(loop) if task is not asyncio.current_task()]
    for task in rest:
        task.cancel()
    await asyncio.gather(*rest, return_exceptions=True)
