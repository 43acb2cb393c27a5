"""Attention in plain torch: the reference every other backend is compared with, and the CPU's.

Two shapes of work. A prompt chunk of several tokens is one scaled-dot-product call over its row's gathered slots (a
long one several). Single tokens (decode rows, chunks of one) are padded together, one batch per length class:

    bound  9 10 11 16 | 40 61 64 | 900 1024        rows sorted by length, cut where the longest
                 -> [4, 16]  [3, 64]   [2, 1024]   is over twice the shortest: at most half is padding

A layer's window w cuts both before anything is gathered: a single token reads its last w slots, a chunk those from
w - 1 positions before its first token on, and a mask hides what is too old for its later ones.

Padding reads a slot the row reads anyway, never a foreign or free one: a free slot may hold NaN, and 0 * NaN is NaN.
Query heads of one key/value head ride as extra queries (singles) or as a stride-0 head axis (chunks), so KV is never
repeated in memory.

Shapes: T tokens, B rows of a group, C tokens of a chunk, L positions read, R rows, P positions, N query heads,
K key/value heads, G = N / K, H head_dim.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from .interface import AttentionBatch, Chunk
from .kv_pool import KVPool
from .rotation import Rotation, rotate

SHORTEST_CLASS = 64
"""Lengths up to this share one group: padding them costs less than another call."""

MAX_GATHER = 1 << 16
"""Slots gathered at once; bounds the memory a long-context batch needs besides the pool."""


MAX_QUERIES = 512
"""Tokens of a chunk computed by one call; bounds the mask, which has as many rows."""


class TorchAttention:
    """Attention over `pool`, on whatever device the pool is.

    Turns torch's cuDNN attention off for the process: it builds a plan for each new shape (40 ms on an H200), and here
    every step has a new one. The other kernels of `scaled_dot_product_attention` take any shape as it comes.
    """

    def __init__(self, pool: KVPool) -> None:
        torch.backends.cuda.enable_cudnn_sdp(False)
        self._pool = pool
        self._gather = _Gather(pool)

    def begin(self, batch: AttentionBatch) -> TorchStepAttention:
        return TorchStepAttention(self._pool, self._gather, batch)


class _Gather:
    """Copies slots of a layer into two buffers that every group of every layer uses again.

    Fresh memory of this size comes from the system each time and costs more to map than to fill (2 to 6 times, on CPU).
    """

    def __init__(self, pool: KVPool) -> None:
        self._pool = pool
        self._keys = pool.keys_LSKH.new_empty((0, *pool.keys_LSKH.shape[2:]))
        self._values = torch.empty_like(self._keys)

    def __call__(self, layer: int, slots: Tensor) -> tuple[Tensor, Tensor]:
        """Keys and values [n, K, H] of `slots` [n], valid until the next call."""
        count = slots.shape[0]
        if self._keys.shape[0] < count:
            self._keys = self._keys.new_empty((count, *self._keys.shape[1:]))
            self._values = torch.empty_like(self._keys)
        keys, values = self._keys[:count], self._values[:count]
        torch.index_select(self._pool.keys_LSKH[layer], 0, slots, out=keys)
        torch.index_select(self._pool.values_LSKH[layer], 0, slots, out=values)
        return keys, values


@dataclass(frozen=True)
class _ChunkWork:
    """Tokens [first, last) of the step over `slots_L`; `bias_CL` is None when plain causal attention is meant."""

    first: int
    last: int
    slots_L: Tensor
    bias_CL: Tensor | None


@dataclass(frozen=True)
class _SinglesWork:
    """Tokens `tokens_B` of the step, each over its row of `slots_BL`; `bias_B11L` is 0 or minus infinity."""

    tokens_B: Tensor
    slots_BL: Tensor
    bias_B11L: Tensor


@dataclass(frozen=True)
class _Work:
    """What the layers of one window compute in a step."""

    chunks: list[_ChunkWork]
    singles: list[_SinglesWork]


class TorchStepAttention:
    """See `interface.StepAttention`."""

    def __init__(self, pool: KVPool, gather: _Gather, batch: AttentionBatch) -> None:
        self._pool = pool
        self._gather = gather
        self._batch = batch
        self._work: dict[int | None, _Work] = {}

    def rotate_and_write(self, layer: int, q_TNH: Tensor, k_TKH: Tensor, v_TKH: Tensor, rotation: Rotation) -> Tensor:
        self.write(layer, rotate(k_TKH, rotation), v_TKH)
        return rotate(q_TNH, rotation)

    def write(self, layer: int, k_TKH: Tensor, v_TKH: Tensor) -> None:
        """Put keys, turned already, and values into the slots of the step's tokens."""
        dtype = self._pool.layout.dtype
        self._pool.keys_LSKH[layer].index_copy_(0, self._batch.slots_T, k_TKH.to(dtype))
        self._pool.values_LSKH[layer].index_copy_(0, self._batch.slots_T, v_TKH.to(dtype))

    def attend(self, layer: int, q_TNH: Tensor, window: int | None = None) -> Tensor:
        if window not in self._work:
            self._work[window] = _step_work(self._batch, window, self._pool)
        kv_heads, head_dim = self._pool.keys_LSKH.shape[2:]
        q_TKGH = q_TNH.view(q_TNH.shape[0], kv_heads, -1, head_dim)
        groups = q_TKGH.shape[2]
        out_TKGH = torch.empty_like(q_TKGH)
        for chunk in self._work[window].chunks:
            k_LKH, v_LKH = self._gather(layer, chunk.slots_L)
            mixed_KGCH = F.scaled_dot_product_attention(
                q_TKGH[chunk.first : chunk.last].permute(1, 2, 0, 3),
                _shared_by_group(k_LKH, groups),
                _shared_by_group(v_LKH, groups),
                attn_mask=chunk.bias_CL,
                is_causal=chunk.bias_CL is None,
            )
            out_TKGH[chunk.first : chunk.last] = mixed_KGCH.permute(2, 0, 1, 3)
        for work in self._work[window].singles:
            size_BLKH = (*work.slots_BL.shape, kv_heads, head_dim)
            keys, values = self._gather(layer, work.slots_BL.flatten())
            mixed_BKGH = F.scaled_dot_product_attention(
                q_TKGH.index_select(0, work.tokens_B),
                keys.view(size_BLKH).transpose(1, 2),
                values.view(size_BLKH).transpose(1, 2),
                attn_mask=work.bias_B11L,
            )
            out_TKGH.index_copy_(0, work.tokens_B, mixed_BKGH)
        return out_TKGH.view_as(q_TNH)


