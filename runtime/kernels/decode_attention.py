"""Attention of single tokens over their rows' slots, the work cut into equal spans whatever the rows' lengths.

All positions that are read, row after row, form one line; each of P programs of a key/value head takes an equal span of
it (the "stream-K" cut of Osama et al. 2023, applied to attention as in LeanAttention, Sanovar et al. 2024):

    rows      |---- row 0 ----|- row 1 -|------------- row 2 -------------|
    programs  |    0    |    1    |    2    |    3    |    4    |    5    |
    segments   (0,0)  (1,0)(1,1) (2,1)(2,2)    (3,2)     (4,2)     (5,2)      segment (p, r) is stored at p + r

Along the line p + r grows by at least 1 from segment to segment, so P + rows places hold them all. A segment is a
partial softmax: its weighted mean of values and the logarithm of its weights' sum. The program that comes last to a row
merges the row's segments by those (Dao 2023, FlashDecoding); a row that lies in one span needs no merging. Lengths are
read on the device and the grid depends on the number of rows alone, so one CUDA graph serves every length. A row of
length 0 gives zeros.

The query heads of one key/value head are one tile: KV is read once for all of them. Slots lie anywhere (page size 1);
the heads of one slot are neighbours in memory and in launch order.

Rows that begin with the same slots may read them together: a launch in front reads the prefix (`prefix_attention.py`),
and the rows' line holds only what comes behind. The first segment of a row goes on from what its tile has left for it.

Shapes: D rows, N query heads, K key/value heads, G = N / K, H head_dim, P programs a head, S slots, L positions a row
can have, T tiles, M rows of a tile, C segments.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
import triton
import triton.language as tl
from torch import Tensor

from .overlap import allow_next, overlap, publish, wait_for_previous
from .prefix_attention import PrefixShape, prefix_segments
from .prefixes import TILE_ROWS, SharedPrefixes

MERGED_AT_ONCE = 64
"""Segments times query heads that a program reads in one go where it merges a row."""

FEW_ROWS = 8
"""Rows that are too little work for as many programs as the device holds."""

EMPTY_AT_ONCE = 16
"""Rows a program looks at in one go for those of length 0."""


@dataclass(frozen=True)
class DecodeShape:
    """How the work is cut.

    Attributes:
        programs: P, programs for each key/value head, where there are more than `FEW_ROWS` rows.
        block: positions read in one go, a power of two of 16 or more.
    """

    programs: int
    block: int = 128
    warps: int = 4
    stages: int = 2

    def programs_for(self, rows: int) -> int:
        """P of a launch: few rows are too little work for all, and their segments too many to merge."""
        return self.programs if rows > FEW_ROWS else max(1, self.programs // 2)


class Line(NamedTuple):
    """All positions that a launch reads, row after row.

    Attributes:
        ends: int32 [D + 1], where each row's positions begin, and the end of the last.
        starts: int32 [P], the row in which each program's span begins.
    """

    ends: Tensor
    starts: Tensor


class DecodeWorkspace:
    """Partial results of up to `rows` rows and `tiles` tiles, used again by every layer and step.

    Args:
        shape: how the work of rows is cut.
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
        self._rows = rows
        segments = shape.programs + rows
        self.mean_CNH = torch.empty((segments, heads, head_dim), dtype=torch.float32, device=device)
        self.weight_CN = torch.empty((segments, heads), dtype=torch.float32, device=device)
        segments = 0 if prefix_shape is None else (prefix_shape.programs + tiles) * TILE_ROWS
        self.tile_mean_CNH = torch.empty((segments, heads, head_dim), dtype=torch.float32, device=device)
        self.tile_weight_CN = torch.empty((segments, heads), dtype=torch.float32, device=device)
        # Segments written so far, of each row and key/value head; 0 between two launches.
        self.arrived = torch.zeros(rows * heads, dtype=torch.int32, device=device)

    def lay_out(self, lengths_D: Tensor, window: int | None) -> Line:
        """The line of rows of `lengths_D` (int64), of which the last `window` positions are read."""
        return self._lay_out(lengths_D, window, self.shape.programs_for(lengths_D.shape[0]), self.shape.block)

    def lay_out_tiles(self, lengths_T: Tensor) -> Line:
        """The line of prefixes of `lengths_T` (int64)."""
        assert self.prefix_shape is not None
        return self._lay_out(lengths_T, None, self.prefix_shape.programs, self.prefix_shape.block)

    def _lay_out(self, lengths_D: Tensor, window: int | None, programs: int, block: int) -> Line:
        rows, device = lengths_D.shape[0], lengths_D.device
        line = Line(*(torch.empty(size, dtype=torch.int32, device=device) for size in (rows + 1, programs)))
        _lay_out[(1,)](
            lengths_D, *line, rows, programs, 0 if window is None else window,
            D_BLOCK=triton.next_power_of_2(self._rows), P_BLOCK=triton.next_power_of_2(programs),
            STEPS=self._rows.bit_length(), BLOCK=block, WINDOW=window is not None,
            num_warps=4, **overlap(device),
        )  # fmt: skip
        return line


