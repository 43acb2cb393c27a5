"""The invariants of a plan, checked against a host mirror of the rows (`WorkerOptions.checked`).

Kernels trust a plan: a wrong slot silently overwrites another request's KV. Tests run every plan through here, so that
a fault of the core fails the step that carries it and names the field, instead of showing up as odd text later. Costs a
few dozen numpy calls a step and no device time.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ...errors import WorkerError
from ..protocol.plan import StepMasks, StepPlan, WorkerInfo
from ..protocol.tokens import IntArray, unpack
from ..sampling.masks import words_per_row
from .failures import touched_rows


class PlanCheck:
    """What a core may ask of a worker with these `info`, given the plans so far."""

    def __init__(self, info: WorkerInfo) -> None:
        self._info = info
        self._step = -1
        self._open = np.zeros(info.max_rows, dtype=np.bool_)
        self._epoch = np.full(info.max_rows, -1, dtype=np.int64)
        self._filled = np.zeros(info.max_rows, dtype=np.int64)
        self._length = np.zeros(info.max_rows, dtype=np.int64)
        self._has_next = np.zeros(info.max_rows, dtype=np.bool_)
        self._table = np.zeros((info.max_rows, info.max_length), dtype=np.int32)
        self._where = ""

    def apply(self, plan: StepPlan) -> None:
        """Check `plan` and take over its effects. Raises WorkerError, and then knows nothing of the rows it touched."""
        self._where = f"StepPlan {plan.step}"
        self._require(plan.step == self._step + 1, f"step {plan.step} follows step {self._step}")
        self._require(not plan.copies, "copies are not implemented")
        self._step = plan.step
        self._close_and_open(plan)
        self._spans(plan)
        positions = self._tokens(plan)
        self._samples(plan, positions)

    def masks(self, plan: StepPlan, masks: StepMasks) -> None:
        """Check the masks of `plan`. Raises WorkerError."""
        self._where = f"StepMasks {masks.step}"
        samples = len(unpack(plan.sample_rows))
        for name, index in (("void", unpack(masks.void)), ("mask_index", unpack(masks.mask_index))):
            self._within(name, index, samples)
            self._distinct(name, index)
        expected = 4 * words_per_row(self._info.vocab_size) * len(unpack(masks.mask_index))
        self._require(len(masks.masks) == expected, f"masks have {len(masks.masks)} bytes, expected {expected}")

    def abandon(self, plan: StepPlan) -> None:
        """The step of `plan` failed: the rows it touched may be closed, and are unknown until then."""
        self._step = plan.step
        self._open[[row for row in unpack(plan.closed).tolist() if 0 <= row < len(self._open)]] = False
        self._open[[row for row in touched_rows(plan) if 0 <= row < len(self._open)]] = True

    def _close_and_open(self, plan: StepPlan) -> None:
        closed = unpack(plan.closed)
        self._rows_open("closed", closed)
        self._open[closed] = False
        for opening in plan.opened:
            row, slots = opening.row, unpack(opening.slots)
            self._within("opened.row", np.array([row]), self._info.max_rows)
            self._require(not self._open[row], f"opened row {row} is open already")
            self._require(opening.epoch > self._epoch[row], f"opened row {row} repeats epoch {opening.epoch}")
            self._within("opened.slots", slots, self._info.slots)
            self._require(len(slots) <= self._info.max_length, f"opened row {row} has {len(slots)} slots")
            past = (("prompt_ids", opening.prompt_ids), ("output_ids", opening.output_ids))
            for name, ids in (*past, ("candidates", opening.candidates)):
                self._within(f"opened.{name}", unpack(ids), self._info.vocab_size)
            self._open[row] = True
            self._epoch[row] = opening.epoch
            self._table[row, : len(slots)] = slots
            self._filled[row] = self._length[row] = len(slots)
            self._has_next[row] = False

    def _spans(self, plan: StepPlan) -> None:
        rows, starts, counts = unpack(plan.span_rows), unpack(plan.span_starts), unpack(plan.span_counts)
        self._require(
            len(rows) == len(starts) == len(counts), "span_rows, span_starts and span_counts differ in length"
        )
        self._rows_open("span_rows", rows, distinct=False)
        self._require(bool((counts > 0).all()), "a span is empty")
        slots = unpack(plan.span_slots)
        self._require(len(slots) == int(counts.sum()), f"span_slots has {len(slots)} slots for {int(counts.sum())}")
        self._within("span_slots", slots, self._info.slots)
        first = 0
        written: set[int] = set()
        for row, start, count in zip(rows.tolist(), starts.tolist(), counts.tolist(), strict=True):
            filled = int(self._filled[row])
            self._require(0 <= start <= filled, f"a span of row {row} starts at {start}, its slots end at {filled}")
            self._require(start + count <= self._info.max_length, f"a span of row {row} passes max_length")
            cells = range(row * self._info.max_length + start, row * self._info.max_length + start + count)
            self._require(written.isdisjoint(cells), f"two spans write the same positions of row {row}")
            written.update(cells)
            self._table[row, start : start + count] = slots[first : first + count]
            self._filled[row] = max(filled, start + count)
            first += count

    def _tokens(self, plan: StepPlan) -> NDArray[np.int64]:
        """Check chunks and decode rows; the position of each computed token."""
        rows, starts, counts = unpack(plan.chunk_rows), unpack(plan.chunk_starts), unpack(plan.chunk_counts)
        decode = unpack(plan.decode_rows)
        same_length = len(rows) == len(starts) == len(counts)
        self._require(same_length, "chunk_rows, chunk_starts and chunk_counts differ in length")
        self._rows_open("chunk_rows and decode_rows", np.concatenate((rows, decode)))
        self._require(bool((counts > 0).all()), "a chunk is empty")
        self._require(len(unpack(plan.chunk_ids)) == int(counts.sum()), "chunk_ids and chunk_counts differ")
        self._within("chunk_ids", unpack(plan.chunk_ids), self._info.vocab_size)
        slots = unpack(plan.decode_slots)
        self._require(len(slots) == len(decode), "decode_rows and decode_slots differ in length")
        self._within("decode_slots", slots, self._info.slots)
        written = [slots]
        positions = [np.empty(0, dtype=np.int64)]
        for row, start, count in zip(rows.tolist(), starts.tolist(), counts.tolist(), strict=True):
            filled = int(self._filled[row])
            fits = start >= 0 and start + count <= filled
            self._require(fits, f"a chunk of row {row} is [{start}, {start + count}), its slots end at {filled}")
            positions.append(np.arange(start, start + count))
            written.append(self._table[row, start : start + count])
            self._length[row] = start + count
            self._has_next[row] = False
        for row, slot in zip(decode.tolist(), slots.tolist(), strict=True):
            self._require(bool(self._has_next[row]), f"row {row} decodes before it sampled")
            self._require(self._length[row] < self._info.max_length, f"row {row} passes max_length")
            positions.append(self._length[row : row + 1].copy())
            self._table[row, self._length[row]] = slot
            self._length[row] += 1
            self._filled[row] = max(self._filled[row], self._length[row])
            self._has_next[row] = False
        self._distinct("the slots of computed tokens", np.concatenate(written))
        return np.concatenate(positions)

    def _samples(self, plan: StepPlan, positions: NDArray[np.int64]) -> None:
        rows, index = unpack(plan.sample_rows), unpack(plan.sample_index)
        self._require(len(rows) == len(index), "sample_rows and sample_index differ in length")
        self._rows_open("sample_rows", rows)
        self._within("sample_index", index, len(positions))
        for row, length in zip(rows.tolist(), (positions[index] + 1).tolist(), strict=True):
            filled = int(self._filled[row])
            self._require(length <= filled, f"row {row} samples position {length}, its slots end at {filled}")
            self._length[row] = length
            self._has_next[row] = True

    def _rows_open(self, name: str, rows: IntArray, *, distinct: bool = True) -> None:
        self._within(name, rows, self._info.max_rows)
        if distinct:
            self._distinct(name, rows)
        closed = rows[~self._open[rows]]
        self._require(not closed.size, f"{name} names rows {closed.tolist()}, which are not open")

    def _distinct(self, name: str, values: IntArray) -> None:
        self._require(len(np.unique(values)) == len(values), f"{name} repeats an entry: {values.tolist()}")

    def _within(self, name: str, values: NDArray[np.integer], bound: int) -> None:
        if values.size:
            low, high = int(values.min()), int(values.max())
            self._require(low >= 0 and high < bound, f"{name} reaches from {low} to {high}, outside [0, {bound})")

    def _require(self, condition: bool, what: str) -> None:
        if not condition:
            raise WorkerError(
                f"broken plan: {what}", where=self._where, hint="this is a fault in ramify: please report it"
            )
