"""Attention of decode tokens over the prefixes that their rows share: each prefix is read once for a tile of rows.

Rows that begin with the same slots form tiles of up to M rows (Juravsky et al. 2024, Hydragen; one level). The tiles'
prefixes lie one behind the other on a line, which is cut into equal spans as in `decode_attention.py`; a program reads
its span for all rows of the tile, or for a part of them where they have many query heads:

    tiles     |-------- prefix of tile 0 --------|-------- prefix of tile 1 --------|
    programs  |      0     |      1     |      2     |      3     |      4     |

It leaves partial softmaxes, from which `decode_attention` goes on behind the prefixes. A single row makes products that
are bound by memory, a tile of rows such that are bound by arithmetic, so blocks are cut differently here.

Shapes: N query heads, K key/value heads, G = N / K, H head_dim, P programs a head, S slots, T tiles, M rows of a tile,
C segments.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import triton
import triton.language as tl
from torch import Tensor

from .overlap import allow_next, overlap, wait_for_previous
from .prefixes import TILE_ROWS, SharedPrefixes
from .prompt_attention import attend_block


@dataclass(frozen=True)
class PrefixShape:
    """How the work is cut.

    Attributes:
        programs: P, programs for each key/value head and part of a tile.
        rows: rows of a part, times query heads of a key/value head: a power of two of 16 or more.
        block: positions read in one go, a power of two of 16 or more.
    """

    programs: int
    rows: int = 64
    block: int = 64
    warps: int = 4
    stages: int = 3


@triton.jit(do_not_specialize=["n_tiles", "programs"], do_not_specialize_on_alignment=["rows_ptr"])
def _prefix_segments(
    q_ptr, keys_ptr, values_ptr, table_ptr, rows_ptr, line_ptr, starts_ptr, members_ptr, mean_ptr, weight_ptr,
    n_tiles, programs, scale, q_token_stride, q_head_stride, table_stride,
    K: tl.constexpr, G: tl.constexpr, G_BLOCK: tl.constexpr, M: tl.constexpr, ROWS: tl.constexpr,
    H: tl.constexpr, H_BLOCK: tl.constexpr, BLOCK: tl.constexpr, PRECISION: tl.constexpr, OVERLAP: tl.constexpr,
):  # fmt: skip
    allow_next(OVERLAP)
    head = tl.program_id(0)
    program = tl.program_id(1)
    first_member = tl.program_id(2) * (ROWS // G_BLOCK)
    # The line is older than every kernel that may still run, and so is what it was made of.
    total = tl.load(line_ptr + n_tiles)
    span = tl.maximum(tl.cdiv(tl.cdiv(total, programs), BLOCK), 1) * BLOCK
    at = program * span
    end = tl.minimum(at + span, total)
    tile = tl.load(starts_ptr + program)
    wait_for_previous(OVERLAP)
    m = tl.arange(0, ROWS)
    member = first_member + m // G_BLOCK
    g = m % G_BLOCK
    h = tl.arange(0, H_BLOCK)
    l = tl.arange(0, BLOCK)
    heads = head * G + g
    while at < end:
        tile_begin = tl.load(line_ptr + tile)
        stop = tl.minimum(tl.load(line_ptr + tile + 1), end)
        first = at - tile_begin
        last = stop - tile_begin
        token = tl.load(members_ptr + tile * M + member, mask=member < M, other=-1)
        if (first < last) & (tl.max(token, axis=0) >= 0):
            exists = (g < G) & (token >= 0)
            q_mask = exists[:, None] & (h[None, :] < H)
            q = tl.load(
                q_ptr + token.to(tl.int64)[:, None] * q_token_stride + heads[:, None] * q_head_stride + h[None, :],
                mask=q_mask, other=0.0,
            )  # fmt: skip
            slots_ptr = table_ptr + tl.load(rows_ptr + tile).to(tl.int64) * table_stride
            best = tl.full((ROWS,), float("-inf"), tl.float32)
            weight = tl.zeros((ROWS,), tl.float32)
            mean = tl.zeros((ROWS, H_BLOCK), tl.float32)
            whole = first + (last - first) // BLOCK * BLOCK
            # One block ahead, so that a block's KV never waits for its slot numbers.
            slots = tl.load(slots_ptr + first + l, mask=first + l < last, other=0)
            for begin in range(first, whole, BLOCK):
                kv = slots.to(tl.int64)[:, None] * (K * H) + head * H + h[None, :]
                if H == H_BLOCK:
                    k = tl.load(keys_ptr + kv)
                    v = tl.load(values_ptr + kv)
                else:
                    k = tl.load(keys_ptr + kv, mask=h[None, :] < H, other=0.0)
                    v = tl.load(values_ptr + kv, mask=h[None, :] < H, other=0.0)
                ahead = begin + BLOCK + l
                slots = tl.load(slots_ptr + ahead, mask=ahead < last, other=0)
                best, weight, mean = attend_block(q, k, v, None, scale, best, weight, mean, False, PRECISION)
            if whole < last:
                inside = whole + l < last
                kv = slots.to(tl.int64)[:, None] * (K * H) + head * H + h[None, :]
                kv_mask = inside[:, None] & (h[None, :] < H)
                k = tl.load(keys_ptr + kv, mask=kv_mask, other=0.0)
                v = tl.load(values_ptr + kv, mask=kv_mask, other=0.0)
                best, weight, mean = attend_block(
                    q, k, v, inside[None, :], scale, best, weight, mean, True, PRECISION
                )  # fmt: skip
            segment = ((program + tile).to(tl.int64) * M + member) * (K * G) + heads
            tl.store(mean_ptr + segment[:, None] * H + h[None, :], mean / weight[:, None], mask=q_mask)
            tl.store(weight_ptr + segment, best + tl.log2(weight), mask=exists)
        at = stop
        tile += 1


def prefix_segments(
    q_DNH: Tensor,
    keys_SKH: Tensor,
    values_SKH: Tensor,
    table_RP: Tensor,
    shared: SharedPrefixes,
    ends: Tensor,
    starts: Tensor,
    shape: PrefixShape,
    mean_CNH: Tensor,
    weight_CN: Tensor,
) -> None:
    """Partial softmaxes of the tiles' rows over their prefixes.

    Args:
        q_DNH: any strides, the last 1.
        keys_SKH, values_SKH: one layer of the pool, dense.
        table_RP: int32 slot table, rows dense.
        ends: where each tile's prefix begins on the line, and the end of the last; int32 [T + 1].
        starts: the tile in which each program's span begins; int32 [P].
        mean_CNH, weight_CN: float32, dense; that of program p, tile t and its row m is segment (p + t) M + m.
    """
    heads, head_dim = q_DNH.shape[1:]
    kv_heads = keys_SKH.shape[1]
    group = triton.next_power_of_2(heads // kv_heads)
    rows = max(16, group, min(shape.rows, TILE_ROWS * group))
    tiles = shared.rows_T.shape[0]
    _prefix_segments[(kv_heads, shape.programs, triton.cdiv(TILE_ROWS * group, rows))](
        q_DNH, keys_SKH, values_SKH, table_RP, shared.rows_T, ends, starts, shared.members_TM, mean_CNH, weight_CN,
        tiles, shape.programs, head_dim**-0.5 * 1.4426950408889634,  # of log2(e): weights are powers of two
        q_DNH.stride(0), q_DNH.stride(1), table_RP.stride(0),
        K=kv_heads, G=heads // kv_heads, G_BLOCK=group, M=TILE_ROWS, ROWS=rows,
        H=head_dim, H_BLOCK=max(16, triton.next_power_of_2(head_dim)), BLOCK=shape.block,
        PRECISION="ieee" if q_DNH.dtype == torch.float32 else "tf32",
        num_warps=shape.warps, num_stages=shape.stages, **overlap(q_DNH.device),
    )  # fmt: skip
