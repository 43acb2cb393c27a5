"""Greedy and plain random sampling without a sort: the logits are read once, masked as they are read.

    scan     each block of a row's vocabulary -> its largest logit, where that is, its sum of exp((x - largest) / t)
    choose   the row's blocks -> greedy: the largest. Random: walk the blocks' sums to the one that holds the target,
             then walk that block; one uniform a row, as in `sampling.draw`

The law and the walk in order of token id are those of `sampling.draw`, and so is the uniform. Weights are float32 here
(block sums float64 between blocks), so a draw differs from the reference only when its uniform falls within about 1e-6
of the boundary between two tokens. The chosen id becomes the row's next id on the device.

Shapes: S sampled rows, M masked rows, V vocab_size, B blocks of the vocabulary, R rows of the batch.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import triton
import triton.language as tl
from torch import Tensor

from .overlap import allow_next, overlap, wait_for_previous

BLOCK = 4096
NO_TOKEN = tl.constexpr(-2)
"""`sampling.draw.NO_TOKEN`."""


@dataclass(frozen=True)
class SampleInputs:
    """What a launch reads and writes besides the logits.

    Attributes:
        index_S: int32, the row of `logits` each sample is drawn from, which is its place in `ids` too.
        rows_S: int32, the row of the batch it belongs to.
        lengths_S: int64, the row's computed positions, which is the position of the drawn token; by place in `ids`.
        mask_S: int32, the row of `masks` it may draw from, -1 if it may draw anything; None without any mask.
        masks: int32 [M, words], bit t % 32 of word t // 32 set: token t is allowed; None without any mask.
        temperature_R: float32, 0 is greedy.
        seed_R: int64, the bits of the unsigned seed.
        random: whether a temperature among them is not 0.
    """

    index_S: Tensor
    rows_S: Tensor
    lengths_S: Tensor
    mask_S: Tensor | None
    masks: Tensor | None
    temperature_R: Tensor
    seed_R: Tensor
    random: bool


@triton.jit
def _masked_logits(
    logits_ptr, masks_ptr, mask_row, t, V: tl.constexpr, WORDS: tl.constexpr, MASKED: tl.constexpr
):  # fmt: skip
    """Logits of tokens `t`, minus infinity outside of the vocabulary and where the mask forbids."""
    allowed = t < V
    # One `if` in another: MASKED is known when the kernel is compiled, the row only when it runs.
    if MASKED:  # noqa: SIM102
        if mask_row >= 0:
            word = tl.load(masks_ptr + mask_row.to(tl.int64) * WORDS + t // 32, mask=allowed, other=0)
            allowed = allowed & (((word >> (t % 32)) & 1) != 0)
    return tl.load(logits_ptr + t, mask=allowed, other=float("-inf")).to(tl.float32)


# The columns of one upload lie wherever its length puts them: not compiled anew for each alignment.
@triton.jit(do_not_specialize_on_alignment=["index_ptr", "rows_ptr", "mask_ptr"])
def _scan_blocks(
    logits_ptr, index_ptr, rows_ptr, mask_ptr, masks_ptr, temperature_ptr, best_ptr, where_ptr, sum_ptr, logits_stride,
    V: tl.constexpr, WORDS: tl.constexpr, BLOCKS: tl.constexpr, BLOCK: tl.constexpr,
    MASKED: tl.constexpr, RANDOM: tl.constexpr, OVERLAP: tl.constexpr,
):  # fmt: skip
    allow_next(OVERLAP)
    wait_for_previous(OVERLAP)
    sample = tl.program_id(0)
    block = tl.program_id(1)
    row = tl.load(index_ptr + sample).to(tl.int64)
    mask_row = -1
    if MASKED:
        mask_row = tl.load(mask_ptr + sample)
    t = block * BLOCK + tl.arange(0, BLOCK)
    x = _masked_logits(logits_ptr + row * logits_stride, masks_ptr, mask_row, t, V, WORDS, MASKED)
    # One NaN or positive infinity anywhere: the row has no distribution, and an infinite maximum says so.
    broken = tl.max(((x != x) | (x == float("inf"))).to(tl.int32), axis=0)
    best, where = tl.max(x, axis=0, return_indices=True, return_indices_tie_break_left=True)
    best = tl.where(broken != 0, float("inf"), best)
    out = sample * BLOCKS + block
    tl.store(best_ptr + out, best)
    tl.store(where_ptr + out, block * BLOCK + where)
    if RANDOM:
        temperature = tl.load(temperature_ptr + tl.load(rows_ptr + sample))
        total = 0.0
        if (temperature > 0.0) & (best > float("-inf")) & (best < float("inf")):
            total = tl.sum(tl.exp((x - best) / temperature), axis=0)
        tl.store(sum_ptr + out, total)


@triton.jit(do_not_specialize_on_alignment=["index_ptr", "rows_ptr", "mask_ptr", "lengths_ptr"])
def _choose(
    logits_ptr, index_ptr, rows_ptr, lengths_ptr, mask_ptr, masks_ptr, temperature_ptr, seed_ptr,
    best_ptr, where_ptr, sum_ptr, ids_ptr, next_id_ptr, length_ptr, logits_stride,
    V: tl.constexpr, WORDS: tl.constexpr, BLOCKS: tl.constexpr, BLOCKS_PADDED: tl.constexpr, BLOCK: tl.constexpr,
    MASKED: tl.constexpr, RANDOM: tl.constexpr, OVERLAP: tl.constexpr,
):  # fmt: skip
    allow_next(OVERLAP)
    wait_for_previous(OVERLAP)
    sample = tl.program_id(0)
    place = tl.load(index_ptr + sample).to(tl.int64)
    row = tl.load(rows_ptr + sample).to(tl.int64)
    length = tl.load(lengths_ptr + place)
    b = tl.arange(0, BLOCKS_PADDED)
    best_b = tl.load(best_ptr + sample * BLOCKS + b, mask=b < BLOCKS, other=float("-inf"))
    best = tl.max(best_b, axis=0)
    first = tl.min(tl.where(best_b == best, b, BLOCKS_PADDED), axis=0)
    token = tl.load(where_ptr + sample * BLOCKS + tl.minimum(first, BLOCKS - 1))
    if RANDOM:
        temperature = tl.load(temperature_ptr + row)
        if (temperature > 0.0) & (best > float("-inf")) & (best < float("inf")):
            seed = tl.load(seed_ptr + row)
            low = (length & 0xFFFFFFFF).to(tl.uint32)
            high = (length >> 32).to(tl.uint32)
            zero = low * 0  # the purpose is `Purpose.TOKEN`, 0, and so is the last word of the counter
            word0, word1, _, _ = tl.philox(seed, low, high, zero, zero)
            bits = ((word0 >> 5).to(tl.int64) << 26) | (word1 >> 6).to(tl.int64)
            u = bits.to(tl.float64) * 1.1102230246251565e-16  # 2**-53
            sum_b = tl.load(sum_ptr + sample * BLOCKS + b, mask=b < BLOCKS, other=0.0)
            scale_b = tl.exp((best_b - best) / temperature)
            weight_b = sum_b.to(tl.float64) * scale_b.to(tl.float64)
            reached_b = tl.cumsum(weight_b, axis=0)
            target = u * tl.sum(weight_b, axis=0)
            hit = tl.min(tl.where((reached_b > target) & (weight_b > 0.0), b, BLOCKS_PADDED), axis=0)
            # Rounding may leave the target at the very end: the last block that weighs anything.
            hit = tl.where(hit < BLOCKS, hit, tl.max(tl.where(weight_b > 0.0, b, 0), axis=0))
            in_hit = b == hit
            before = tl.sum(tl.where(in_hit, reached_b - weight_b, 0.0), axis=0)
            scale = tl.sum(tl.where(in_hit, scale_b.to(tl.float64), 0.0), axis=0)
            block_best = tl.max(tl.where(in_hit, best_b, float("-inf")), axis=0)
            mask_row = -1
            if MASKED:
                mask_row = tl.load(mask_ptr + sample)
            t = hit * BLOCK + tl.arange(0, BLOCK)
            x = _masked_logits(logits_ptr + place * logits_stride, masks_ptr, mask_row, t, V, WORDS, MASKED)
            weight_t = tl.exp((x - block_best) / temperature)
            reached_t = tl.cumsum(weight_t, axis=0)
            inner = ((target - before) / scale).to(tl.float32)
            none = hit * BLOCK + BLOCK
            token = tl.min(tl.where((reached_t > inner) & (weight_t > 0.0), t, none), axis=0)
            token = tl.where(token < none, token, tl.max(tl.where(weight_t > 0.0, t, 0), axis=0))
    drawn = (best > float("-inf")) & (best < float("inf"))
    token = tl.where(drawn, token, NO_TOKEN)
    tl.store(ids_ptr + place, token.to(tl.int64))
    tl.store(next_id_ptr + row, tl.maximum(token, 0).to(tl.int64))
    tl.store(length_ptr + row, length)


def sample(logits_SV: Tensor, inputs: SampleInputs, ids_S: Tensor, next_id_R: Tensor, length_R: Tensor) -> None:
    """Draw one token for each of `inputs.index_S`, and let its row go on with it.

    Args:
        logits_SV: any float dtype Triton loads, rows of stride 1; not changed.
        ids_S: int64, gets the id, `NO_TOKEN` where nothing can be drawn; other places keep what they hold.
        next_id_R, length_R: int64; get the id (0 for `NO_TOKEN`) and `lengths_S` of each row drawn for.
    """
    samples, vocab_size = inputs.index_S.shape[0], logits_SV.shape[1]
    if not samples:
        return
    device = logits_SV.device
    blocks = triton.cdiv(vocab_size, BLOCK)
    best = torch.empty((samples, blocks), dtype=torch.float32, device=device)
    where = torch.empty((samples, blocks), dtype=torch.int32, device=device)
    total = torch.empty_like(best) if inputs.random else best
    masked = inputs.masks is not None
    masks = inputs.masks if inputs.masks is not None else inputs.index_S
    mask = inputs.mask_S if inputs.mask_S is not None else inputs.index_S
    words = masks.shape[1] if masked else 1
    _scan_blocks[(samples, blocks)](
        logits_SV, inputs.index_S, inputs.rows_S, mask, masks, inputs.temperature_R, best, where, total,
        logits_SV.stride(0),
        V=vocab_size, WORDS=words, BLOCKS=blocks, BLOCK=BLOCK, MASKED=masked, RANDOM=inputs.random,
        num_warps=8, **overlap(device),
    )  # fmt: skip
    _choose[(samples,)](
        logits_SV, inputs.index_S, inputs.rows_S, inputs.lengths_S, mask, masks, inputs.temperature_R, inputs.seed_R,
        best, where, total, ids_S, next_id_R, length_R, logits_SV.stride(0),
        V=vocab_size, WORDS=words, BLOCKS=blocks, BLOCKS_PADDED=triton.next_power_of_2(blocks), BLOCK=BLOCK,
        MASKED=masked, RANDOM=inputs.random, num_warps=8, **overlap(device),
    )  # fmt: skip
