"""Products of one row with a weight matrix, faster than the library's: each program streams a few rows of weights.

A product for few rows takes as long as its weights take to arrive, so nothing matters but how they are asked for: many
small programs, long runs of each row of weights, one block of weights on its way while the one before it is multiplied,
and the first one asked for before the kernel in front has ended. Sums are float32, in blocks of the row.

Shapes: T rows of activations, O outputs, I inputs.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor
from torch.nn import functional as F

from .overlap import allow_next, overlap, wait_for_previous

BLOCK = 2048
"""Inputs a program reads at once of each of its rows, at most."""

PROGRAM = 4096
"""Weights a program reads at once."""


@triton.jit
def _one_row(
    x_ptr, weight_ptr, bias_ptr, out_ptr, outputs, inputs,
    ROWS: tl.constexpr, BLOCK: tl.constexpr, BIAS: tl.constexpr, OVERLAP: tl.constexpr,
):  # fmt: skip
    allow_next(OVERLAP)
    o = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    i = tl.arange(0, BLOCK)
    exists = o < outputs
    weights = weight_ptr + o.to(tl.int64)[:, None] * inputs + i[None, :]
    # Weights never change, so they need not wait for the kernel in front.
    ahead = tl.load(weights, mask=exists[:, None] & (i < inputs)[None, :], other=0.0)
    wait_for_previous(OVERLAP)
    total = tl.zeros((ROWS, BLOCK), tl.float32)
    for begin in tl.range(0, inputs, BLOCK, num_stages=1):
        here = ahead
        behind = begin + BLOCK
        ahead = tl.load(weights + behind, mask=exists[:, None] & (behind + i < inputs)[None, :], other=0.0)
        x = tl.load(x_ptr + begin + i, mask=begin + i < inputs, other=0.0).to(tl.float32)
        total += here.to(tl.float32) * x[None, :]
    out = tl.sum(total, axis=1)
    if BIAS:
        out += tl.load(bias_ptr + o, mask=exists, other=0.0).to(tl.float32)
    tl.store(out_ptr + o, out.to(out_ptr.dtype.element_ty), mask=exists)


def linear(x_TI: Tensor, weight_OI: Tensor, bias_O: Tensor | None = None) -> Tensor:
    """x @ weight.T + bias, [T, O]; by the kernel for one row, by the library for more.

    Args:
        x_TI: rows dense.
        weight_OI: dense.
    """
    if x_TI.dim() != 2 or x_TI.shape[0] != 1:
        return F.linear(x_TI, weight_OI, bias_O)
    outputs, inputs = weight_OI.shape
    out_TO = torch.empty((1, outputs), dtype=x_TI.dtype, device=x_TI.device)
    block = min(BLOCK, triton.next_power_of_2(inputs))
    rows = PROGRAM // block
    _one_row[(triton.cdiv(outputs, rows),)](
        x_TI, weight_OI, weight_OI if bias_O is None else bias_O, out_TO, outputs, inputs,
        ROWS=rows, BLOCK=block, BIAS=bias_O is not None, num_warps=4, **overlap(x_TI.device),
    )  # fmt: skip
    return out_TO
