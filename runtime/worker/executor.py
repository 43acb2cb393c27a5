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

    def close(self) -> None:
        """Return when every command submitted so far has run. May be called again."""
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

    def close(self) -> None:
        self._handler = None


class ThreadExecutor:
    """Runs commands on one daemon thread. `submit` and `close` belong to one caller; `close` is not for the handler."""

    def __init__(self, name: str = "ramify-worker") -> None:
        self._name = name
        self._queue: queue.SimpleQueue[WorkerCommand | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._death: Exception | None = None

    def start(self, handler: Handler) -> None:
        self._thread = threading.Thread(target=self._run, args=(handler,), name=self._name, daemon=True)
        self._thread.start()

    def submit(self, command: WorkerCommand) -> None:
        if self._thread is None:
            raise WorkerError("the worker is closed")
        if self._death is not None:
            raise WorkerError(f"the worker's thread died: {self._death!r}") from self._death
        if self._queue.qsize() >= MAX_QUEUED:
            raise WorkerError(
                f"{MAX_QUEUED} commands wait for the worker", hint="wait for replies before launching more steps"
            )
        self._queue.put(command)

    def close(self) -> None:
        if self._thread is None:
            return
        self._queue.put(None)
        self._thread.join()
        self._thread = None

    def _run(self, handler: Handler) -> None:
        while (command := self._queue.get()) is not None:
            try:
                handler(command)
            except Exception as error:
                # A step's own failure is an answer, not an exception: only the reply callback can bring us here.
                self._death = error
                return
