"""Builds one StepPlan from readable calls: open, chunk, decode, sample."""

from __future__ import annotations

from collections.abc import Sequence

from ramify.runtime.protocol.plan import RowOpen, StepMasks, StepPlan
from ramify.runtime.protocol.sampling import RowSampling
from ramify.runtime.protocol.tokens import pack

GREEDY = RowSampling(temperature=0.0)


class StepBuilder:
    """Collects what one step does. Chunks must be added before decodes: that is the order of the computed tokens."""

    def __init__(self, step: int) -> None:
        self.step = step
        self._tokens = 0
        self._closed: list[int] = []
        self._opened: list[RowOpen] = []
        self._spans: list[tuple[int, int, Sequence[int]]] = []
        self._chunks: list[tuple[int, int, Sequence[int]]] = []
        self._decodes: list[tuple[int, int]] = []
        self._samples: list[tuple[int, int]] = []

    def close(self, row: int) -> None:
        self._closed.append(row)

    def open(
        self,
        row: int,
        epoch: int = 0,
        slots: Sequence[int] = (),
        sampling: RowSampling = GREEDY,
        prompt_ids: Sequence[int] = (),
        output_ids: Sequence[int] = (),
        candidates: Sequence[int] = (),
    ) -> None:
        past = pack(prompt_ids), pack(output_ids)
        self._opened.append(RowOpen(row, epoch, pack(slots), sampling, *past, pack(candidates)))

    def span(self, row: int, start: int, slots: Sequence[int]) -> None:
        self._spans.append((row, start, slots))

    def chunk(self, row: int, start: int, ids: Sequence[int], slots: Sequence[int] | None = None) -> int:
        """Compute `ids` at `start`; writes their slots too if given. The index of the chunk's last token."""
        assert not self._decodes
        if slots is not None:
            self.span(row, start, slots)
        self._chunks.append((row, start, ids))
        self._tokens += len(ids)
        return self._tokens - 1

    def decode(self, row: int, slot: int) -> int:
        """The index of the token."""
        self._decodes.append((row, slot))
        self._tokens += 1
        return self._tokens - 1

    def sample(self, row: int, index: int) -> None:
        self._samples.append((row, index))

    def plan(self) -> StepPlan:
        return StepPlan(
            step=self.step,
            closed=pack(self._closed),
            opened=self._opened,
            span_rows=pack(row for row, _, _ in self._spans),
            span_starts=pack(start for _, start, _ in self._spans),
            span_counts=pack(len(slots) for _, _, slots in self._spans),
            span_slots=pack(slot for _, _, slots in self._spans for slot in slots),
            chunk_rows=pack(row for row, _, _ in self._chunks),
            chunk_starts=pack(start for _, start, _ in self._chunks),
            chunk_counts=pack(len(ids) for _, _, ids in self._chunks),
            chunk_ids=pack(token for _, _, ids in self._chunks for token in ids),
            decode_rows=pack(row for row, _ in self._decodes),
            decode_slots=pack(slot for _, slot in self._decodes),
            sample_rows=pack(row for row, _ in self._samples),
            sample_index=pack(index for _, index in self._samples),
        )


def masks_of(step: int, allowed: dict[int, Sequence[int]], vocab_size: int, void: Sequence[int] = ()) -> StepMasks:
    """Masks of a step: for each sample index, the ids it allows."""
    words = -(-vocab_size // 32)
    data = bytearray()
    for ids in allowed.values():
        bits = 0
        for token in ids:
            bits |= 1 << token
        data += bits.to_bytes(4 * words, "little")
    return StepMasks(step, void=pack(void), mask_index=pack(allowed), masks=bytes(data))
