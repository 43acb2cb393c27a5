"""RMSNorm, alone or together with the addition of the residual stream in front of it: one read, one write.

Rounding is that of the plain version: the sum is rounded to the model's dtype before its mean square is taken (in
float32), the normalised value before it is multiplied by the weight.

Shapes: T tokens, n rows of a token (1 for the hidden state, heads for a norm on each head), E width of a row.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from .overlap import allow_next, overlap, wait_for_previous


@triton.jit
def _rms_norm(
    x_ptr, residual_ptr, weight_ptr, out_ptr, per_token, token_stride, row_stride, eps,
    SIZE: tl.constexpr, BLOCK: tl.constexpr, ADD: tl.constexpr, OVERLAP: tl.constexpr,
):  # fmt: skip
    allow_next(OVERLAP)
    wait_for_previous(OVERLAP)
    row = tl.program_id(0).to(tl.int64)
    e = tl.arange(0, BLOCK)
    inside = e < SIZE
    dtype = out_ptr.dtype.element_ty
    source = (row // per_token) * token_stride + (row % per_token) * row_stride + e
    x = tl.load(x_ptr + source, mask=inside, other=0.0).to(tl.float32)
    if ADD:
        target = residual_ptr + row * SIZE + e
        x += tl.load(target, mask=inside, other=0.0).to(tl.float32)
        rounded = x.to(dtype)
        tl.store(target, rounded, mask=inside)
        x = rounded.to(tl.float32)
    scale = tl.rsqrt(tl.sum(x * x, axis=0) / SIZE + eps)
    weight = tl.load(weight_ptr + e, mask=inside, other=0.0).to(tl.float32)
    normed = (x * scale).to(dtype).to(tl.float32) * weight
    tl.store(out_ptr + row * SIZE + e, normed.to(dtype), mask=inside)


def rms_norm(x: Tensor, weight_E: Tensor, eps: float) -> Tensor:
    """x / rms(x) * weight over the last axis; [T, E] or [T, n, E], any strides but the last; the result is dense."""
    out = torch.empty(x.shape, dtype=x.dtype, device=x.device)
    per_token = 1 if x.dim() == 2 else x.shape[1]
    _launch(x, x, weight_E, out, eps, per_token=per_token, add=False)
    return out


def add_rms_norm(x_TE: Tensor, residual_TE: Tensor, weight_E: Tensor, eps: float) -> tuple[Tensor, Tensor]:
    """(norm of x + residual, x + residual); the sum overwrites `residual_TE`, which is dense."""
    out_TE = torch.empty(x_TE.shape, dtype=x_TE.dtype, device=x_TE.device)
    _launch(x_TE, residual_TE, weight_E, out_TE, eps, per_token=1, add=True)
    return out_TE, residual_TE


def _launch(x: Tensor, residual: Tensor, weight: Tensor, out: Tensor, eps: float, *, per_token: int, add: bool) -> None:
    size = x.shape[-1]
    rows = x.numel() // size
    if not rows:
        return
    block = triton.next_power_of_2(size)
    warps = min(16, max(1, block // 512))
    _rms_norm[(rows,)](
        x, residual, weight, out, per_token, x.stride(0), x.stride(-2), eps,
        SIZE=size, BLOCK=block, ADD=add, num_warps=warps, **overlap(x.device),
    )  # fmt: skip
