"""An engine whose steps take as long as those of a large model on a GPU, on any machine.

The model is the bundled one and runs for real on the CPU; then the worker's thread sleeps until the step has taken its
time, as it would wait for a device. So noise of a shared machine that is shorter than a step does not reach the stream,
as on a GPU, and what holds the engine's own threads does.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from ramify.runtime.client.local import LocalEngine
from ramify.runtime.engine.options import EngineOptions
from ramify.runtime.protocol.plan import StepMasks, WorkerCommand
from ramify.runtime.worker import torch_worker
from ramify.runtime.worker.executor import ThreadExecutor


class PacedExecutor(ThreadExecutor):
    """Answers each step no sooner than `step_seconds` after the one before."""

    step_seconds = 0.025

    def start(self, handler: Callable[[WorkerCommand], None]) -> None:
        last = 0.0

        def paced(command: WorkerCommand) -> None:
            nonlocal last
            if isinstance(command, StepMasks):
                now = time.monotonic()
                due = max(last + self.step_seconds, now)
                time.sleep(due - now)
                last = due
            handler(command)

        super().start(paced)


def paced_engine(options: EngineOptions, step_seconds: float) -> LocalEngine:
    """A local engine with such a worker."""
    PacedExecutor.step_seconds = step_seconds
    original = torch_worker.ThreadExecutor
    torch_worker.ThreadExecutor = PacedExecutor  # type: ignore[misc]
    try:
        return LocalEngine(options)
    finally:
        torch_worker.ThreadExecutor = original  # type: ignore[misc]
