"""An engine whose steps take as long as those of a large model on a GPU, on any machine.

A small random model with the bundled tokenizer runs for real on the CPU; then the worker's thread sleeps until the step
has taken its time, as it would wait for a device. So noise of a shared machine that is shorter than a step does not
reach the stream, as on a GPU, and what holds the engine's own threads does.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable
from pathlib import Path

from ramify import seedling
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


_SMALL = {"hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2, "head_dim": 16}
_SMALL |= {"num_attention_heads": 4, "num_key_value_heads": 2}


def small_model(directory: Path) -> Path:
    """A directory with the bundled tokenizer and the config of a smaller model; load it with random weights."""
    for name in ("tokenizer.json", "tokenizer_config.json", "generation_config.json", "chat_template.jinja"):
        if (seedling.path() / name).exists():
            shutil.copy(seedling.path() / name, directory)
    config = json.loads((seedling.path() / "config.json").read_text())
    (directory / "config.json").write_text(json.dumps(config | _SMALL))
    return directory


def paced_engine(options: EngineOptions, step_seconds: float) -> LocalEngine:
    """A local engine with such a worker."""
    PacedExecutor.step_seconds = step_seconds
    original = torch_worker.ThreadExecutor
    torch_worker.ThreadExecutor = PacedExecutor  # type: ignore[misc]
    try:
        return LocalEngine(options)
    finally:
        torch_worker.ThreadExecutor = original  # type: ignore[misc]