@triton.jit
def _span(ends_ptr, rows, programs, BLOCK: tl.constexpr):
    """(positions on the line, positions of one program): whole blocks, so that no program ends inside one."""
    total = tl.load(ends_ptr + rows)
    return total, tl.maximum(tl.cdiv(tl.cdiv(total, programs), BLOCK), 1) * BLOCK


@triton.jit(do_not_specialize=["rows", "programs", "window"], do_not_specialize_on_alignment=["lengths_ptr"])
def _lay_out(
    lengths_ptr, ends_ptr, starts_ptr, rows, programs, window,
    D_BLOCK: tl.constexpr, P_BLOCK: tl.constexpr, STEPS: tl.constexpr, BLOCK: tl.constexpr, WINDOW: tl.constexpr,
    OVERLAP: tl.constexpr,
):  # fmt: skip
    wait_for_previous(OVERLAP)
    d = tl.arange(0, D_BLOCK)
    read = tl.load(lengths_ptr + d, mask=d < rows, other=0).to(tl.int32)
    if WINDOW:
        read = tl.minimum(read, window)
    tl.store(ends_ptr + 1 + d, tl.cumsum(read, axis=0), mask=d < rows)
    tl.store(ends_ptr, 0)
    tl.debug_barrier()
    _, span = _span(ends_ptr, rows, programs, BLOCK)
    # The last row that begins at or before a span: rows of length 0 begin there too, and the last one is not of these.
    p = tl.arange(0, P_BLOCK)
    row = tl.zeros((P_BLOCK,), tl.int32)
    above = row + rows
    for _ in range(STEPS):
        middle = (row + above) // 2
        before = tl.load(ends_ptr + middle) <= p * span
        row = tl.where(before, middle, row)
        above = tl.where(before, above, tl.maximum(middle, row + 1))
    tl.store(starts_ptr + p, row, mask=p < programs)
    publish(OVERLAP)


@triton.jit
def _places(ends_ptr, lengths_ptr, rows_ptr, row, n_rows, table_stride):
    """(where a row ends on the line, its position at the line's place 0, where its slots begin in the table)."""
    exists = row < n_rows
    end = tl.load(ends_ptr + row + 1, mask=exists, other=0)
    # Behind a window, the row's first position on the line is not its position 0.
    shift = tl.load(lengths_ptr + row, mask=exists, other=0).to(tl.int32) - end
    return end, shift, tl.load(rows_ptr + row, mask=exists, other=0).to(tl.int64) * table_stride


