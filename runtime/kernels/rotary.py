"""Turns queries and keys by their positions and puts keys and values into their slots, in one launch a layer.

A program takes one token and a few heads of one kind: queries are turned in place, keys are turned on their way into
the pool, values are copied. Arithmetic is float32, rounded once.

Shapes: T tokens, N query heads, K key/value heads, H head_dim, S slots.
"""

from __future__ import annotations

import triton
import triton.language as tl
from torch import Tensor

from .overlap import allow_next, overlap, wait_for_previous

HEADS = 8
"""Heads of one program: halves of 8 heads of 128 are 16-byte loads for two warps."""


@triton.jit
def _turn(source_ptrs, target_ptrs, cos, sin, mask, HALF: tl.constexpr):
    first = tl.load(source_ptrs, mask=mask, other=0.0).to(tl.float32)
    second = tl.load(source_ptrs + HALF, mask=mask, other=0.0).to(tl.float32)
    dtype = target_ptrs.dtype.element_ty
    tl.store(target_ptrs, (first * cos - second * sin).to(dtype), mask=mask)
    tl.store(target_ptrs + HALF, (second * cos + first * sin).to(dtype), mask=mask)


@triton.jit
def _rotate_and_write(
    q_ptr, k_ptr, v_ptr, cos_ptr, sin_ptr, slots_ptr, keys_ptr, values_ptr,
    q_token_stride, q_head_stride, k_token_stride, k_head_stride, v_token_stride, v_head_stride,
    N: tl.constexpr, K: tl.constexpr, HALF: tl.constexpr, HALF_BLOCK: tl.constexpr, HEADS: tl.constexpr,
    OVERLAP: tl.constexpr,
):  # fmt: skip
    allow_next(OVERLAP)
    wait_for_previous(OVERLAP)
    token = tl.program_id(0).to(tl.int64)
    part = tl.program_id(1)
    query_parts: tl.constexpr = (N + HEADS - 1) // HEADS
    key_parts: tl.constexpr = (K + HEADS - 1) // HEADS
    h = tl.arange(0, HALF_BLOCK)[None, :]
    head = tl.arange(0, HEADS)[:, None]
    cos = tl.load(cos_ptr + token * HALF + h, mask=h < HALF, other=0.0).to(tl.float32)
    sin = tl.load(sin_ptr + token * HALF + h, mask=h < HALF, other=0.0).to(tl.float32)
    if part < query_parts:
        head += part * HEADS
        at = q_ptr + token * q_token_stride + head * q_head_stride + h
        _turn(at, at, cos, sin, (head < N) & (h < HALF), HALF)
    else:
        slot = tl.load(slots_ptr + token).to(tl.int64)
        if part < query_parts + key_parts:
            head += (part - query_parts) * HEADS
            target = keys_ptr + slot * (K * 2 * HALF) + head * (2 * HALF) + h
            source = k_ptr + token * k_token_stride + head * k_head_stride + h
            _turn(source, target, cos, sin, (head < K) & (h < HALF), HALF)
        else:
            head += (part - query_parts - key_parts) * HEADS
            mask = (head < K) & (h < HALF)
            source = v_ptr + token * v_token_stride + head * v_head_stride + h
            target = values_ptr + slot * (K * 2 * HALF) + head * (2 * HALF) + h
            dtype = values_ptr.dtype.element_ty
            tl.store(target, tl.load(source, mask=mask, other=0.0).to(dtype), mask=mask)
            tl.store(target + HALF, tl.load(source + HALF, mask=mask, other=0.0).to(dtype), mask=mask)


def rotate_and_write(
    q_TNH: Tensor,
    k_TKH: Tensor,
    v_TKH: Tensor,
    cos_TH: Tensor,
    sin_TH: Tensor,
    slots_T: Tensor,
    keys_SKH: Tensor,
    values_SKH: Tensor,
) -> None:
    """Turn `q_TNH` in place; `keys_SKH[slots_T]` = turned keys, `values_SKH[slots_T]` = values.

    Args:
        q_TNH, k_TKH, v_TKH: any strides, the last 1.
        cos_TH, sin_TH: dense [T, H / 2].
        slots_T: int64.
        keys_SKH, values_SKH: one layer of the pool, dense.
    """
    tokens, heads, head_dim = q_TNH.shape
    kv_heads = k_TKH.shape[1]
    if not tokens:
        return
    parts = triton.cdiv(heads, HEADS) + 2 * triton.cdiv(kv_heads, HEADS)
    _rotate_and_write[(tokens, parts)](
        q_TNH, k_TKH, v_TKH, cos_TH, sin_TH, slots_T, keys_SKH, values_SKH,
        q_TNH.stride(0), q_TNH.stride(1), k_TKH.stride(0), k_TKH.stride(1), v_TKH.stride(0), v_TKH.stride(1),
        N=heads, K=kv_heads, HALF=head_dim // 2, HALF_BLOCK=triton.next_power_of_2(head_dim // 2), HEADS=HEADS,
        num_warps=2, **overlap(q_TNH.device),
    )  # fmt: skip
