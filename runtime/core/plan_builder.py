"""Collects one step's work and turns it into a `StepPlan`."""

from __future__ import annotations

import numpy as np

from ..protocol.plan import RowOpen, StepPlan
from ..protocol.tokens import pack
from .messages import Ids
from .rows import Row

_NONE = np.empty(0, np.int32)


class PlanBuilder:
    """Chunks come first among the step's computed tokens, decode rows after them, whatever the order of the calls."""

    def __init__(self, step: int) -> None:
        self.step = step
        self.chunk_tokens = 0
        self.touched: dict[int, Row] = {}
        self._opened: list[RowOpen] = []
        self._spans: list[tuple[int, int, Ids]] = []
        self._chunks: list[tuple[int, int, Ids]] = []
        self._computed: list[tuple[Ids, int]] = []
        self._samples: list[tuple[int, int]] = []
        self._decode_rows: Ids = _NONE
        self._decode_slots: Ids = _NONE

    @property
    def empty(self) -> bool:
        return not self._chunks and not self._samples and len(self._decode_rows) == 0

    @property
    def tokens(self) -> int:
        return self.chunk_tokens + len(self._decode_rows)

    def open(self, row: RowOpen) -> None:
        self._opened.append(row)

    def span(self, row: Row, start: int, slots: Ids) -> None:
        """Positions [start, start + len(slots)) of the row have these slots."""
        if len(slots):
            self.touched[row.index] = row
            self._spans.append((row.index, start, slots))

    def chunk(self, row: Row, start: int, ids: Ids, slots: Ids) -> int:
        """Compute these ids in these slots; the flat index of the chunk's last token."""
        self.span(row, start, slots)
        self._chunks.append((row.index, start, ids))
        self._computed.append((slots, self.chunk_tokens))
        self.chunk_tokens += len(ids)
        return self.chunk_tokens - 1

    def index_of(self, slot: int) -> int | None:
        """The flat index of the chunk token that this very step computes into `slot`."""
        for slots, offset in self._computed:
            (found,) = np.nonzero(slots == slot)
            if len(found):
                return offset + int(found[0])
        return None

    def decode(self, rows: Ids, slots: Ids) -> None:
        self._decode_rows, self._decode_slots = rows, slots

    def sample(self, row: Row, index: int) -> None:
        self.touched[row.index] = row
        self._samples.append((row.index, index))

    def sample_rows(self) -> Ids:
        chunked = np.fromiter((row for row, _ in self._samples), np.int32, len(self._samples))
        return np.concatenate([chunked, self._decode_rows])

    def build(self, closed: list[int]) -> StepPlan:
        index = np.fromiter((i for _, i in self._samples), np.int32, len(self._samples))
        decode_index = np.arange(self.chunk_tokens, self.tokens, dtype=np.int32)
        return StepPlan(
            step=self.step,
            closed=pack(closed),
            opened=self._opened,
            span_rows=pack(row for row, _, _ in self._spans),
            span_starts=pack(start for _, start, _ in self._spans),
            span_counts=pack(len(slots) for _, _, slots in self._spans),
            span_slots=b"".join(slots.tobytes() for _, _, slots in self._spans),
            chunk_rows=pack(row for row, _, _ in self._chunks),
            chunk_starts=pack(start for _, start, _ in self._chunks),
            chunk_counts=pack(len(ids) for _, _, ids in self._chunks),
            chunk_ids=b"".join(ids.tobytes() for _, _, ids in self._chunks),
            decode_rows=pack(self._decode_rows),
            decode_slots=pack(self._decode_slots),
            sample_rows=pack(self.sample_rows()),
            sample_index=pack(np.concatenate([index, decode_index])),
        )
