"""Causal attention of prompt chunks over their rows' slots, read where they lie: nothing is gathered first.

A chunk is cut into tiles of neighbouring tokens; the query heads of one key/value head are rows of the same tile, so
short chunks fill it and KV is read once for all of them. A program takes one tile of one key/value head along the keys
it may see, with a running softmax (Dao 2023, FlashAttention-2):

    tokens   |== tile 0 ==|== tile 1 ==|== t2 |      of the chunk at positions [start, start + count)
    keys     [ 0 ..... start | own tokens ]          whole blocks without a mask, then the diagonal with one

Tiles that read most come first, so that short ones fill the device's end.

Shapes: T tokens, N query heads, K key/value heads, G = N / K, H head_dim, S slots, W tiles.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import triton
import triton.language as tl
from numpy.typing import NDArray
from torch import Tensor

from .overlap import allow_next, overlap, wait_for_previous
from .transfer import upload


@dataclass(frozen=True)
class PromptShape:
    """How the work is cut.

    Attributes:
        rows: rows of a tile, tokens times query heads of a key/value head; a power of two of 16 or more.
        block: keys read in one go, a power of two of 16 or more.
    """

    rows: int
    block: int
    warps: int = 4
    stages: int = 2


@dataclass(frozen=True)
class PromptTiles:
    """What the programs do, for one step.

    Attributes:
        tiles_W4: int32 on the device: row of the slot table, first token of the step, tokens, position of the first.
        tokens: tokens of a tile at most.
    """

    tiles_W4: Tensor
    tokens: int


def cut_tiles(
    rows: NDArray[np.int64], starts: NDArray[np.int64], counts: NDArray[np.int64], tokens: int, device: torch.device
) -> PromptTiles:
    """Tiles of up to `tokens` tokens of chunks that follow each other in the step."""
    per_chunk = -(-counts // tokens)
    chunk = np.repeat(np.arange(len(counts)), per_chunk)
    offset = tokens * (np.arange(len(chunk)) - np.repeat(per_chunk.cumsum() - per_chunk, per_chunk))
    first = (counts.cumsum() - counts)[chunk] + offset
    size = np.minimum(counts[chunk] - offset, tokens)
    tiles = np.stack((rows[chunk], first, size, starts[chunk] + offset), axis=1)
    order = np.argsort(-(tiles[:, 2] + tiles[:, 3]), kind="stable")
    return PromptTiles(upload(tiles[order].astype(np.int32), device), tokens)


@triton.jit
def attend_block(
    q, k, v, seen, scale, best, weight, mean, MASKED: tl.constexpr, PRECISION: tl.constexpr
):  # fmt: skip
    """One block of keys and values joins a running softmax; `seen` says who may see which, where it is MASKED."""
    score = tl.dot(q, tl.trans(k), input_precision=PRECISION)
    if MASKED:
        score = tl.where(seen, score * scale, float("-inf"))
        higher = tl.maximum(best, tl.max(score, axis=1))
        base = tl.where(higher > float("-inf"), higher, 0.0)  # a row may not have seen any key yet
        shrink = tl.exp2(best - base)
        part = tl.exp2(score - base[:, None])
    else:
        higher = tl.maximum(best, tl.max(score, axis=1) * scale)
        shrink = tl.exp2(best - higher)
        part = tl.exp2(score * scale - higher[:, None])
    weight = weight * shrink + tl.sum(part, axis=1)
    mean = tl.dot(part.to(v.dtype), v, mean * shrink[:, None], input_precision=PRECISION)
    return higher, weight, mean


@triton.jit
def _prompt_attention(
    q_ptr, keys_ptr, values_ptr, table_ptr, tiles_ptr, out_ptr, scale, window,
    q_token_stride, q_head_stride, out_token_stride, out_head_stride, table_stride,
    K: tl.constexpr, G: tl.constexpr, G_BLOCK: tl.constexpr, H: tl.constexpr, H_BLOCK: tl.constexpr,
    ROWS: tl.constexpr, BLOCK: tl.constexpr, WINDOW: tl.constexpr, PRECISION: tl.constexpr, OVERLAP: tl.constexpr,
):  # fmt: skip
    allow_next(OVERLAP)
    wait_for_previous(OVERLAP)
    head = tl.program_id(0)
    tile_ptr = tiles_ptr + tl.program_id(1) * 4
    row = tl.load(tile_ptr).to(tl.int64)
    token = tl.load(tile_ptr + 1).to(tl.int64)
    count = tl.load(tile_ptr + 2)
    start = tl.load(tile_ptr + 3)
    m = tl.arange(0, ROWS)
    offset = m // G_BLOCK
    g = m % G_BLOCK
    h = tl.arange(0, H_BLOCK)
    l = tl.arange(0, BLOCK)
    heads = head * G + g
    exists = (g < G) & (offset < count)
    mask = exists[:, None] & (h[None, :] < H)
    q = tl.load(
        q_ptr + (token + offset)[:, None] * q_token_stride + heads[:, None] * q_head_stride + h[None, :],
        mask=mask, other=0.0,
    )  # fmt: skip
    position = start + offset
    slots_ptr = table_ptr + row * table_stride
    best = tl.full((ROWS,), float("-inf"), tl.float32)
    weight = tl.zeros((ROWS,), tl.float32)
    mean = tl.zeros((ROWS, H_BLOCK), tl.float32)
    end = start + count
    begin = 0
    unmasked = (start + 1) // BLOCK * BLOCK
    if WINDOW:
        begin = tl.maximum(start + 1 - window, 0) // BLOCK * BLOCK
        unmasked = begin
    # One block ahead, so that a block's KV never waits for its slot numbers.
    slots = tl.load(slots_ptr + begin + l, mask=begin + l < end, other=0)
    for at in range(begin, unmasked, BLOCK):
        kv = slots.to(tl.int64)[:, None] * (K * H) + head * H + h[None, :]
        if H == H_BLOCK:
            k = tl.load(keys_ptr + kv)
            v = tl.load(values_ptr + kv)
        else:
            k = tl.load(keys_ptr + kv, mask=h[None, :] < H, other=0.0)
            v = tl.load(values_ptr + kv, mask=h[None, :] < H, other=0.0)
        ahead = at + BLOCK + l
        slots = tl.load(slots_ptr + ahead, mask=ahead < end, other=0)
        best, weight, mean = attend_block(q, k, v, None, scale, best, weight, mean, False, PRECISION)
    for at in range(unmasked, end, BLOCK):
        inside = at + l < end
        kv = slots.to(tl.int64)[:, None] * (K * H) + head * H + h[None, :]
        kv_mask = inside[:, None] & (h[None, :] < H)
        k = tl.load(keys_ptr + kv, mask=kv_mask, other=0.0)
        v = tl.load(values_ptr + kv, mask=kv_mask, other=0.0)
        ahead = at + BLOCK + l
        slots = tl.load(slots_ptr + ahead, mask=ahead < end, other=0)
        seen = (at + l)[None, :] <= position[:, None]
        if WINDOW:
            seen = seen & ((at + l)[None, :] > position[:, None] - window)
        best, weight, mean = attend_block(q, k, v, seen, scale, best, weight, mean, True, PRECISION)
    mean = mean / tl.where(weight > 0.0, weight, 1.0)[:, None]
    tl.store(
        out_ptr + (token + offset)[:, None] * out_token_stride + heads[:, None] * out_head_stride + h[None, :],
        mean.to(out_ptr.dtype.element_ty), mask=mask,
    )  # fmt: skip


def tile_tokens(shape: PromptShape, heads: int, kv_heads: int) -> int:
    """Tokens of a tile."""
    group: int = triton.next_power_of_2(heads // kv_heads)
    return max(1, shape.rows // group)


def prompt_attention(
    q_TNH: Tensor,
    keys_SKH: Tensor,
    values_SKH: Tensor,
    table_RP: Tensor,
    tiles: PromptTiles,
    out_TNH: Tensor,
    *,
    shape: PromptShape,
    window: int | None = None,
) -> None:
    """`out_TNH[t]` = attention of the tiles' tokens over their rows' slots up to each one's position.

    Args:
        q_TNH, out_TNH: any strides, the last 1; tokens beyond the tiles' are left alone.
        keys_SKH, values_SKH: one layer of the pool, dense; the chunks' own keys and values are in their slots.
        table_RP: int32 slot table, rows dense.
        tiles: of at most `tile_tokens(shape, N, K)` tokens.
    """
    heads, head_dim = q_TNH.shape[1:]
    kv_heads = keys_SKH.shape[1]
    group = triton.next_power_of_2(heads // kv_heads)
    _prompt_attention[(kv_heads, tiles.tiles_W4.shape[0])](
        q_TNH, keys_SKH, values_SKH, table_RP, tiles.tiles_W4, out_TNH,
        head_dim**-0.5 * 1.4426950408889634, 0 if window is None else window,
        q_TNH.stride(0), q_TNH.stride(1), out_TNH.stride(0), out_TNH.stride(1), table_RP.stride(0),
        K=kv_heads, G=heads // kv_heads, G_BLOCK=group, H=head_dim, H_BLOCK=max(16, triton.next_power_of_2(head_dim)),
        ROWS=max(16, tiles.tokens * group), BLOCK=shape.block, WINDOW=window is not None,
        PRECISION="ieee" if q_TNH.dtype == torch.float32 else "tf32",
        num_warps=shape.warps, num_stages=shape.stages, **overlap(q_TNH.device),
    )  # fmt: skip
