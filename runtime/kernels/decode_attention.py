"""Attention of single tokens over their rows' slots, the work cut into equal spans whatever the rows' lengths.

All positions that are read, row after row, form one line; each of P programs of a key/value head takes an equal span of
it (the "stream-K" cut of Osama et al. 2023, applied to attention as in LeanAttention, Sanovar et al. 2024):

    rows      |---- row 0 ----|- row 1 -|------------- row 2 -------------|
    programs  |    0    |    1    |    2    |    3    |    4    |    5    |
    segments   (0,0)  (1,0)(1,1) (2,1)(2,2)    (3,2)     (4,2)     (5,2)      segment (p, r) is stored at p + r

Along the line p + r grows by at least 1 from segment to segment, so P + rows places hold them all. A segment is a
partial softmax: its weighted mean of values and the logarithm of its weights' sum. A second launch merges each row's
segments by those (Dao 2023, FlashDecoding). Lengths are read on the device and the grid depends on the number of rows
alone, so one CUDA graph serves every length. A row of length 0 costs nothing and gives zeros.

The query heads of one key/value head are one tile: KV is read once for all of them. Slots lie anywhere (page size 1);
the heads of one slot are neighbours in memory and in launch order.

Rows that begin with the same slots may read them together (Juravsky et al. 2024, Hydragen; one level). Such rows form
tiles of up to 16; the tiles' shared prefixes are a line of their own, on which a tile's queries are those of all its
rows, and the rows' line holds only what comes behind the prefix. The merge adds a row's part of its tile's segments.

Shapes: D rows, N query heads, K key/value heads, G = N / K, H head_dim, P programs a head, S slots, L positions a row
can have, T tiles, M rows of a tile, C segments.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import triton
import triton.language as tl
from torch import Tensor

from .overlap import allow_next, overlap, wait_for_previous
from .prefix_attention import PrefixShape, prefix_segments
from .prefixes import TILE_ROWS, SharedPrefixes

MERGED_AT_ONCE = 16
"""Segments of a row the merge reads in one go."""


BESIDE_TILES = True


@dataclass(frozen=True)
class DecodeShape:
    """How the work is cut.

    Attributes:
        programs: P, programs for each key/value head.
        block: positions read in one go, a power of two of 16 or more.
        warps, stages: of the first launch.
    """

    programs: int
    block: int = 128
    warps: int = 4
    stages: int = 2


class DecodeWorkspace:
    """Partial results of up to `rows` rows and `tiles` tiles, used again by every layer and step.

    Args:
        prefix_shape: how the work of tiles is cut; there are none without it.
    """

    def __init__(
        self,
        shape: DecodeShape,
        *,
        rows: int,
        heads: int,
        head_dim: int,
        device: torch.device,
        tiles: int = 0,
        prefix_shape: PrefixShape | None = None,
    ) -> None:
        self.shape = shape
        self.prefix_shape = prefix_shape
        segments = shape.programs + rows
        if prefix_shape is not None:
            segments += (prefix_shape.programs + tiles) * TILE_ROWS
        self._rows = rows
        self.mean_CNH = torch.empty((segments, heads, head_dim), dtype=torch.float32, device=device)
        self.weight_CN = torch.empty((segments, heads), dtype=torch.float32, device=device)

    @property
    def tile_segments(self) -> int:
        """Where the segments of tiles begin."""
        return self.shape.programs + self._rows


def line_ends(lengths_D: Tensor, window: int | None) -> Tensor:
    """Where each row's positions begin on the line, and its end; int32 [D + 1]."""
    read_D = lengths_D if window is None else lengths_D.clamp(max=window)
    ends = torch.zeros(lengths_D.shape[0] + 1, dtype=torch.int32, device=lengths_D.device)
    torch.cumsum(read_D, 0, dtype=torch.int32, out=ends[1:])
    return ends


@triton.jit
def _span(line_ptr, rows, programs, BLOCK: tl.constexpr):
    """(positions on the line, positions of one program): whole blocks, so that no program ends inside one."""
    total = tl.load(line_ptr + rows)
    return total, tl.maximum(tl.cdiv(tl.cdiv(total, programs), BLOCK), 1) * BLOCK


