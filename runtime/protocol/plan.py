"""What the core tells a worker and what a worker answers: the whole seam between scheduling and arithmetic.

A plan holds deltas, never sequences: rows opened and closed, slots appended, tokens to compute. The worker keeps a slot
table `[row, position]`, each row's length and its next token id on the device, and advances the last two itself when it
samples, so a plan can be launched before the ids of the step in front of it are known.

    launch(StepPlan N)        forward of step N; computed tokens = chunk tokens, then one token for each decode row
    sample(StepMasks N)       masks and void rows for step N; the worker draws, advances its rows, answers StepResult N

The order of commands is launch(0) sample(0) launch(1) sample(1) ... at overlap depth 0 and 1 alike: at depth 1 the
core sends launch(N+1) before it has seen the result of N. Tensor parallelism adds workers that read the same plans.
"""

from __future__ import annotations

from typing import Protocol

import msgspec

from .sampling import RowSampling
from .tokens import Int32Bytes


class RowOpen(msgspec.Struct, frozen=True, array_like=True):
    """A row joins the batch. Its first `len(slots)` positions hold KV that is computed or planned already.

    Attributes:
        row: index of the row, in [0, max_rows).
        epoch: counts the openings of this row; (row, epoch) names one stay in the batch.
        slots: the KV slot of each position [0, n).
        sampling: how its tokens are drawn.
        prompt_ids: the ids before the first generated one, given only when `repetition_penalty` is not 1.
        output_ids: ids this node generated before it was retracted, given only when any penalty is set.
        candidates: ids to score. A row that has some samples once and draws nothing: its answer is `Scores`.
    """

    row: int
    epoch: int
    slots: Int32Bytes
    sampling: RowSampling
    prompt_ids: Int32Bytes = b""
    output_ids: Int32Bytes = b""
    candidates: Int32Bytes = b""


class SlotCopy(msgspec.Struct, frozen=True, array_like=True):
    """A hook for memory tiers: copy KV between slots or locations. No worker accepts one yet."""

    source: int
    target: int
    location: str


class StepPlan(msgspec.Struct, frozen=True, tag="launch", tag_field="type"):
    """One step's forward. Rows named here are open after `closed`, then `opened` were applied, in this order.

    Attributes:
        step: number of the step, from 0, without gaps.
        closed: rows that leave, shape (R,).
        opened: rows that join.
        span_rows, span_starts, span_counts: ranges of the slot table to write, shape (P,) each: the slots of row
            `span_rows[i]`, positions `[start, start + count)`.
        span_slots: the slots of all spans, concatenated. A chunk's own slots come this way; so do positions that
            another row computed or computes in this very step.
        chunk_rows, chunk_starts, chunk_counts: prompt chunks to compute, shape (C,) each; positions
            `[start, start + count)` of the row, whose length becomes start + count.
        chunk_ids: the token ids of all chunks, concatenated.
        decode_rows: rows that compute their next id at their own length, shape (D,). The device knows both.
        decode_slots: the slot for that position, shape (D,).
        sample_rows: rows that sample after this step, shape (S,), each at most once.
        sample_index: which computed token each of them samples from, shape (S,): an index into chunk tokens followed by
            decode rows. Two rows may share one index: siblings whose prompts are the same.
        copies: a hook, always empty today.
    """

    step: int
    closed: Int32Bytes = b""
    opened: list[RowOpen] = []
    span_rows: Int32Bytes = b""
    span_starts: Int32Bytes = b""
    span_counts: Int32Bytes = b""
    span_slots: Int32Bytes = b""
    chunk_rows: Int32Bytes = b""
    chunk_starts: Int32Bytes = b""
    chunk_counts: Int32Bytes = b""
    chunk_ids: Int32Bytes = b""
    decode_rows: Int32Bytes = b""
    decode_slots: Int32Bytes = b""
    sample_rows: Int32Bytes = b""
    sample_index: Int32Bytes = b""
    copies: list[SlotCopy] = []


