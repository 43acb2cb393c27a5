"""The first kernel of a decode step: every row takes its next id, its position and its new slot.

    row r    slots [ s0 ... s(n-1) | new ]   length n -> n + 1   id = next id, at position n

One launch for the whole batch, because a captured step should not spend its first ten launches on moving a few
integers. Entries of the scratch row pad a batch to the size its graph was captured for: they compute id 0 at position 0
into the scratch slot, read nothing and change nothing.

Shapes: B entries, R rows of the batch, P positions a row can have.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import triton
import triton.language as tl
from torch import Tensor

from .overlap import allow_next, overlap, wait_for_previous


class DecodeTokens(NamedTuple):
    """The tokens of a decode step, all int64 [B]; `lengths_B` counts the token itself and is 0 for padding."""

    ids_B: Tensor
    positions_B: Tensor
    slots_B: Tensor
    lengths_B: Tensor


@triton.jit(do_not_specialize=["count"], do_not_specialize_on_alignment=["rows_ptr", "slots_ptr"])
def _begin_decode(
    rows_ptr, slots_ptr, table_ptr, length_ptr, next_id_ptr, ids_ptr, positions_ptr, token_slots_ptr, lengths_ptr,
    count, scratch_row, table_stride, BLOCK: tl.constexpr, OVERLAP: tl.constexpr,
):  # fmt: skip
    allow_next(OVERLAP)
    wait_for_previous(OVERLAP)
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = i < count
    row = tl.load(rows_ptr + i, mask=inside, other=0)
    slot = tl.load(slots_ptr + i, mask=inside, other=0)
    live = inside & (row != scratch_row)
    position = tl.load(length_ptr + row, mask=live, other=0)
    token = tl.load(next_id_ptr + row, mask=live, other=0)
    tl.store(table_ptr + row * table_stride + position, slot.to(tl.int32), mask=live)
    tl.store(length_ptr + row, position + 1, mask=live)
    tl.store(ids_ptr + i, token, mask=inside)
    tl.store(positions_ptr + i, position, mask=inside)
    tl.store(token_slots_ptr + i, slot, mask=inside)
    tl.store(lengths_ptr + i, tl.where(live, position + 1, 0), mask=inside)


def begin_decode(
    rows_B: Tensor, slots_B: Tensor, table_RP: Tensor, length_R: Tensor, next_id_R: Tensor, *, scratch_row: int
) -> DecodeTokens:
    """Advance `rows_B` by one position each.

    Args:
        rows_B: int64; distinct but for `scratch_row`.
        slots_B: int64, the slot of each new position.
        table_RP: int32, gets the slots.
        length_R, next_id_R: int64; lengths are advanced.
    """
    tokens = DecodeTokens(*(torch.empty_like(rows_B) for _ in range(4)))
    count = rows_B.shape[0]
    block = 256
    _begin_decode[(triton.cdiv(count, block),)](
        rows_B, slots_B, table_RP, length_R, next_id_R, *tokens, count, scratch_row, table_RP.stride(0),
        BLOCK=block, num_warps=4, **overlap(rows_B.device),
    )  # fmt: skip
    return tokens