# Not compiled anew for a batch of one row or of a multiple of 16.
@triton.jit(do_not_specialize=["n_rows", "programs"], do_not_specialize_on_alignment=["rows_ptr", "lengths_ptr"])
def _decode_segments(
    q_ptr, keys_ptr, values_ptr, table_ptr, rows_ptr, lengths_ptr, line_ptr, members_ptr, mean_ptr, weight_ptr,
    n_rows, programs, scale, q_token_stride, q_head_stride, table_stride,
    K: tl.constexpr, G: tl.constexpr, G_BLOCK: tl.constexpr, M: tl.constexpr, H: tl.constexpr, H_BLOCK: tl.constexpr,
    BLOCK: tl.constexpr, PRECISION: tl.constexpr, BESIDE: tl.constexpr, OVERLAP: tl.constexpr,
):  # fmt: skip
    """Segments of rows (M = 1), or of tiles of M rows: then "row" below is a tile, and `members_ptr` says whose.

    BESIDE the launch in front, that of the tiles, it runs without having waited for it: it reads nothing that that one
    writes, and that one lets it come only when all in front of both has ended. What comes behind must find both done.
    """
    allow_next(OVERLAP)
    if not BESIDE:
        wait_for_previous(OVERLAP)
    head = tl.program_id(0)
    program = tl.program_id(1)
    total, span = _span(line_ptr, n_rows, programs, BLOCK)
    at = program * span
    end = tl.minimum(at + span, total)
    # The last row that begins at or before `at`: rows of length 0 begin there too, and the last one is not of these.
    row = tl.full((), 0, tl.int32)
    above = n_rows
    while above - row > 1:
        middle = (row + above) // 2
        if tl.load(line_ptr + middle) <= at:
            row = middle
        else:
            above = middle
    query = tl.arange(0, M * G_BLOCK)
    member = query // G_BLOCK
    g = query % G_BLOCK
    h = tl.arange(0, H_BLOCK)
    l = tl.arange(0, BLOCK)
    heads = head * G + g
    while at < end:
        row_end = tl.load(line_ptr + row + 1)
        stop = tl.minimum(row_end, end)
        # Behind a window, the row's first position on the line is not its position 0.
        shift = tl.load(lengths_ptr + row).to(tl.int32) - row_end
        first = at + shift
        last = stop + shift
        if first < last:
            slots_ptr = table_ptr + tl.load(rows_ptr + row).to(tl.int64) * table_stride
            if M == 1:
                token = tl.full((G_BLOCK,), 0, tl.int32) + row
            else:
                token = tl.load(members_ptr + row * M + member)
            exists = (g < G) & (token >= 0)
            q_mask = exists[:, None] & (h[None, :] < H)
            q = tl.load(
                q_ptr + token.to(tl.int64)[:, None] * q_token_stride + heads[:, None] * q_head_stride + h[None, :],
                mask=q_mask, other=0.0,
            )  # fmt: skip
            best = tl.full((M * G_BLOCK,), float("-inf"), tl.float32)
            weight = tl.zeros((M * G_BLOCK,), tl.float32)
            mean = tl.zeros((M * G_BLOCK, H_BLOCK), tl.float32)
            # One block ahead, so that a block's KV never waits for its slot numbers.
            slots = tl.load(slots_ptr + first + l, mask=first + l < last, other=0)
            for begin in range(first, last, BLOCK):
                inside = begin + l < last
                kv = slots.to(tl.int64)[:, None] * (K * H) + head * H + h[None, :]
                kv_mask = inside[:, None] & (h[None, :] < H)
                k = tl.load(keys_ptr + kv, mask=kv_mask, other=0.0)
                v = tl.load(values_ptr + kv, mask=kv_mask, other=0.0)
                ahead = begin + BLOCK + l
                slots = tl.load(slots_ptr + ahead, mask=ahead < last, other=0)
                score = tl.dot(q, tl.trans(k), input_precision=PRECISION) * scale
                score = tl.where(inside[None, :], score, float("-inf"))
                higher = tl.maximum(best, tl.max(score, axis=1))
                shrink = tl.exp2(best - higher)
                part = tl.exp2(score - higher[:, None])
                weight = weight * shrink + tl.sum(part, axis=1)
                mean = mean * shrink[:, None] + tl.dot(part.to(v.dtype), v, input_precision=PRECISION)
                best = higher
            segment = ((program + row).to(tl.int64) * M + member) * (K * G) + heads
            tl.store(mean_ptr + segment[:, None] * H + h[None, :], mean / weight[:, None], mask=q_mask)
            tl.store(weight_ptr + segment, best + tl.log2(weight), mask=exists)
        at = stop
        row += 1
    if BESIDE:
        wait_for_previous(OVERLAP)