class StepMasks(msgspec.Struct, frozen=True, tag="sample", tag_field="type"):
    """What the core learned while step `step` ran: which of its samples are void, and the grammar masks of the rest.

    Attributes:
        step: the step these belong to.
        void: indexes into the plan's `sample_rows` of rows that ended meanwhile, shape (X,): not sampled, not advanced.
        mask_index: indexes into the plan's `sample_rows` of the masked rows, shape (M,).
        masks: bit masks, shape (M, ceil(vocab_size / 32)) int32; bit `t % 32` of word `t // 32` set: token t allowed.
            Those of a void row hold anything. In one process this is a view of a buffer that is written again for the
            second step behind this one.
    """

    step: int
    void: Int32Bytes = b""
    mask_index: Int32Bytes = b""
    masks: memoryview = memoryview(b"")


class Logprobs(msgspec.Struct, frozen=True, array_like=True):
    """Natural log probabilities under the distribution of the unpenalised, unmasked logits at temperature 1.

    Attributes:
        index: indexes into the plan's `sample_rows` of the rows that asked for them, shape (L,).
        sampled: log probability of the sampled id, float32 bytes, shape (L,).
        top_counts: how many alternatives each row asked for, shape (L,).
        top_ids: their ids, most likely first, all rows concatenated.
        top_logprobs: theirs, float32 bytes.
    """

    index: Int32Bytes
    sampled: bytes
    top_counts: Int32Bytes
    top_ids: Int32Bytes
    top_logprobs: bytes


class Scores(msgspec.Struct, frozen=True, array_like=True):
    """Natural log probabilities of each scoring row's candidates, renormalised over them: the softmax of their raw
    logits.

    Attributes:
        index: indexes into the plan's `sample_rows` of the rows that have candidates, shape (K,).
        counts: how many candidates each of them has, shape (K,).
        values: float32 bytes, the rows' candidates in the order given, all rows concatenated.
    """

    index: Int32Bytes
    counts: Int32Bytes
    values: bytes


class StepResult(msgspec.Struct, frozen=True, tag="result", tag_field="type"):
    """The sampled ids of one step.

    Attributes:
        step: the step.
        ids: one id for each entry of the plan's `sample_rows`, shape (S,); -1 where the entry was void. For a row with
            candidates it is the most likely of them.
        logprobs: present when a row asked.
        scores: present when a row had candidates.
    """

    step: int
    ids: Int32Bytes
    logprobs: Logprobs | None = None
    scores: Scores | None = None


class StepFailed(msgspec.Struct, frozen=True, tag="failed", tag_field="type"):
    """The step raised on the worker. Its samples do not exist and its slots hold nothing that may be read."""

    step: int
    error: str


WorkerCommand = StepPlan | StepMasks
WorkerReply = StepResult | StepFailed


class CacheSpec(msgspec.Struct, frozen=True):
    """How one group of layers keeps its past. Only "full" exists today; "window", "latent", "snapshot" are to come.

    Attributes:
        kind: "full": one slot for each position.
        layers: how many layers share the slots.
        bytes_per_slot: KV bytes of one position over all these layers.
    """

    kind: str
    layers: int
    bytes_per_slot: int


class WorkerInfo(msgspec.Struct, frozen=True):
    """What the core must know of a worker before the first step.

    Attributes:
        slots: size of the KV pool in tokens.
        max_rows: rows in the batch at most.
        max_length: positions a row can have (the model's context).
        vocab_size: width of the logits, padding included: the width of masks and the bound of every id.
        cache: one entry for each group of layers.
    """

    slots: int
    max_rows: int
    max_length: int
    vocab_size: int
    cache: list[CacheSpec] = []


class Worker(Protocol):
    """Runs plans in the order given. `submit` never blocks for the device; each sampled step is answered once, in
    order, through the callback given to the worker when it was made, on whatever thread or loop its device port uses.
    """

    @property
    def info(self) -> WorkerInfo: ...

    def submit(self, command: WorkerCommand) -> None:
        """Queue one command. Raises WorkerError if the worker is closed."""
        ...

    def close(self) -> None:
        """Stop after the commands queued so far; free the device's memory."""
        ...
