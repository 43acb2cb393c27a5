"""What runs in a vetting process: plan one grammar after the other, each under a timer and a memory limit.

The timer counts this process's processor time and ends it from the kernel, so native code that never looks up is ended
too. The memory limit is on address space, beyond what the process holds while it waits. Loading a backend's library is
not the grammar's cost: the limits are off meanwhile, and the engine is told.
"""

from __future__ import annotations

import os
import resource
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import msgspec

from ..errors import RamifyError, to_info
from .backends import make_backend
from .router import Router
from .state import PlanningBackend
from .vetting_wire import Answer, Failed, Job, Loading, Planned, Start, encode, read_exactly
from .vocabulary import Vocabulary

_Send = Callable[[Answer], None]
_PAGE = os.sysconf("SC_PAGE_SIZE")


class _Limits:
    """The limits of this process, which hold while a grammar is planned."""

    def __init__(self, memory_bytes: int) -> None:
        self._memory_bytes = memory_bytes
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        self._hard = resource.getrlimit(resource.RLIMIT_AS)[1]

    @contextmanager
    def hold(self, cpu_seconds: float) -> Iterator[None]:
        self._set(cpu_seconds)
        try:
            yield
        finally:
            self._lift()

    @contextmanager
    def lifted(self) -> Iterator[None]:
        left = signal.getitimer(signal.ITIMER_PROF)[0]
        self._lift()
        try:
            yield
        finally:
            if left:
                self._set(left)

    def _set(self, cpu_seconds: float) -> None:
        with open("/proc/self/statm") as file:
            held = int(file.read().split()[0]) * _PAGE
        resource.setrlimit(resource.RLIMIT_AS, (held + self._memory_bytes, self._hard))
        signal.setitimer(signal.ITIMER_PROF, cpu_seconds)

    def _lift(self) -> None:
        signal.setitimer(signal.ITIMER_PROF, 0)
        resource.setrlimit(resource.RLIMIT_AS, (self._hard, self._hard))


def main() -> None:
    """Serve until the engine closes the pipe."""
    channel = os.dup(1)
    os.dup2(2, 1)  # a library that prints must not write into a frame

    def answer(message: Answer) -> None:
        frame = memoryview(encode(message))
        while frame:
            frame = frame[os.write(channel, frame) :]

    try:
        start = msgspec.msgpack.decode(read_exactly(0), type=Start)
        limits = _Limits(start.memory_bytes)
        vocabulary = Vocabulary(tuple(start.tokens), frozenset(start.stop_ids), start.width, start.control)
        backend = _backend(start, vocabulary, limits, answer)
        answer(Loading(False))
        while True:
            job = msgspec.msgpack.decode(read_exactly(0), type=Job)
            answer(_plan(backend, job, limits))
    except EOFError:
        sys.exit(0)


def _backend(start: Start, vocabulary: Vocabulary, limits: _Limits, answer: _Send) -> PlanningBackend:
    """The backend, with those that a router may need later loaded outside the limits."""

    def make(name: str) -> PlanningBackend:
        with limits.lifted():
            answer(Loading(True))
            made = make_backend(vocabulary, name, start.limits)
            answer(Loading(False))
            return made

    if start.backend != "auto":
        return make_backend(vocabulary, start.backend, start.limits)
    first = make_backend(vocabulary, "llguidance", start.limits)
    return Router(lambda name: first if name == "llguidance" else make(name), start.limits)


def _plan(backend: PlanningBackend, job: Job, limits: _Limits) -> Planned | Failed:
    with limits.hold(job.cpu_seconds):
        try:
            return Planned(backend.plan(job.spec))
        except RamifyError as error:
            return Failed(to_info(error))
        except MemoryError:
            what = "compiling this grammar took more memory than it may"
            return Failed(("InvalidSchema", what, "#", "make the grammar smaller or simpler"))
        except Exception as error:  # a fault of ours, told like any other
            return Failed(to_info(error))


if __name__ == "__main__":
    main()
