"""The torch worker: applies plans to the device's rows, runs the model, draws tokens, answers.

    StepPlan   -> close and open rows, write slots -> forward -> logits of the sampled tokens are kept
    StepMasks  -> draw from them -> rows advance on the device -> ids to the host -> StepResult

Commands only queue work (`runner.py`); the one wait for the device is that for a step's ids, on the answering thread,
so the next step is launched while this one still runs.

Every launched step is answered exactly once, when its `StepMasks` arrives: with its ids, or with `StepFailed` when the
step, or one in front of it whose rows are still open, raised (see `failures.py`). An id is `VOID` for a void sample,
and `NO_TOKEN` for a row that has nothing to draw from, which fails that row's request alone.

Shapes: S sampled rows, V vocab_size.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...errors import WorkerError
from ..protocol.plan import StepFailed, StepMasks, StepPlan, StepResult, WorkerCommand, WorkerInfo, WorkerReply
from ..protocol.tokens import pack, unpack
from ..sampling.draw import VOID
from ..sampling.masks import words_per_row
from ..sampling.sampler import Masks
from .executor import Executor, ThreadExecutor
from .failures import FailedRows
from .load import load_runner
from .options import WorkerOptions
from .plan_check import PlanCheck
from .runner import StepRunner

MAX_ERROR_TEXT = 2000


@dataclass(frozen=True)
class _Launched:
    """A step between its launch and its masks.

    Attributes:
        rows: the plan's `sample_rows`, host int64, shape (S,).
        logits_SV: of the tokens they sample from; None when S is 0 or the step failed.
        lengths_S: computed positions of each sampled row, which is the position of its next token; on the device.
        error: why the step failed, None if it did not.
    """

    plan: StepPlan
    rows: NDArray[np.int64]
    logits_SV: Tensor | None
    lengths_S: Tensor | None
    error: str | None = None


class TorchWorker:
    """One model on one device, behind `protocol.plan.Worker`. See `load.load_worker` for one from a directory.

    Args:
        runner: computes steps over a pool of `info.slots` slots.
        info: what the core is told.
        on_reply: gets each reply, in order, on one of the executor's threads. Must not raise.
        executor: where commands run and answers wait for the device; the worker starts and closes it.
        checked: verify every plan (see `plan_check.py`).
    """

    def __init__(
        self,
        runner: StepRunner,
        info: WorkerInfo,
        on_reply: Callable[[WorkerReply], None],
        *,
        executor: Executor,
        checked: bool = False,
    ) -> None:
        self._runner: StepRunner | None = runner
        self._info = info
        self._on_reply = on_reply
        # On a CPU nothing is left to wait for when a command has run.
        self._answers_at_once = runner.device.type == "cpu"
        self._on_cuda = runner.device.type == "cuda"
        self._on_device = torch.cuda.device(runner.device) if self._on_cuda else nullcontext()
        self._failed_rows = FailedRows()
        self._check = PlanCheck(info) if checked else None
        self._launched: _Launched | None = None
        self._executor = executor
        executor.start(self._handle)

    @classmethod
    def load(
        cls,
        directory: Path,
        on_reply: Callable[[WorkerReply], None],
        options: WorkerOptions | None = None,
        *,
        executor: Executor | None = None,
    ) -> TorchWorker:
        """A worker for the model in `directory`, on threads of its own unless `executor` says otherwise.

        Raises:
            ModelNotFound, UnsupportedModel: see `models.registry.load_config` and `models.loader.load_weights`.
            WorkerError: the device does not exist, its memory does not suffice, or the pool is too small.
        """
        options = options or WorkerOptions()
        runner, info = load_runner(directory, options)
        return cls(runner, info, on_reply, executor=executor or ThreadExecutor(), checked=options.checked)

    @property
    def info(self) -> WorkerInfo:
        return self._info

    def mask_buffers(self) -> NDArray[np.int32]:
        """Memory for the masks of two steps in turn, from which they are copied to the device without waiting.

        Returns:
            int32[2, max_rows, words], pinned where the device has a bus of its own.
        """
        shape = (2, self._info.max_rows, words_per_row(self._info.vocab_size))
        buffers: NDArray[np.int32] = torch.empty(shape, dtype=torch.int32, pin_memory=self._on_cuda).numpy()
        return buffers

    def submit(self, command: WorkerCommand) -> None:
        self._executor.submit(command)

    def close(self) -> None:
        self._executor.close()
        self._runner = self._launched = None

    def _handle(self, command: WorkerCommand) -> None:
        # Both belong to a thread, so they are entered here and not where the worker is made.
        with torch.inference_mode(), self._on_device:
            if isinstance(command, StepPlan):
                if self._launched is not None:
                    self._abandon(self._launched)
                self._launched = self._launch(command)
            else:
                self._sample(command)

    def _launch(self, plan: StepPlan) -> _Launched:
        rows = unpack(plan.sample_rows).astype(np.int64)
        try:
            if self._runner is None:
                raise WorkerError("the worker is closed")
            blocked = self._failed_rows.blocks(plan)
            if blocked is None and self._check is not None:
                self._check.apply(plan)
            self._runner.open_and_close(plan)
            if blocked is not None:
                return _Launched(plan, rows, None, None, self._fail(plan, blocked))
            return _Launched(plan, rows, *(self._runner.forward(plan) or (None, None)))
        except Exception as error:
            return _Launched(plan, rows, None, None, self._fail(plan, _describe(error)))

    def _sample(self, masks: StepMasks) -> None:
        launched, self._launched = self._launched, None
        if launched is None or launched.plan.step != masks.step:
            if launched is not None:
                self._abandon(launched)
            self._answer(StepFailed(masks.step, "masks came for a step that was not launched before them"))
        elif launched.error is not None:
            self._answer(StepFailed(masks.step, launched.error))
        else:
            try:
                if self._check is not None:
                    self._check.masks(launched.plan, masks)
                self._draw(launched, masks)
            except Exception as error:
                self._answer(StepFailed(masks.step, self._fail(launched.plan, _describe(error))))

    def _draw(self, launched: _Launched, masks: StepMasks) -> None:
        samples = len(launched.rows)
        live = np.setdiff1d(np.arange(samples), unpack(masks.void))
        ids = np.full(samples, VOID, dtype=np.int64)
        if self._runner is None or launched.logits_SV is None or launched.lengths_S is None or not live.size:
            self._answer(StepResult(masks.step, pack(ids)))
            return
        fetched = self._runner.sample(
            launched.logits_SV, launched.lengths_S, launched.rows, live, self._live_masks(masks, live)
        ).fetch()

        def reply() -> WorkerReply:
            # Here somebody waits for the device, once a step: an answering thread, or on a CPU nobody.
            ids[live], logprobs, scores = fetched.wait(live)
            return StepResult(masks.step, pack(ids), logprobs, scores)

        if self._answers_at_once:
            self._on_reply(reply())
        else:
            self._executor.answer(partial(self._reply_late, masks.step, reply))

    def _answer(self, reply: WorkerReply) -> None:
        """Answer in the order of the steps: behind those that still wait for the device."""
        if self._answers_at_once:
            self._on_reply(reply)
        else:
            self._executor.answer(partial(self._on_reply, reply))

    def _reply_late(self, step: int, reply: Callable[[], WorkerReply]) -> None:
        try:
            message = reply()
        except Exception as error:  # what a kernel ran into shows only here; the device is lost to later steps as well
            message = StepFailed(step, _describe(error)[:MAX_ERROR_TEXT])
        self._on_reply(message)

    def _live_masks(self, masks: StepMasks, live: NDArray[np.int64]) -> Masks | None:
        """The masks of the samples `live`, which are sorted; None if they have none. Raises WorkerError."""
        index = unpack(masks.mask_index)
        wanted = np.flatnonzero(np.isin(index, live))
        if not wanted.size:
            return None
        row_bytes = 4 * words_per_row(self._info.vocab_size)
        if len(masks.masks) != row_bytes * len(index):
            raise WorkerError(
                f"{len(index)} masks have {len(masks.masks)} bytes, not {row_bytes} each",
                where=f"StepMasks {masks.step}",
            )
        packed = np.frombuffer(masks.masks, dtype=np.uint8).reshape(len(index), row_bytes)
        if not packed.flags.writeable:  # as bytes come off a wire; torch takes no such memory
            packed = packed.copy()
        return Masks(np.searchsorted(live, index[wanted]), wanted, packed)

    def _fail(self, plan: StepPlan, error: str) -> str:
        """Remember what the failed step of `plan` leaves behind; `error` as it is reported."""
        self._failed_rows.fail(plan)
        if self._check is not None:
            self._check.abandon(plan)
        return error[:MAX_ERROR_TEXT]

    def _abandon(self, launched: _Launched) -> None:
        """Answer a step whose masks never came, before the next one takes its place."""
        error = self._fail(launched.plan, launched.error or "the step was launched but never sampled")
        self._answer(StepFailed(launched.plan.step, error))


def _describe(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"
