"""A worker without a model, for everything that must be proved about the control plane.

It keeps a *shadow* of the KV pool: each slot remembers the token written, its position, a hash of the whole prefix up
to it, and who wrote it. Reading a row's slots checks every one of them, so a slot that was freed too early, shared
wrongly or never written is an exception, not a wrong answer. The next token is a hash of the prefix that was really
read, so an oracle that knows only the ids can say what must come out (`next_token`).

    write  slot -> (token, position, prefix hash, row and epoch)
    read   row's slots [0, n): positions must be 0..n-1 and each prefix hash must follow from the one before
    reuse  a slot that an unanswered step reads or writes must not be written by another row
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from ...errors import WorkerError
from ..protocol.plan import StepFailed, StepMasks, StepPlan, StepResult, WorkerCommand, WorkerInfo, WorkerReply
from ..protocol.sampling import RowSampling
from ..protocol.tokens import IntArray, pack, unpack

U64 = NDArray[np.uint64]

_MIX1, _MIX2, _POSITION = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB), np.uint64(0x9E3779B97F4A7C15)
_SHIFT = np.uint64(31)


def _mix(values: U64) -> U64:
    """The finaliser of splitmix64 (Steele, Lea and Flood 2014), wrapping."""
    with np.errstate(over="ignore"):
        values = (values ^ (values >> _SHIFT)) * _MIX1
        values = (values ^ (values >> _SHIFT)) * _MIX2
        return values ^ (values >> _SHIFT)


def prefix_hashes(tokens: IntArray, start: int = 0, before: int = 0) -> U64:
    """Hash of each prefix that ends at one of these tokens, at positions [start, start + n); uint64, shape (n,)."""
    positions = np.arange(start, start + len(tokens), dtype=np.uint64)
    with np.errstate(over="ignore"):
        terms = _mix(tokens.astype(np.uint64) + np.uint64(1) + positions * _POSITION)
        return np.cumsum(terms, dtype=np.uint64) + np.uint64(before)


def next_token(prefix_hash: int, sampling: RowSampling, vocab_size: int, mask: IntArray | None = None) -> int:
    """The token that follows a prefix: a function of its hash, of the seed unless greedy, and of what is allowed."""
    seed = 0 if sampling.greedy else sampling.seed
    draw = int(_mix(np.array([(prefix_hash + seed * 0x9E3779B97F4A7C15) & 0xFFFFFFFFFFFFFFFF], np.uint64))[0])
    if mask is None:
        return draw % vocab_size
    allowed = np.flatnonzero(np.unpackbits(mask.view(np.uint8), bitorder="little")[:vocab_size])
    return int(allowed[draw % len(allowed)]) if len(allowed) else -2


class FakeWorker:
    """See the module's text.

    Args:
        info: pool size, rows, context and vocabulary to pretend.
        on_reply: called with each reply; the sim passes one that delivers later on a virtual clock.
        fails: steps that raise instead of being answered.

    Whoever carries a reply to the core calls `reveal` with it: until then the step counts as in flight.
    """

    def __init__(
        self, info: WorkerInfo, on_reply: Callable[[WorkerReply], None], fails: frozenset[int] = frozenset()
    ) -> None:
        self._info = info
        self._on_reply = on_reply
        self._fails = fails
        slots, rows = info.slots, info.max_rows
        self.token = np.full(slots, -1, np.int32)
        self.position = np.full(slots, -1, np.int32)
        self.prefix = np.zeros(slots, np.uint64)
        self.owner = np.full((slots, 2), -1, np.int32)
        self.busy = np.full(slots, -1, np.int32)  # last step that reads or writes the slot
        self.revealed = -1
        self.table = np.full((rows, info.max_length), -1, np.int32)
        self.length = np.zeros(rows, np.int32)
        self.next_id = np.full(rows, -1, np.int32)
        self.epoch = np.full(rows, -1, np.int32)
        self.sampling: list[RowSampling | None] = [None] * rows
        self.computed_tokens = 0
        self._plans: dict[int, tuple[IntArray, U64]] = {}
        self._failed_through = -1
        self._last_launched = -1
        self._closed = False

    @property
    def info(self) -> WorkerInfo:
        return self._info

    def close(self) -> None:
        self._closed = True

    def submit(self, command: WorkerCommand) -> None:
        if self._closed:
            raise WorkerError("the worker is closed", hint="start a new engine")
        if isinstance(command, StepPlan):
            self._launch(command)
        else:
            self._sample(command)

    def reveal(self, reply: WorkerReply) -> None:
        """The core gets to see this reply now: what its step used may be reused."""
        self.revealed = reply.step

    # ---- launch -------------------------------------------------------------------------------------------------

    def _launch(self, plan: StepPlan) -> None:
        self._expect(plan.step == self._last_launched + 1, f"step {plan.step} launched after {self._last_launched}")
        self._last_launched = plan.step
        if plan.step in self._fails or self._failed_through > self.revealed:
            self._failed_through = plan.step  # what is launched before the core can know of a failure fails with it
        for row in unpack(plan.closed).tolist():
            self.epoch[row], self.length[row], self.next_id[row] = -1, 0, -1
            self.table[row] = -1
        for opened in plan.opened:
            self._expect(self.epoch[opened.row] == -1, f"row {opened.row} is opened twice")
            slots = unpack(opened.slots)
            self.epoch[opened.row] = opened.epoch
            self.table[opened.row, : len(slots)] = slots
            self.sampling[opened.row] = opened.sampling
            self.length[opened.row] = len(slots)
        self._spans(plan)
        hashes: list[U64] = []
        reads: list[tuple[int, int]] = []
        at = 0
        chunk_ids = unpack(plan.chunk_ids)
        for row, start, count in _rows(plan.chunk_rows, plan.chunk_starts, plan.chunk_counts):
            hashes.append(self._write(plan.step, row, start, chunk_ids[at : at + count]))
            reads.append((row, start + count))
            self.length[row] = start + count
            at += count
        decode_slots = unpack(plan.decode_slots)
        for row, slot in zip(unpack(plan.decode_rows).tolist(), decode_slots.tolist(), strict=True):
            position = int(self.length[row])
            doomed = plan.step <= self._failed_through
            self._expect(doomed or self.next_id[row] >= 0, f"row {row} decodes without a next id")
            self.table[row, position] = slot
            hashes.append(self._write(plan.step, row, position, self.next_id[row : row + 1].copy()))
            reads.append((row, position + 1))
            self.length[row] = position + 1
        for row, end in reads:
            self._read(plan.step, row, end)
        flat = np.concatenate(hashes) if hashes else np.empty(0, np.uint64)
        self.computed_tokens += len(flat)
        sample_rows = unpack(plan.sample_rows)
        self._expect(len(np.unique(sample_rows)) == len(sample_rows), "a row samples twice")
        self._plans[plan.step] = (sample_rows, flat[unpack(plan.sample_index)])

    def _spans(self, plan: StepPlan) -> None:
        slots, at = unpack(plan.span_slots), 0
        for row, start, count in _rows(plan.span_rows, plan.span_starts, plan.span_counts):
            self._expect(self.epoch[row] >= 0, f"a span of row {row}, which is not open")
            self.table[row, start : start + count] = slots[at : at + count]
            self.length[row] = max(int(self.length[row]), start + count)
            at += count
        self._expect(at == len(slots), "span slots do not add up")

    def _write(self, step: int, row: int, start: int, tokens: IntArray) -> U64:
        end = start + len(tokens)
        slots = self.table[row, start:end]
        self._expect(bool((slots >= 0).all()), f"row {row} writes positions [{start}, {end}) without slots")
        self._expect(
            bool((self.busy[slots] <= self.revealed).all()),
            f"step {step} row {row} writes slots that step {self.busy[slots].max()} still uses",
        )
        before = int(self.prefix[self.table[row, start - 1]]) if start else 0
        hashes = prefix_hashes(tokens, start, before)
        self.token[slots], self.position[slots], self.prefix[slots] = tokens, np.arange(start, end), hashes
        if step <= self._failed_through:
            self.prefix[slots] = 0  # a failed step leaves nothing that may be read
        self.owner[slots] = row, self.epoch[row]
        return hashes

    def _read(self, step: int, row: int, end: int) -> None:
        slots = self.table[row, :end]
        self._expect(bool((slots >= 0).all()), f"row {row} reads a position without a slot")
        self.busy[slots] = step
        if step <= self._failed_through:
            return
        wrong = np.flatnonzero(self.position[slots] != np.arange(end))
        self._expect(
            len(wrong) == 0,
            f"step {step} row {row} position {wrong[:1]}: slot {slots[wrong[:1]]} holds position "
            f"{self.position[slots[wrong[:1]]]}, written by (row, epoch) {self.owner[slots[wrong[:1]]]}",
        )
        wrong = np.flatnonzero(self.prefix[slots] != prefix_hashes(self.token[slots]))
        self._expect(
            len(wrong) == 0,
            f"step {step} row {row} position {wrong[:1]}: slot {slots[wrong[:1]]} holds another prefix, "
            f"written by (row, epoch) {self.owner[slots[wrong[:1]]]}",
        )

    # ---- sample -------------------------------------------------------------------------------------------------

    def _sample(self, masks: StepMasks) -> None:
        rows, hashes = self._plans.pop(masks.step)
        if masks.step <= self._failed_through:
            self._on_reply(StepFailed(masks.step, "injected fault"))
            return
        void = set(unpack(masks.void).tolist())
        words = (self._info.vocab_size + 31) // 32
        mask_of = dict(zip(unpack(masks.mask_index).tolist(), unpack(masks.masks).reshape(-1, words), strict=True))
        ids = np.full(len(rows), -1, np.int32)
        for i, row in enumerate(rows.tolist()):
            if i in void:
                continue
            sampling = self.sampling[row]
            assert sampling is not None
            ids[i] = next_token(int(hashes[i]), sampling, self._info.vocab_size, mask_of.get(i))
            self.next_id[row] = ids[i]
        self._on_reply(StepResult(masks.step, pack(ids)))

    def _expect(self, holds: bool, message: str) -> None:
        if not holds:
            raise AssertionError(message)


def _rows(rows: bytes, starts: bytes, counts: bytes) -> list[tuple[int, int, int]]:
    return list(zip(unpack(rows).tolist(), unpack(starts).tolist(), unpack(counts).tolist(), strict=True))