# Not compiled anew for a batch of one row or of a multiple of 16.
@triton.jit(
    do_not_specialize=["n_rows", "programs", "n_tiles", "tile_programs"],
    do_not_specialize_on_alignment=["rows_ptr", "lengths_ptr"],
)
def _decode_segments(
    q_ptr, keys_ptr, values_ptr, table_ptr, rows_ptr, lengths_ptr, line_ptr, starts_ptr,
    mean_ptr, weight_ptr, arrived_ptr, place_ptr, tile_line_ptr, tile_mean_ptr, tile_weight_ptr, out_ptr,
    n_rows, programs, n_tiles, tile_programs, scale,
    q_token_stride, q_head_stride, table_stride, out_token_stride, out_head_stride,
    K: tl.constexpr, G: tl.constexpr, G_BLOCK: tl.constexpr, H: tl.constexpr, H_BLOCK: tl.constexpr,
    BLOCK: tl.constexpr, G_MERGED: tl.constexpr, COUNT: tl.constexpr, EMPTY: tl.constexpr,
    SHARED: tl.constexpr, M: tl.constexpr, TILE_BLOCK: tl.constexpr,
    PRECISION: tl.constexpr, OVERLAP: tl.constexpr,
):  # fmt: skip
    allow_next(OVERLAP)
    head = tl.program_id(0)
    program = tl.program_id(1)
    g = tl.arange(0, G_BLOCK)
    h = tl.arange(0, H_BLOCK)
    l = tl.arange(0, BLOCK)
    heads = head * G + g
    # Lengths and slots are older than the line, and that is older than every kernel that may still run (`publish`).
    total, span = _span(line_ptr, n_rows, programs, BLOCK)
    at = program * span
    end = tl.minimum(at + span, total)
    row = tl.load(starts_ptr + program)
    row_end, shift, table_row = _places(line_ptr, lengths_ptr, rows_ptr, row, n_rows, table_stride)
    stop = tl.minimum(row_end, end)
    # One block ahead, so that a block's KV never waits for its slot numbers.
    slots = tl.load(table_ptr + table_row + at + shift + l, mask=at + l < stop, other=0)
    wait_for_previous(OVERLAP)
    while at < end:
        next_end, next_shift, next_table_row = _places(line_ptr, lengths_ptr, rows_ptr, row + 1, n_rows, table_stride)
        if at < stop:
            q_mask = (g < G)[:, None] & (h[None, :] < H)
            q = tl.load(
                q_ptr + row.to(tl.int64) * q_token_stride + heads[:, None] * q_head_stride + h[None, :],
                mask=q_mask, other=0.0,
            )  # fmt: skip
            best = tl.full((G_BLOCK,), float("-inf"), tl.float32)
            weight = tl.zeros((G_BLOCK,), tl.float32)
            mean = tl.zeros((G_BLOCK, H_BLOCK), tl.float32)
            row_begin = tl.load(line_ptr + row)
            if SHARED:
                place = tl.load(place_ptr + row)
                if (place >= 0) & (at == row_begin):
                    _, tile_span = _span(tile_line_ptr, n_tiles, tile_programs, TILE_BLOCK)
                    first = tl.load(tile_line_ptr + place // M) // tile_span
                    last = (tl.load(tile_line_ptr + place // M + 1) - 1) // tile_span
                    for tile_program in range(first, last + 1):
                        segment = (place + tile_program * M).to(tl.int64) * (K * G) + heads
                        tile_weight = tl.load(tile_weight_ptr + segment, mask=g < G, other=0.0)
                        tile_mean = tl.load(tile_mean_ptr + segment[:, None] * H + h[None, :], mask=q_mask, other=0.0)
                        higher = tl.maximum(best, tile_weight)
                        shrink = tl.exp2(best - higher)
                        part = tl.exp2(tile_weight - higher)
                        weight = weight * shrink + part
                        mean = mean * shrink[:, None] + tile_mean * part[:, None]
                        best = higher
            slots_ptr = table_ptr + table_row + shift
            for begin in range(at, stop, BLOCK):
                inside = begin + l < stop
                kv = slots.to(tl.int64)[:, None] * (K * H) + head * H + h[None, :]
                kv_mask = inside[:, None] & (h[None, :] < H)
                k = tl.load(keys_ptr + kv, mask=kv_mask, other=0.0)
                v = tl.load(values_ptr + kv, mask=kv_mask, other=0.0)
                ahead = begin + BLOCK + l
                slots = tl.load(slots_ptr + ahead, mask=ahead < stop, other=0)
                score = tl.dot(q, tl.trans(k), input_precision=PRECISION) * scale
                score = tl.where(inside[None, :], score, float("-inf"))
                higher = tl.maximum(best, tl.max(score, axis=1))
                shrink = tl.exp2(best - higher)
                part = tl.exp2(score - higher[:, None])
                weight = weight * shrink + tl.sum(part, axis=1)
                mean = mean * shrink[:, None] + tl.dot(part.to(v.dtype), v, input_precision=PRECISION)
                best = higher
            mean = mean / weight[:, None]
            first_program = row_begin // span
            last_program = (row_end - 1) // span
            if first_program == last_program:
                out = out_ptr + row.to(tl.int64) * out_token_stride + heads[:, None] * out_head_stride + h[None, :]
                tl.store(out, mean.to(out_ptr.dtype.element_ty), mask=q_mask)
            else:
                segment = (program + row).to(tl.int64) * (K * G) + heads
                tl.store(mean_ptr + segment[:, None] * H + h[None, :], mean, mask=q_mask)
                tl.store(weight_ptr + segment, best + tl.log2(weight), mask=g < G)
                # The whole program has written its segment before one of its threads counts it.
                tl.debug_barrier()
                arrived = tl.atomic_add(arrived_ptr + row * K + head, 1, sem="acq_rel")
                if arrived == last_program - first_program:
                    tl.store(arrived_ptr + row * K + head, 0)
                    out = out_ptr + row.to(tl.int64) * out_token_stride + head * G * out_head_stride
                    _merge_row(
                        first_program, last_program, row, head * G, mean_ptr, weight_ptr, out, out_head_stride,
                        N=K * G, G=G, G_BLOCK=G_MERGED, H=H, H_BLOCK=H_BLOCK, COUNT=COUNT,
                    )  # fmt: skip
        at = stop
        row += 1
        row_end, shift, table_row = next_end, next_shift, next_table_row
        stop = tl.minimum(row_end, end)
        slots = tl.load(table_ptr + table_row + at + shift + l, mask=at + l < stop, other=0)
    for begin in range(program * EMPTY, n_rows, programs * EMPTY):
        rows = begin + tl.arange(0, EMPTY)
        exists = rows < n_rows
        ends = tl.load(line_ptr + rows + 1, mask=exists, other=0)
        empty = exists & (tl.load(line_ptr + rows, mask=exists, other=-1) == ends)
        if tl.max(empty.to(tl.int32), axis=0) > 0:
            out = out_ptr + rows.to(tl.int64)[:, None] * out_token_stride + h[None, :]
            zeros = tl.zeros((EMPTY, H_BLOCK), out_ptr.dtype.element_ty)
            for i in range(G):
                tl.store(out + (head * G + i) * out_head_stride, zeros, mask=empty[:, None] & (h[None, :] < H))


@triton.jit
def _merge_row(
    first_program, last_program, row, first_head, mean_ptr, weight_ptr, out_ptr, out_head_stride,
    N: tl.constexpr, G: tl.constexpr, G_BLOCK: tl.constexpr, H: tl.constexpr, H_BLOCK: tl.constexpr,
    COUNT: tl.constexpr,
):  # fmt: skip
    """Merge the segments that programs `first_program` to `last_program` wrote for the G heads from `first_head`."""
    g = tl.arange(0, G_BLOCK)
    h = tl.arange(0, H_BLOCK)
    best = tl.full((G_BLOCK,), float("-inf"), tl.float32)
    weight = tl.zeros((G_BLOCK,), tl.float32)
    mean = tl.zeros((G_BLOCK, H_BLOCK), tl.float32)
    for first in range(first_program, last_program + 1, COUNT):
        program = first + tl.arange(0, COUNT)
        inside = (program <= last_program)[:, None] & (g < G)[None, :]
        segment = (program + row).to(tl.int64)[:, None] * N + first_head + g[None, :]
        # Other programs wrote these just now: not from this multiprocessor's own cache.
        weights = tl.load(weight_ptr + segment, mask=inside, other=float("-inf"), cache_modifier=".cg")
        means = tl.load(
            mean_ptr + segment[:, :, None] * H + h[None, None, :],
            mask=inside[:, :, None] & (h < H)[None, None, :], other=0.0, cache_modifier=".cg",
        )  # fmt: skip
        higher = tl.maximum(best, tl.max(weights, axis=0))
        shrink = tl.where(g < G, tl.exp2(best - higher), 0.0)
        part = tl.where(inside, tl.exp2(weights - higher[None, :]), 0.0)
        weight = weight * shrink + tl.sum(part, axis=0)
        mean = mean * shrink[:, None] + tl.sum(part[:, :, None] * means, axis=0)
        best = higher
    mean = mean / tl.where(weight > 0.0, weight, 1.0)[:, None]
    out = out_ptr + g[:, None] * out_head_stride + h[None, :]
    tl.store(out, mean.to(out_ptr.dtype.element_ty), mask=(g < G)[:, None] & (h < H)[None, :])


def decode_attention(
    q_DNH: Tensor,
    keys_SKH: Tensor,
    values_SKH: Tensor,
    table_RP: Tensor,
    rows_D: Tensor,
    lengths_D: Tensor,
    line: Line,
    workspace: DecodeWorkspace,
    out_DNH: Tensor,
    shared: SharedPrefixes | None = None,
    tile_line: Line | None = None,
) -> None:
    """`out_DNH[d]` = attention of token d over the last positions of row `rows_D[d]`, as many as `line` gives it.

    Args:
        q_DNH, out_DNH: any strides, the last 1.
        keys_SKH, values_SKH: one layer of the pool, dense.
        table_RP: int32 slot table, rows dense.
        rows_D: int64.
        lengths_D: int64, positions computed of each row, the token's own included.
        line: `workspace.lay_out` of `lengths_D` and the window; with `shared`, of `lengths_D - shared.lengths_D`.
            Read without waiting, and so are lengths and slots, which must be there before it is laid out.
        workspace: for at least D rows, and T tiles.
        shared, tile_line: prefixes to read once for several rows, and `workspace.lay_out_tiles` of their lengths; then
            there is no window.
    """
    rows, heads, head_dim = q_DNH.shape
    if not rows:
        return
    shape, kv_heads = workspace.shape, keys_SKH.shape[1]
    group = heads // kv_heads
    merged_heads = triton.next_power_of_2(group)
    prefix_shape, place_D, tile_ends, tiles = workspace.prefix_shape, line.ends, line.ends, 0
    if shared is not None and tile_line is not None and prefix_shape is not None:
        place_D, tile_ends, tiles = shared.place_D, tile_line.ends, shared.rows_T.shape[0]
        prefix_segments(
            q_DNH, keys_SKH, values_SKH, table_RP, shared, *tile_line, prefix_shape,
            workspace.tile_mean_CNH, workspace.tile_weight_CN,
        )  # fmt: skip
    programs = shape.programs_for(rows)
    _decode_segments[(kv_heads, programs)](
        q_DNH, keys_SKH, values_SKH, table_RP, rows_D, lengths_D, *line,
        workspace.mean_CNH, workspace.weight_CN, workspace.arrived,
        place_D, tile_ends, workspace.tile_mean_CNH, workspace.tile_weight_CN, out_DNH,
        rows, programs, tiles, 1 if prefix_shape is None else prefix_shape.programs,
        head_dim**-0.5 * 1.4426950408889634,  # of log2(e): weights are powers of two from here on
        q_DNH.stride(0), q_DNH.stride(1), table_RP.stride(0), out_DNH.stride(0), out_DNH.stride(1),
        K=kv_heads, G=group, G_BLOCK=max(16, merged_heads), H=head_dim,
        H_BLOCK=max(16, triton.next_power_of_2(head_dim)), BLOCK=shape.block,
        G_MERGED=merged_heads, COUNT=max(1, MERGED_AT_ONCE // merged_heads), EMPTY=EMPTY_AT_ONCE,
        SHARED=tiles > 0, M=TILE_ROWS, TILE_BLOCK=16 if prefix_shape is None else prefix_shape.block,
        PRECISION="ieee" if q_DNH.dtype == torch.float32 else "tf32",
        num_warps=shape.warps, num_stages=shape.stages, **overlap(q_DNH.device),
    )  # fmt: skip
