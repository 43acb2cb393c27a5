"""Where a worker runs its commands: on a thread of its own in production, in the caller in tests.

The control plane never blocks on a device; the simulation has no threads at all. Both see the same worker through this
port.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from typing import Protocol

from ...errors import WorkerError
from ..protocol.plan import WorkerCommand

MAX_QUEUED = 64
"""Commands a thread may lag behind; the core keeps two steps (four commands) in flight at most."""

Handler = Callable[[WorkerCommand], None]


class Executor(Protocol):
    """Runs commands one after the other, in the order submitted, through the handler given to `start`."""

    def start(self, handler: Handler) -> None:
        """Called once, before the first `submit`."""
        ...

    def submit(self, command: WorkerCommand) -> None:
        """Raises WorkerError after `close`, or when the handler has died."""
        ...

    def answer(self, job: Callable[[], None]) -> None:
        """For the handler: run `job`, which may wait for the device, without holding up commands; jobs keep order."""
        ...

    def close(self) -> None:
        """Return when every command submitted so far has run, and every answer. May be called again."""
        ...


class InlineExecutor:
    """Runs each command inside `submit`."""

    def __init__(self) -> None:
        self._handler: Handler | None = None

    def start(self, handler: Handler) -> None:
        self._handler = handler

    def submit(self, command: WorkerCommand) -> None:
        if self._handler is None:
            raise WorkerError("the worker is closed")
        self._handler(command)

    def answer(self, job: Callable[[], None]) -> None:
        job()

    def close(self) -> None:
        self._handler = None


class ThreadExecutor:
    """Runs commands on one daemon thread and answers on another. `submit` and `close` belong to one caller; `close` is
    not for the handler."""

    def __init__(self, name: str = "ramify-worker") -> None:
        self._name = name
        self._queue: queue.SimpleQueue[WorkerCommand | None] = queue.SimpleQueue()
        self._answers: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._death: Exception | None = None

    def start(self, handler: Handler) -> None:
        self._threads = [
            threading.Thread(target=self._run, args=(handler,), name=self._name, daemon=True),
            threading.Thread(target=self._run_answers, name=f"{self._name}-answers", daemon=True),
        ]
        for thread in self._threads:
            thread.start()

    def submit(self, command: WorkerCommand) -> None:
        if not self._threads:
            raise WorkerError("the worker is closed")
        if self._death is not None:
            raise WorkerError(f"the worker's thread died: {self._death!r}") from self._death
        if self._queue.qsize() >= MAX_QUEUED:
            raise WorkerError(
                f"{MAX_QUEUED} commands wait for the worker", hint="wait for replies before launching more steps"
            )
        self._queue.put(command)

    def answer(self, job: Callable[[], None]) -> None:
        self._answers.put(job)

    def close(self) -> None:
        if not self._threads:
            return
        self._queue.put(None)
        for thread in self._threads:
            thread.join()
        self._threads = []

    def _run(self, handler: Handler) -> None:
        try:
            while (command := self._queue.get()) is not None:
                handler(command)
        except Exception as error:
            # A step's own failure is an answer, not an exception: only the reply callback can bring us here.
            self._death = error
        finally:
            self._answers.put(None)

    def _run_answers(self) -> None:
        while (job := self._answers.get()) is not None:
            try:
                job()
            except Exception as error:  # as above
                self._death = error
                return
