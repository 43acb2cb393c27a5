"""The rows of the batch on the device: slot table, lengths, next ids. Plans change them by deltas only.

    row r    slots   [ s0 s1 s2 ... s(n-1) | s(n) ...      ]     table_RP[r], written by opens, spans and decode slots
             length    n = positions computed so far             length_R[r], advanced when they are computed
             next id   the sampled token at position n           next_id_R[r], written when it is sampled
             bound     n or more, known to the host              bounds[r]: sizes work without asking the device

The next id has no KV until the row decodes (or a chunk carries it). `RowTable` is the only writer of all four, but for
the sampling kernel, which leaves lengths and next ids as `sampled` would. One row more than the batch has, the scratch
row, pads a captured step to its size (see `decode_graphs.py`).

Shapes: R rows, P positions, T tokens of the step, S sampled rows, D decode rows.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..attention.interface import AttentionBatch, Chunk
from ..kernels.prefixes import SharedPrefixes
from ..kernels.transfer import upload
from ..protocol.plan import StepPlan
from ..protocol.tokens import IntArray, unpack


@dataclass(frozen=True)
class StepTokens:
    """The tokens one step computes, chunks first, then decode rows.

    Attributes:
        ids_T, positions_T: int64, on the device.
        attention: the same tokens as attention sees them.
    """

    ids_T: Tensor
    positions_T: Tensor
    attention: AttentionBatch


class RowTable:
    """Device state of `max_rows` rows of at most `max_length` positions.

    Attributes:
        scratch_row: index of the row that belongs to nobody.
        length_R, next_id_R: int64, on the device.
    """

    def __init__(self, *, max_rows: int, max_length: int, device: torch.device) -> None:
        self._device = device
        self._max_length = max_length
        self.scratch_row = max_rows
        self._table_RP = torch.zeros((max_rows + 1, max_length), dtype=torch.int32, device=device)
        self.length_R = torch.zeros(max_rows + 1, dtype=torch.int64, device=device)
        self.next_id_R = torch.zeros(max_rows + 1, dtype=torch.int64, device=device)
        self._bounds = np.zeros(max_rows, dtype=np.int64)

    def assign_slots(self, plan: StepPlan) -> None:
        """Write the slots of opened rows, then of spans, and reset the lengths of opened rows.

        A span may correct what an open of the same plan wrote: a cached prompt's last token is computed once more, in a
        slot of the row's own, for its logits.
        """
        opened = np.array([opening.row for opening in plan.opened], dtype=np.int64)
        opened_slots = [unpack(opening.slots) for opening in plan.opened]
        counts = np.array([len(slots) for slots in opened_slots], dtype=np.int64)
        self._bounds[opened] = counts
        if opened.size:
            self.length_R[self._upload(opened)] = self._upload(counts)
        span_rows, span_starts, span_counts = unpack(plan.span_rows), unpack(plan.span_starts), unpack(plan.span_counts)
        np.maximum.at(self._bounds, span_rows, span_starts + span_counts)
        if opened.size:
            self._write(self._cells(opened, np.zeros_like(opened), counts), np.concatenate(opened_slots))
        if span_rows.size:
            self._write(self._cells(span_rows, span_starts, span_counts), unpack(plan.span_slots).copy())

    def take_tokens(self, plan: StepPlan, shared: SharedPrefixes | None = None) -> StepTokens:
        """The tokens `plan` computes; lengths advance past them. Call after `assign_slots`, once for each plan.

        `shared`: prefixes that several of its decode rows read together.
        """
        chunk_rows, starts, counts = (
            unpack(data).astype(np.int64) for data in (plan.chunk_rows, plan.chunk_starts, plan.chunk_counts)
        )
        decode_rows = unpack(plan.decode_rows).astype(np.int64)
        decode_D = self._upload(decode_rows)
        positions_D = self.length_R.index_select(0, decode_D)
        decode_slots_D = upload(unpack(plan.decode_slots).copy(), self._device)
        self._table_RP[decode_D, positions_D] = decode_slots_D
        chunk_cells = self._upload(self._cells(chunk_rows, starts, counts))
        chunk_ids = self._upload(unpack(plan.chunk_ids).astype(np.int64))
        positions_T = torch.cat((chunk_cells % self._max_length, positions_D))
        slots_T = torch.cat((self._table_RP.view(-1).index_select(0, chunk_cells), decode_slots_D)).long()
        ids_T = torch.cat((chunk_ids, self.next_id_R.index_select(0, decode_D)))
        lengths_D = positions_D + 1
        self._bounds[decode_rows] += 1
        self.length_R.index_copy_(0, decode_D, lengths_D)
        self._bounds[chunk_rows] = starts + counts
        self.length_R.index_copy_(0, self._upload(chunk_rows), self._upload(starts + counts))
        attention = AttentionBatch(
            table_RP=self._table_RP,
            slots_T=slots_T,
            chunks=[Chunk(*chunk) for chunk in zip(chunk_rows.tolist(), starts.tolist(), counts.tolist(), strict=True)],
            decode_rows=decode_rows,
            rows_D=decode_D,
            lengths_D=lengths_D,
            length_bounds=self._bounds[decode_rows],
            shared=shared,
        )
        return StepTokens(ids_T, positions_T, attention)

    def begin_decode(self, rows_B: Tensor, slots_B: Tensor, shared: SharedPrefixes | None = None) -> StepTokens:
        """`take_tokens` for decode rows that are known on the device alone, as a captured step is; needs Triton.

        Both int64 [B]; entries of the scratch row compute a token that changes nothing but its slot. Whoever replays
        the step reports its rows to `decoded`. `shared`: prefixes that several of them read together.
        """
        from ..kernels.decode_step import begin_decode

        tokens = begin_decode(
            rows_B, slots_B, self._table_RP, self.length_R, self.next_id_R, scratch_row=self.scratch_row
        )
        unknown = np.empty(0, dtype=np.int64)
        attention = AttentionBatch(
            table_RP=self._table_RP,
            slots_T=tokens.slots_B,
            chunks=[],
            decode_rows=unknown,
            rows_D=rows_B,
            lengths_D=tokens.lengths_B,
            length_bounds=unknown,
            shared=shared,
        )
        return StepTokens(tokens.ids_B, tokens.positions_B, attention)

    def decoded(self, rows: NDArray[np.int64]) -> None:
        """A captured step has advanced `rows` on the device."""
        self._bounds[rows] += 1

    def sampled(self, rows: NDArray[np.int64], lengths_S: Tensor, ids_S: Tensor) -> None:
        """Record what was sampled: `rows` have `lengths_S` computed positions and go on with `ids_S`.

        The length is that of the token sampled from, which another row may have computed: a sibling whose prompt is the
        same owns no token of the step. A negative id (nothing could be drawn) becomes 0: the core closes such a row,
        but a step launched meanwhile may still compute it.
        """
        rows_S = self._upload(rows)
        self.length_R.index_copy_(0, rows_S, lengths_S)
        self.next_id_R.index_copy_(0, rows_S, ids_S.clamp(min=0))

    def _write(self, cells: NDArray[np.int64], slots: IntArray) -> None:
        self._table_RP.view(-1).index_copy_(0, self._upload(cells), upload(slots, self._device))

    def _cells(
        self, rows: NDArray[np.integer], starts: NDArray[np.integer], counts: NDArray[np.integer]
    ) -> NDArray[np.int64]:
        """Flat indexes into the table of the ranges `[start, start + count)` of `rows`, concatenated."""
        counts = counts.astype(np.int64)
        first = rows.astype(np.int64) * self._max_length + starts
        ends = counts.cumsum()
        total = int(ends[-1]) if ends.size else 0
        return np.repeat(first - (ends - counts), counts) + np.arange(total)

    def _upload(self, values: NDArray[np.int64]) -> Tensor:
        return upload(values, self._device)
