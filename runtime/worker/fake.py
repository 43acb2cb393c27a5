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
from ..protocol.plan import Scores, StepFailed, StepMasks, StepPlan, StepResult, WorkerCommand, WorkerInfo, WorkerReply
from ..protocol.sampling import RowSampling
from ..protocol.tokens import IntArray, pack, unpack
from .failures import FailedRows

U64 = NDArray[np.uint64]

_MIX1, _MIX2, _POSITION = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB), np.uint64(0x9E3779B97F4A7C15)
_SHIFT = np.uint64(31)


def _mix(values: U64) -> U64:
    """The finaliser of splitmix64 (Steele, Lea and Flood 2014), wrapping."""
    with np.errstate(over="ignore"):
        values = (values ^ (values >> _SHIFT)) * _MIX1
        values = (values ^ (values >> _SHIFT)) * _MIX2
        return values ^ (values >> _SHIFT)


def _terms(tokens: IntArray, positions: IntArray) -> U64:
    """What each (token, position) adds to the hashes of the prefixes that hold it; same shape, uint64."""
    with np.errstate(over="ignore"):
        return _mix(tokens.astype(np.uint64) + np.uint64(1) + positions.astype(np.uint64) * _POSITION)


def prefix_hashes(tokens: IntArray, start: int = 0, before: int = 0) -> U64:
    """Hash of each prefix that ends at one of these tokens, at positions [start, start + n); uint64, shape (n,)."""
    with np.errstate(over="ignore"):
        terms = _terms(tokens, np.arange(start, start + len(tokens), dtype=np.int32))
        return np.cumsum(terms, dtype=np.uint64) + np.uint64(before)


def next_token(prefix_hash: int, sampling: RowSampling, vocab_size: int, mask: IntArray | None = None) -> int:
    """The token that follows a prefix: a function of its hash, of the seed unless greedy, and of what is allowed."""
    seed = 0 if sampling.greedy else sampling.seed
    draw = int(_mix(np.array([(prefix_hash + seed * 0x9E3779B97F4A7C15) & 0xFFFFFFFFFFFFFFFF], np.uint64))[0])
    if mask is None:
        return draw % vocab_size
    allowed = np.flatnonzero(np.unpackbits(mask.view(np.uint8), bitorder="little")[:vocab_size])
    return int(allowed[draw % len(allowed)]) if len(allowed) else -2


