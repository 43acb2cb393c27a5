"""Prompt chunks through FlashAttention: the slots a chunk reads are gathered, then one call (see `flash.py`) computes
many chunks of different lengths.

    chunks     [ c0: 64 tokens at 2048 | c1: 512 at 0 | ... ]
    gathered   [ 2112 slots of c0's row | 512 of c1's | ... ]       cut into pieces of at most `MAX_GATHER` slots

The copy is small beside what it feeds (2K tokens of an 8B model are 8 MB a layer) and keeps the pool's page size 1 out
of the attention kernel.

Shapes: T tokens of the chunks, L slots read by a piece, N query heads, K key/value heads, H head_dim, S slots.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from torch import Tensor

from ..kernels.transfer import upload
from .flash import Flash, Lengths
from .interface import Chunk
from .kv_pool import KVPool

MAX_GATHER = 1 << 16
"""Slots gathered at once, unless one chunk alone reads more; bounds the memory besides the pool."""


@dataclass(frozen=True)
class Piece:
    """Tokens [first, last) of the step: some chunks, whole.

    Attributes:
        slots_L: the slots each chunk reads, one chunk after the other, int64, on the device.
        lengths: of the chunks' tokens and of the slots they read.
        window: of the layers it is for.
    """

    first: int
    last: int
    slots_L: Tensor
    lengths: Lengths
    window: int | None


def pieces(chunks: list[Chunk], table_RP: Tensor, window: int | None) -> list[Piece]:
    """The chunks of a step, in order, for layers with this window."""
    if not chunks:
        return []
    rows, starts, counts = (
        np.array(values, dtype=np.int64)
        for values in zip(*((chunk.row, chunk.start, chunk.count) for chunk in chunks), strict=True)
    )
    oldest = np.zeros_like(starts) if window is None else np.maximum(0, starts + 1 - window)
    lengths = starts + counts - oldest
    cells = rows * table_RP.shape[1] + oldest
    token_ends = np.concatenate(([0], counts.cumsum()))
    out = []
    begin = 0
    for end in range(1, len(chunks) + 1):
        if end < len(chunks) and int(lengths[begin : end + 1].sum()) <= MAX_GATHER:
            continue
        part = slice(begin, end)
        ends_k = np.concatenate(([0], lengths[part].cumsum()))
        index = np.repeat(cells[part] - ends_k[:-1], lengths[part]) + np.arange(ends_k[-1])
        ends_q = token_ends[begin : end + 1] - token_ends[begin]
        ends = upload(np.stack((ends_q, ends_k)).astype(np.int32), table_RP.device)
        out.append(
            Piece(
                first=int(token_ends[begin]),
                last=int(token_ends[end]),
                slots_L=table_RP.view(-1).index_select(0, upload(index, table_RP.device)).long(),
                lengths=Lengths(ends[0], ends[1], int(counts[part].max()), int(lengths[part].max())),
                window=window,
            )
        )
        begin = end
    return out


def attend(flash: Flash, piece: Piece, q_TNH: Tensor, pool: KVPool, layer: int, out_TNH: Tensor) -> Tensor:
    """Attention of the piece's tokens, `q_TNH` being theirs alone: in `out_TNH`, or in the tensor that is returned."""
    keys_LKH = pool.keys_LSKH[layer].index_select(0, piece.slots_L)
    values_LKH = pool.values_LSKH[layer].index_select(0, piece.slots_L)
    return flash.attend(q_TNH, keys_LKH, values_LKH, piece.lengths, piece.window, out_TNH)
