"""Prompt chunks through FlashAttention: the slots a chunk reads are gathered, then torch's `varlen_attn` runs over many
chunks of different lengths at once.

    chunks     [ c0: 64 tokens at 2048 | c1: 512 at 0 | ... ]
    gathered   [ 2112 slots of c0's row | 512 of c1's | ... ]       cut into pieces of at most `MAX_GATHER` slots

The copy is small beside what it feeds (2K tokens of an 8B model are 8 MB a layer) and keeps the pool's page size 1 out
of the attention kernel.

Shapes: T tokens of the chunks, L slots read by a piece, N query heads, K key/value heads, H head_dim, S slots.
"""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..kernels.transfer import upload
from .interface import Chunk
from .kv_pool import KVPool

MAX_GATHER = 1 << 16
"""Slots gathered at once, unless one chunk alone reads more; bounds the memory besides the pool."""

MAX_HEAD_DIM = 256
"""FlashAttention's own bound."""


def supports(device: torch.device, dtype: torch.dtype, head_dim: int) -> bool:
    """Whether FlashAttention in torch takes such heads on this device."""
    return (
        device.type == "cuda"
        and torch.cuda.get_device_capability(device) >= (8, 0)
        and dtype in (torch.bfloat16, torch.float16)
        and head_dim % 8 == 0
        and head_dim <= MAX_HEAD_DIM
        and torch.backends.cuda.is_flash_attention_available()
        and _varlen_attn() is not None
    )


@dataclass(frozen=True)
class Piece:
    """Tokens [first, last) of the step: some chunks, whole.

    Attributes:
        slots_L: the slots each chunk reads, one chunk after the other, int64, on the device.
        ends_q, ends_k: int32 prefix sums of the chunks' tokens and of the slots they read, on the device.
        max_q, max_k: the longest of each.
        window: of the layers it is for.
    """

    first: int
    last: int
    slots_L: Tensor
    ends_q: Tensor
    ends_k: Tensor
    max_q: int
    max_k: int
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
                ends_q=ends[0],
                ends_k=ends[1],
                max_q=int(counts[part].max()),
                max_k=int(lengths[part].max()),
                window=window,
            )
        )
        begin = end
    return out


def attend(piece: Piece, q_TNH: Tensor, pool: KVPool, layer: int) -> Tensor:
    """Attention of the piece's tokens, `q_TNH` being theirs alone; [T, N, H]."""
    function = _varlen_attn()
    assert function is not None
    keys_LKH = pool.keys_LSKH[layer].index_select(0, piece.slots_L)
    values_LKH = pool.values_LSKH[layer].index_select(0, piece.slots_L)
    left = -1 if piece.window is None else piece.window - 1
    # torch 2.11 takes fewer key/value heads as they come; later versions want to be told.
    options = {"enable_gqa": True} if _wants_gqa() else {}
    out: Tensor = function(
        q_TNH, keys_LKH, values_LKH, piece.ends_q, piece.ends_k, piece.max_q, piece.max_k,
        window_size=(left, 0), **options,
    )  # fmt: skip
    return out


@cache
def _varlen_attn() -> Any:
    """torch's function, None where torch has none."""
    try:
        from torch.nn.attention.varlen import varlen_attn
    except ImportError:
        return None
    return varlen_attn


@cache
def _wants_gqa() -> bool:
    return "enable_gqa" in inspect.signature(_varlen_attn()).parameters