def choice_scores(prefix_hash: int, candidates: IntArray) -> NDArray[np.float32]:
    """The log probabilities of `candidates` behind a prefix, renormalised over them; float32, shape (n,)."""
    with np.errstate(over="ignore"):
        draws = _mix(candidates.astype(np.uint64) + np.uint64(prefix_hash))
    logits = (draws >> np.uint64(11)).astype(np.float64) * 2.0**-50
    logits -= logits.max()
    return np.asarray(logits - np.log(np.exp(logits).sum()), np.float32)


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
        self.candidates: list[IntArray] = [np.empty(0, np.int32)] * rows
        self.computed_tokens = 0
        self._plans: dict[int, tuple[IntArray, U64]] = {}
        self._failed_rows = FailedRows()
        self._failed: set[int] = set()  # steps between their failure and their answer
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
        if plan.step != self._last_launched + 1:
            raise AssertionError(f"step {plan.step} launched after {self._last_launched}")
        self._last_launched = plan.step
        blocked = self._failed_rows.blocks(plan)
        if blocked is not None and self._failed_rows.first <= self.revealed:
            raise AssertionError(f"step {plan.step}: {blocked}, although the core knows")
        if blocked is not None or plan.step in self._fails:
            self._failed_rows.fail(plan)
            self._failed.add(plan.step)
        self._open_and_close(plan)
        self._assign(plan)
        chunks = _rows(plan.chunk_rows, plan.chunk_starts, plan.chunk_counts)
        hashes = self._write_chunks(plan, chunks)
        decode_rows = unpack(plan.decode_rows)
        hashes = np.concatenate([hashes, self._write_decode(plan, decode_rows)])
        self.computed_tokens += len(hashes)
        reading = np.array([*(row for row, _, _ in chunks), *decode_rows], np.int32)
        self._read(plan.step, reading)
        sample_rows = unpack(plan.sample_rows)
        if len(np.unique(sample_rows)) != len(sample_rows):
            raise AssertionError(f"step {plan.step}: a row samples twice")
        self._plans[plan.step] = (sample_rows, hashes[unpack(plan.sample_index)])

    def _open_and_close(self, plan: StepPlan) -> None:
        for row in unpack(plan.closed).tolist():
            self.epoch[row], self.length[row], self.next_id[row] = -1, 0, -1
            self.table[row] = -1
        for opened in plan.opened:
            if self.epoch[opened.row] != -1:
                raise AssertionError(f"row {opened.row} is opened twice")
            slots = unpack(opened.slots)
            self.epoch[opened.row] = opened.epoch
            self.table[opened.row, : len(slots)] = slots
            self.sampling[opened.row] = opened.sampling
            self.candidates[opened.row] = unpack(opened.candidates)
            self.length[opened.row] = len(slots)

    def _assign(self, plan: StepPlan) -> None:
        slots, at = unpack(plan.span_slots), 0
        for row, start, count in _rows(plan.span_rows, plan.span_starts, plan.span_counts):
            if self.epoch[row] < 0:
                raise AssertionError(f"a span of row {row}, which is not open")
            self.table[row, start : start + count] = slots[at : at + count]
            self.length[row] = max(int(self.length[row]), start + count)
            at += count
        if at != len(slots):
            raise AssertionError(f"spans of {at} positions with {len(slots)} slots")

    def _write_chunks(self, plan: StepPlan, chunks: list[tuple[int, int, int]]) -> U64:
        ids, at = unpack(plan.chunk_ids), 0
        hashes: list[U64] = [np.empty(0, np.uint64)]
        for row, start, count in chunks:
            slots = self.table[row, start : start + count]
            before = int(self.prefix[self.table[row, start - 1]]) if start else 0
            written = prefix_hashes(ids[at : at + count], start, before)
            rows, positions = np.full(count, row, np.int32), np.arange(start, start + count, dtype=np.int32)
            self._write(plan.step, rows, positions, slots, ids[at : at + count], written)
            self.length[row] = start + count
            hashes.append(written)
            at += count
        return np.concatenate(hashes)

    def _write_decode(self, plan: StepPlan, rows: IntArray) -> U64:
        """Each row computes its next id at its own length; all of them at once."""
        slots, positions, ids = unpack(plan.decode_slots), self.length[rows], self.next_id[rows]
        if (ids < 0).any() and plan.step not in self._failed:
            raise AssertionError(f"rows {rows[ids < 0]} decode without a next id")
        self.table[rows, positions] = slots
        with np.errstate(over="ignore"):
            hashes = self.prefix[self.table[rows, positions - 1]] + _terms(ids, positions)
        self._write(plan.step, rows, positions, slots, ids, hashes)
        self.length[rows] = positions + 1
        return hashes

    def _write(
        self, step: int, rows: IntArray, positions: IntArray, slots: IntArray, tokens: IntArray, hashes: U64
    ) -> None:
        if (slots < 0).any():
            raise AssertionError(f"step {step}: rows {rows[slots < 0]} write positions without slots")
        early = self.busy[slots] > self.revealed
        if early.any():
            raise AssertionError(
                f"step {step}: rows {rows[early]} write slots that step {self.busy[slots[early]]} still uses"
            )
        self.token[slots], self.position[slots] = tokens, positions
        self.prefix[slots] = hashes if step not in self._failed else 0  # a failed step leaves nothing to read
        self.owner[slots, 0], self.owner[slots, 1] = rows, self.epoch[rows]

    def _read(self, step: int, rows: IntArray) -> None:
        """Every slot of these rows is read: check each against the positions in front of it."""
        lengths = self.length[rows]
        longest = int(lengths.max(initial=0))
        slots = self.table[rows, :longest]
        inside = np.arange(longest) < lengths[:, None]
        if (slots[inside] < 0).any():
            raise AssertionError(f"step {step}: a row reads a position without a slot")
        self.busy[slots[inside]] = step
        if step in self._failed:
            return
        positions = np.broadcast_to(np.arange(longest, dtype=np.int32), slots.shape)
        with np.errstate(over="ignore"):
            expected = np.cumsum(_terms(self.token[slots], positions), axis=1, dtype=np.uint64)
        wrong = inside & ((self.position[slots] != positions) | (self.prefix[slots] != expected))
        if wrong.any():
            r, p = np.argwhere(wrong)[0]
            slot = slots[r, p]
            raise AssertionError(
                f"step {step} row {rows[r]} position {p}: slot {slot} holds position {self.position[slot]} of another "
                f"prefix, written by (row, epoch) {self.owner[slot]}"
            )

    # ---- sample -------------------------------------------------------------------------------------------------

    def _sample(self, masks: StepMasks) -> None:
        rows, hashes = self._plans.pop(masks.step)
        if masks.step in self._failed:
            self._failed.discard(masks.step)
            self._on_reply(StepFailed(masks.step, "injected fault"))
            return
        void = set(unpack(masks.void).tolist())
        words = (self._info.vocab_size + 31) // 32
        mask_of = dict(
            zip(unpack(masks.mask_index).tolist(), np.frombuffer(masks.masks, np.int32).reshape(-1, words), strict=True)
        )
        ids = np.full(len(rows), -1, np.int32)
        scored: list[int] = []
        values: list[NDArray[np.float32]] = []
        for i, row in enumerate(rows.tolist()):
            if i in void:
                continue
            if len(self.candidates[row]):
                scored.append(i)
                values.append(choice_scores(int(hashes[i]), self.candidates[row]))
                ids[i] = self.candidates[row][values[-1].argmax()]
                continue
            sampling = self.sampling[row]
            assert sampling is not None
            ids[i] = next_token(int(hashes[i]), sampling, self._info.vocab_size, mask_of.get(i))
            self.next_id[row] = ids[i]
        scores = Scores(pack(scored), pack(map(len, values)), np.concatenate(values).tobytes()) if scored else None
        self._on_reply(StepResult(masks.step, pack(ids), scores=scores))


def _rows(rows: bytes, starts: bytes, counts: bytes) -> list[tuple[int, int, int]]:
    return list(zip(unpack(rows).tolist(), unpack(starts).tolist(), unpack(counts).tolist(), strict=True))