def length_groups(bounds: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """Indexes into `bounds`, sorted by length and cut into groups that waste at most half of a padded batch.

    A group's longest is at most twice its shortest (or `SHORTEST_CLASS`), and its padded size at most `MAX_GATHER`
    slots, unless it is one row.
    """
    order = np.argsort(bounds, kind="stable")
    groups = []
    first = 0
    for i in range(1, len(order) + 1):
        if i < len(order):
            longest = int(bounds[order[i]])
            fits_class = longest <= max(SHORTEST_CLASS, 2 * int(bounds[order[first]]))
            if fits_class and longest * (i + 1 - first) <= MAX_GATHER:
                continue
        groups.append(order[first:i])
        first = i
    return groups


def _step_work(batch: AttentionBatch, window: int | None, pool: KVPool) -> _Work:
    device = batch.table_RP.device
    chunks: list[_ChunkWork] = []
    single_rows: list[int] = []
    single_lengths: list[int] = []
    single_tokens: list[int] = []
    token = 0
    for chunk in batch.chunks:
        if chunk.count == 1:
            single_rows.append(chunk.row)
            single_lengths.append(chunk.start + 1)
            single_tokens.append(token)
        else:
            for done in range(0, chunk.count, MAX_QUERIES):
                piece = Chunk(chunk.row, chunk.start + done, min(MAX_QUERIES, chunk.count - done))
                chunks.append(_chunk_work(batch.table_RP, piece, token + done, window, pool))
        token += chunk.count
    rows = np.concatenate((np.asarray(single_rows, dtype=np.int64), batch.decode_rows))
    bounds = np.concatenate((np.asarray(single_lengths, dtype=np.int64), batch.length_bounds))
    tokens = np.concatenate(
        (np.asarray(single_tokens, dtype=np.int64), np.arange(token, token + len(batch.decode_rows)))
    )
    ends = torch.cat((torch.tensor(single_lengths, dtype=torch.int64, device=device), batch.lengths_D))
    starts = torch.zeros_like(ends) if window is None else (ends - window).clamp_(min=0)
    if window is not None:
        bounds = np.minimum(bounds, window)
    singles = []
    for group in length_groups(bounds):
        index = torch.from_numpy(group).to(device)
        singles.append(
            _singles_work(
                batch.table_RP,
                torch.from_numpy(rows[group]).to(device),
                starts.index_select(0, index),
                ends.index_select(0, index),
                int(bounds[group[-1]]),
                torch.from_numpy(tokens[group]).to(device),
                pool,
            )
        )
    return _Work(chunks, singles)


def _chunk_work(table_RP: Tensor, chunk: Chunk, token: int, window: int | None, pool: KVPool) -> _ChunkWork:
    """`token` is the index of the chunk's first token in the step."""
    oldest = 0 if window is None else max(0, chunk.start + 1 - window)
    end = chunk.start + chunk.count
    bias_CL = None
    if chunk.start > 0 or (window is not None and window < chunk.count):
        position_L = torch.arange(oldest, end, device=table_RP.device)
        query_C1 = position_L[chunk.start - oldest :].unsqueeze(1)
        hidden_CL = position_L > query_C1
        if window is not None:
            hidden_CL |= position_L <= query_C1 - window
        bias_CL = _bias(hidden_CL, pool)
    return _ChunkWork(token, token + chunk.count, table_RP[chunk.row, oldest:end].long(), bias_CL)


def _singles_work(
    table_RP: Tensor, rows_B: Tensor, starts_B: Tensor, ends_B: Tensor, bound: int, tokens_B: Tensor, pool: KVPool
) -> _SinglesWork:
    """Each token reads positions [start, end) of its row, `bound` of them at most."""
    starts_B1 = starts_B.unsqueeze(1)
    position_BL = starts_B1 + torch.arange(bound, device=table_RP.device)
    padding_BL = position_BL >= ends_B.unsqueeze(1)
    position_BL = torch.where(padding_BL, starts_B1, position_BL)
    slots_BL = table_RP[rows_B.unsqueeze(1), position_BL].long()
    return _SinglesWork(tokens_B, slots_BL, _bias(padding_BL, pool).unsqueeze(1).unsqueeze(1))


def _bias(hidden: Tensor, pool: KVPool) -> Tensor:
    """0 where attended, minus infinity where `hidden`, in the pool's dtype as scaled_dot_product_attention wants it."""
    return torch.zeros(hidden.shape, dtype=pool.layout.dtype, device=hidden.device).masked_fill_(hidden, -torch.inf)


def _shared_by_group(x_LKH: Tensor, groups: int) -> Tensor:
    """[L, K, H] -> [K, G, L, H] where the G query heads of a key/value head see the same memory."""
    return x_LKH.transpose(0, 1).unsqueeze(1).expand(-1, groups, -1, -1)
