"""Names a program that holds the loop: all programs share one, and while one computes, the others stand still.

The time between two places where a program lets go (its fences, and its end) is taken; it costs two looks at a clock
for each. What is taken is wall time, because a program that sleeps holds the loop as much as one that computes; but not
the time of full garbage collections, which in a process that has torch loaded are long, and nobody's fault.
"""

from __future__ import annotations

import gc
import inspect
import warnings
from collections.abc import Callable, Coroutine, Generator
from time import perf_counter
from typing import Any, TypeVar

from .site import call_site

T = TypeVar("T")

HELD_SECONDS = 0.25


class Clock:
    """Seconds, standing still during full garbage collections. One a process: the collector keeps it."""

    def __init__(self) -> None:
        self._collecting = 0.0
        self._collected = 0.0
        gc.callbacks.append(self._on_collection)

    def __call__(self) -> float:
        return perf_counter() - self._collected

    def _on_collection(self, phase: str, info: dict[str, int]) -> None:
        if info["generation"] < 2:
            return
        if phase == "start":
            self._collecting = perf_counter()
        else:
            self._collected += perf_counter() - self._collecting


class HeldLoopWarning(RuntimeWarning):
    """A program computed, slept or blocked for longer than a quarter of a second while other programs could not run.

    It is shown, and never raised, also where a filter makes errors of warnings: how long a program takes depends on the
    machine's load too, and a test should not.
    """


class Watch:
    """Warns once for one program.

    Args:
        body: its function.
    """

    def __init__(self, body: Callable[..., Any]) -> None:
        self._name = body.__qualname__.replace(".<locals>", "")
        code = inspect.unwrap(body).__code__
        self._begin = f"{code.co_filename}:{code.co_firstlineno}"
        self._warned = False

    def check(self, held: float, site: Callable[[], str] = call_site) -> None:
        """The program lets go.

        Args:
            held: seconds for which it ran.
            site: gives the source line where it lets go; "" if it has returned.
        """
        if held > HELD_SECONDS and not self._warned:
            self._warned = True
            file, _, line = (site() or self._begin).rpartition(":")
            _show(
                f"{self._name} held the loop of all programs for {held:.2f} s before this line; call what blocks or "
                "computes with rf.blocking(fn, ...), or await rf.ablocking(fn, ...)",
                file or "<unknown>",
                int(line or 0),
            )


def _show(message: str, file: str, line: int) -> None:
    """Warn. Raised, the warning would end a program in the middle of a switch."""
    try:
        warnings.warn_explicit(message, HeldLoopWarning, file, line)
    except HeldLoopWarning as warning:
        warnings.showwarning(warning, HeldLoopWarning, file, line)


class Watched:
    """An `async def` program's coroutine, each of its steps timed; await it once."""

    def __init__(self, coroutine: Coroutine[Any, Any, T], watch: Watch, clock: Callable[[], float]) -> None:
        self._coroutine = coroutine
        self._watch = watch
        self._clock = clock

    def __await__(self) -> Generator[Any, None, Any]:
        coroutine, clock, error = self._coroutine, self._clock, None
        while True:
            since = clock()
            try:
                waits_for = coroutine.send(None) if error is None else coroutine.throw(error)
            except StopIteration as end:
                self._watch.check(clock() - since, lambda: "")
                return end.value
            self._watch.check(clock() - since, self._site)
            error = None
            try:
                yield waits_for
            except BaseException as thrown:  # the task is cancelled: the program is told
                error = thrown

    def _site(self) -> str:
        """Where the program waits."""
        frame = getattr(self._coroutine, "cr_frame", None)
        return "" if frame is None else f"{frame.f_code.co_filename}:{frame.f_lineno}"
