"""The torch worker: applies plans to the device's rows, runs the model, draws tokens, answers.

    StepPlan   -> close and open rows, write slots -> forward -> logits of the sampled tokens are kept
    StepMasks  -> draw from them -> rows advance on the device -> StepResult

Every launched step is answered exactly once, when its `StepMasks` arrives: with its ids, or with `StepFailed` when the
step, or one in front of it whose rows are still open, raised (see `failures.py`). An id is `VOID` for a void sample,
and `NO_TOKEN` for a row that has nothing to draw from, which fails that row's request alone.

Shapes: T tokens of the step, S sampled rows, E hidden_size, V vocab_size.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...errors import WorkerError
from ..attention.interface import AttentionBackend
from ..attention.kv_pool import KVLayout, KVPool
from ..attention.torch_backend import TorchAttention
from ..models.loader import fill_random, load_weights
from ..models.registry import CausalLM, build_model, load_config
from ..protocol.plan import (
    CacheSpec,
    StepFailed,
    StepMasks,
    StepPlan,
    StepResult,
    WorkerCommand,
    WorkerInfo,
    WorkerReply,
)
from ..protocol.tokens import pack, unpack
from ..sampling.draw import VOID
from ..sampling.masks import words_per_row
from ..sampling.sampler import Masks, Sampler
from .executor import Executor, ThreadExecutor
from .failures import FailedRows
from .options import WorkerOptions
from .plan_check import PlanCheck
from .rows import RowTable

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
    """One model on one device, behind `protocol.plan.Worker`.

    Args:
        model: with its weights, on `device`.
        attention: over a pool of `info.slots` slots.
        info: what the core is told.
        on_reply: gets each reply, in order, on the executor's thread. Must not raise.
        executor: where commands run; the worker starts and closes it.
        checked: verify every plan (see `plan_check.py`).
    """

    def __init__(
        self,
        model: CausalLM,
        attention: AttentionBackend,
        info: WorkerInfo,
        on_reply: Callable[[WorkerReply], None],
        *,
        device: torch.device,
        executor: Executor,
        checked: bool = False,
    ) -> None:
        self._model: CausalLM | None = model
        self._attention: AttentionBackend | None = attention
        self._info = info
        self._on_reply = on_reply
        self._device = device
        self._rows = RowTable(max_rows=info.max_rows, max_length=info.max_length, device=device)
        self._sampler = Sampler(max_rows=info.max_rows, vocab_size=info.vocab_size, device=device)
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
        """A worker for the model in `directory`, on a thread of its own unless `executor` says otherwise.

        Raises:
            ModelNotFound, UnsupportedModel: see `models.registry.load_config` and `models.loader.load_weights`.
            WorkerError: the device does not exist, its memory does not suffice, or the pool is too small.
        """
        options = options or WorkerOptions()
        config = load_config(directory)
        device, dtype = options.torch_device(), options.torch_dtype(config)
        max_length = options.row_length(config)
        layout = KVLayout(dtype)
        bytes_per_slot = KVPool.bytes_per_slot(
            layout, layers=config.num_layers, kv_heads=config.num_kv_heads, head_dim=config.head_dim
        )
        slots = options.pool_slots(bytes_per_slot)
        # A layer's window hides old positions and frees none: every layer keeps a slot for each, which is "full".
        info = WorkerInfo(
            slots=slots,
            max_rows=options.max_rows,
            max_length=max_length,
            vocab_size=config.vocab_size,
            cache=[CacheSpec(kind="full", layers=config.num_layers, bytes_per_slot=bytes_per_slot)],
        )
        try:
            model = build_model(config, dtype=dtype, device=device, max_length=max_length)
            pool = KVPool(
                layout,
                layers=config.num_layers,
                slots=slots,
                kv_heads=config.num_kv_heads,
                head_dim=config.head_dim,
                device=device,
            )
        except (MemoryError, RuntimeError) as error:
            raise WorkerError(
                f"no memory on {device} for the model and {slots} slots of {bytes_per_slot} bytes: {error}",
                where=str(directory),
                hint="give the KV pool fewer slots or bytes, or use a smaller dtype",
            ) from error
        if options.load_format == "dummy":
            fill_random(model, config, options.seed)
        else:
            load_weights(model, config, directory)
        return cls(
            model,
            TorchAttention(pool),
            info,
            on_reply,
            device=device,
            executor=executor or ThreadExecutor(),
            checked=options.checked,
        )

    @property
    def info(self) -> WorkerInfo:
        return self._info

    def submit(self, command: WorkerCommand) -> None:
        self._executor.submit(command)

    def close(self) -> None:
        self._executor.close()
        self._model = self._attention = self._launched = None

    def _handle(self, command: WorkerCommand) -> None:
        # inference_mode belongs to a thread, so it is entered here and not where the worker is made.
        with torch.inference_mode():
            if isinstance(command, StepPlan):
                if self._launched is not None:
                    self._abandon(self._launched)
                self._launched = self._launch(command)
            else:
                self._on_reply(self._sample(command))

    def _launch(self, plan: StepPlan) -> _Launched:
        rows = unpack(plan.sample_rows).astype(np.int64)
        try:
            blocked = self._failed_rows.blocks(plan)
            if blocked is None and self._check is not None:
                self._check.apply(plan)
            self._open_and_close(plan)
            if blocked is not None:
                return _Launched(plan, rows, None, None, self._fail(plan, blocked))
            logits_SV, lengths_S = self._forward(plan)
            return _Launched(plan, rows, logits_SV, lengths_S)
        except Exception as error:
            return _Launched(plan, rows, None, None, self._fail(plan, _describe(error)))

    def _open_and_close(self, plan: StepPlan) -> None:
        for row in unpack(plan.closed).tolist():
            self._sampler.close(row)
        for opening in plan.opened:
            self._sampler.open(opening)
        self._rows.assign_slots(plan)

    def _forward(self, plan: StepPlan) -> tuple[Tensor | None, Tensor | None]:
        """Compute the plan's tokens; logits [S, V] and lengths [S] of the rows that sample, None when none does."""
        if self._model is None or self._attention is None:
            raise WorkerError("the worker is closed")
        tokens = self._rows.take_tokens(plan)
        if not tokens.ids_T.shape[0]:
            return None, None
        hidden_TE = self._model(tokens.ids_T, tokens.positions_T, self._attention.begin(tokens.attention))
        index = unpack(plan.sample_index).astype(np.int64)
        if not index.size:
            return None, None
        # Siblings sample from one token: it passes the head once.
        distinct, copy_of = np.unique(index, return_inverse=True)
        logits_SV = self._model.logits(hidden_TE.index_select(0, self._upload(distinct)))
        if distinct.size < index.size or not np.array_equal(distinct, index):
            logits_SV = logits_SV.index_select(0, self._upload(copy_of))
        lengths_S = tokens.positions_T.index_select(0, self._upload(index)) + 1
        return logits_SV.to(torch.promote_types(logits_SV.dtype, torch.float32)), lengths_S

    def _sample(self, masks: StepMasks) -> WorkerReply:
        launched, self._launched = self._launched, None
        if launched is None or launched.plan.step != masks.step:
            if launched is not None:
                self._abandon(launched)
            return StepFailed(masks.step, "masks came for a step that was not launched before them")
        if launched.error is not None:
            return StepFailed(masks.step, launched.error)
        try:
            if self._check is not None:
                self._check.masks(launched.plan, masks)
            return self._draw(launched, masks)
        except Exception as error:
            return StepFailed(masks.step, self._fail(launched.plan, _describe(error)))

    def _draw(self, launched: _Launched, masks: StepMasks) -> StepResult:
        ids = np.full(len(launched.rows), VOID, dtype=np.int64)
        live = np.setdiff1d(np.arange(len(ids)), unpack(masks.void))
        if not live.size or launched.logits_SV is None or launched.lengths_S is None:
            return StepResult(masks.step, pack(ids))
        rows, logits_SV, lengths_S = launched.rows[live], launched.logits_SV, launched.lengths_S
        if live.size < len(ids):
            logits_SV, lengths_S = logits_SV[self._upload(live)], lengths_S[self._upload(live)]
        sampled = self._sampler.sample(logits_SV, rows, lengths_S, self._live_masks(masks, live))
        self._rows.sampled(rows, lengths_S, sampled.ids_S)
        # Here the host waits for the device, once a step.
        live_ids: NDArray[np.int64] = sampled.ids_S.cpu().numpy()
        ids[live] = live_ids
        return StepResult(masks.step, pack(ids), sampled.logprobs(live_ids, live), sampled.scores(live_ids, live))

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
        return Masks(np.searchsorted(live, index[wanted]), packed[wanted])

    def _fail(self, plan: StepPlan, error: str) -> str:
        """Remember what the failed step of `plan` leaves behind; `error` as it is reported."""
        self._failed_rows.fail(plan)
        if self._check is not None:
            self._check.abandon(plan)
        return error[:MAX_ERROR_TEXT]

    def _abandon(self, launched: _Launched) -> None:
        """Answer a step whose masks never came, before the next one takes its place."""
        error = self._fail(launched.plan, launched.error or "the step was launched but never sampled")
        self._on_reply(StepFailed(launched.plan.step, error))

    def _upload(self, values: NDArray[np.int64]) -> Tensor:
        return torch.from_numpy(values).to(self._device)


def _describe(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"