@triton.jit
def _merge_into(
    best, weight, mean, begin, end, span, segment_of_0, segment_stride, mean_ptr, weight_ptr,
    H: tl.constexpr, H_BLOCK: tl.constexpr, COUNT: tl.constexpr,
):  # fmt: skip
    """Merge the segments of positions [begin, end) of a line; that of program p is `segment_of_0 + p * stride`."""
    h = tl.arange(0, H_BLOCK)
    if end > begin:
        last = (end - 1) // span
        for first in range(begin // span, last + 1, COUNT):
            program = first + tl.arange(0, COUNT)
            inside = program <= last
            segment = segment_of_0 + program.to(tl.int64) * segment_stride
            weights = tl.load(weight_ptr + segment, mask=inside, other=float("-inf"))
            means = tl.load(
                mean_ptr + segment[:, None] * H + h[None, :], mask=inside[:, None] & (h[None, :] < H), other=0.0
            )
            higher = tl.maximum(best, tl.max(weights, axis=0))
            shrink = tl.exp2(best - higher)
            part = tl.exp2(weights - higher)
            weight = weight * shrink + tl.sum(part, axis=0)
            mean = mean * shrink + tl.sum(part[:, None] * means, axis=0)
            best = higher
    return best, weight, mean


@triton.jit(do_not_specialize=["n_rows", "n_tiles", "programs", "tile_programs"])
def _merge_segments(
    line_ptr, tile_line_ptr, place_ptr, mean_ptr, weight_ptr, tile_mean_ptr, tile_weight_ptr, out_ptr,
    n_rows, n_tiles, programs, tile_programs, out_token_stride, out_head_stride,
    N: tl.constexpr, H: tl.constexpr, H_BLOCK: tl.constexpr, BLOCK: tl.constexpr, TILE_BLOCK: tl.constexpr,
    M: tl.constexpr, COUNT: tl.constexpr, SHARED: tl.constexpr, OVERLAP: tl.constexpr,
):  # fmt: skip
    allow_next(OVERLAP)
    wait_for_previous(OVERLAP)
    row = tl.program_id(0)
    head = tl.program_id(1)
    _, span = _span(line_ptr, n_rows, programs, BLOCK)
    best = tl.full((), float("-inf"), tl.float32)
    weight = tl.full((), 0.0, tl.float32)
    mean = tl.zeros((H_BLOCK,), tl.float32)
    best, weight, mean = _merge_into(
        best, weight, mean, tl.load(line_ptr + row), tl.load(line_ptr + row + 1), span,
        row.to(tl.int64) * N + head, N, mean_ptr, weight_ptr, H, H_BLOCK, COUNT,
    )  # fmt: skip
    if SHARED:
        place = tl.load(place_ptr + row)
        if place >= 0:
            tile = place // M
            _, tile_span = _span(tile_line_ptr, n_tiles, tile_programs, TILE_BLOCK)
            best, weight, mean = _merge_into(
                best, weight, mean, tl.load(tile_line_ptr + tile), tl.load(tile_line_ptr + tile + 1), tile_span,
                place.to(tl.int64) * N + head, M * N, tile_mean_ptr, tile_weight_ptr, H, H_BLOCK, COUNT,
            )  # fmt: skip
    mean = mean / tl.where(weight > 0.0, weight, 1.0)
    h = tl.arange(0, H_BLOCK)
    out = out_ptr + row.to(tl.int64) * out_token_stride + head * out_head_stride + h
    tl.store(out, mean.to(out_ptr.dtype.element_ty), mask=h < H)


def decode_attention(
    q_DNH: Tensor,
    keys_SKH: Tensor,
    values_SKH: Tensor,
    table_RP: Tensor,
    rows_D: Tensor,
    lengths_D: Tensor,
    line: Tensor,
    workspace: DecodeWorkspace,
    out_DNH: Tensor,
    shared: SharedPrefixes | None = None,
    tile_line: Tensor | None = None,
) -> None:
    """`out_DNH[d]` = attention of token d over the last positions of row `rows_D[d]`, as many as `line` gives it.

    Args:
        q_DNH, out_DNH: any strides, the last 1.
        keys_SKH, values_SKH: one layer of the pool, dense.
        table_RP: int32 slot table, rows dense.
        rows_D: int64.
        lengths_D: int64, positions computed of each row, the token's own included.
        line: `line_ends(lengths_D, window)`; with `shared`, `line_ends(lengths_D - shared.lengths_D, None)`.
        workspace: for at least D rows, and T tiles.
        shared: prefixes to read once for several rows; then there is no window.
        tile_line: `line_ends(shared.lengths_T, None)`.
    """
    rows, heads, head_dim = q_DNH.shape
    if not rows:
        return
    shape, kv_heads = workspace.shape, keys_SKH.shape[1]
    group, h_block = heads // kv_heads, max(16, triton.next_power_of_2(head_dim))
    scale = head_dim**-0.5 * 1.4426950408889634  # of log2(e): weights are powers of two from here on
    mean, weight = workspace.mean_CNH, workspace.weight_CN
    options = {
        "H": head_dim,
        "H_BLOCK": h_block,
        "PRECISION": "ieee" if q_DNH.dtype == torch.float32 else "tf32",
        **overlap(q_DNH.device),
    }
    strides = (q_DNH.stride(0), q_DNH.stride(1), table_RP.stride(0))
    tile_mean, tile_weight, tiles, prefix_shape = mean, weight, 0, workspace.prefix_shape
    if shared is not None and tile_line is not None and prefix_shape is not None:
        tiles = shared.rows_T.shape[0]
        tile_mean, tile_weight = mean[workspace.tile_segments :], weight[workspace.tile_segments :]
        prefix_segments(
            q_DNH, keys_SKH, values_SKH, table_RP, shared, tile_line, prefix_shape, tile_mean, tile_weight
        )  # fmt: skip
    _decode_segments[(kv_heads, shape.programs)](
        q_DNH, keys_SKH, values_SKH, table_RP, rows_D, lengths_D, line, line, mean, weight,
        rows, shape.programs, scale, *strides,
        K=kv_heads, G=group, G_BLOCK=max(16, triton.next_power_of_2(group)), M=1, BESIDE=tiles > 0 and BESIDE_TILES,
        BLOCK=shape.block, num_warps=shape.warps, num_stages=shape.stages, **options,
    )  # fmt: skip
    _merge_segments[(rows, heads)](
        line, line if tile_line is None else tile_line, line if shared is None else shared.place_D,
        mean, weight, tile_mean, tile_weight, out_DNH, rows, tiles, shape.programs,
        1 if prefix_shape is None else prefix_shape.programs,
        out_DNH.stride(0), out_DNH.stride(1),
        N=heads, H=head_dim, H_BLOCK=h_block, BLOCK=shape.block,
        TILE_BLOCK=16 if prefix_shape is None else prefix_shape.block, M=TILE_ROWS,
        COUNT=MERGED_AT_ONCE, SHARED=tiles > 0, num_warps=1, **overlap(q_DNH.device),
    )  # fmt: skip
