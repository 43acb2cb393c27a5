"""SwiGLU's product: silu of the first half times the second half of one row, as the merged projection leaves them.

Shapes: T tokens, F intermediate_size.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from .overlap import allow_next, overlap, wait_for_previous

BLOCK = 1024


@triton.jit
def _gated_silu(gate_up_ptr, out_ptr, row_stride, SIZE: tl.constexpr, BLOCK: tl.constexpr, OVERLAP: tl.constexpr):
    allow_next(OVERLAP)
    wait_for_previous(OVERLAP)
    row = tl.program_id(0).to(tl.int64)
    f = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    inside = f < SIZE
    dtype = out_ptr.dtype.element_ty
    gate = tl.load(gate_up_ptr + row * row_stride + f, mask=inside, other=0.0).to(tl.float32)
    up = tl.load(gate_up_ptr + row * row_stride + SIZE + f, mask=inside, other=0.0).to(tl.float32)
    silu = (gate / (1.0 + tl.exp(-gate))).to(dtype).to(tl.float32)
    tl.store(out_ptr + row * SIZE + f, (silu * up).to(dtype), mask=inside)


def gated_silu(gate_up_TG: Tensor) -> Tensor:
    """silu(gate) * up of rows [gate | up]; [T, 2F] -> [T, F], rounded after silu and after the product."""
    tokens, size = gate_up_TG.shape[0], gate_up_TG.shape[1] // 2
    out_TF = torch.empty((tokens, size), dtype=gate_up_TG.dtype, device=gate_up_TG.device)
    if tokens:
        _gated_silu[(tokens, triton.cdiv(size, BLOCK))](
            gate_up_TG, out_TF, gate_up_TG.stride(0), SIZE=size, BLOCK=BLOCK, num_warps=4, **overlap(out_TF.device)
        )
    return out_TF
