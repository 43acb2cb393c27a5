"""What a block computes, behind one small interface: plain torch here, fused kernels on CUDA.

`TorchBlockOps` is the meaning and the CPU's path. `TritonBlockOps` computes the same with one launch each, and rounds
where the plain version rounds.

Shapes: T tokens, E width of a row, F intermediate_size, I inputs and O outputs of a product.
"""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional as F

ONTO_ROWS = 256
"""Rows from which a product is bound by arithmetic, so that it adds the residual stream on the way."""


class BlockOps(Protocol):
    """Products with weights, norm, norm behind the residual addition, and the gate of the MLP."""

    def linear(self, x: Tensor, weight_OI: Tensor, bias_O: Tensor | None = None) -> Tensor:
        """x @ weight.T + bias; [T, I] -> [T, O]."""
        ...

    def linear_onto(
        self, x: Tensor, weight_OI: Tensor, bias_O: Tensor | None, residual_TO: Tensor
    ) -> tuple[Tensor | None, Tensor]:
        """Two terms of x @ weight.T + bias + residual: the product, or None where it is in the other term already.

        The sum may take the memory of `residual_TO`.
        """
        ...

    def norm(self, x: Tensor, weight_E: Tensor, eps: float) -> Tensor:
        """x / rms(x) * weight over the last axis, computed in float32 at least; [T, E] or [T, heads, E]."""
        ...

    def add_norm(self, x_TE: Tensor, residual_TE: Tensor, weight_E: Tensor, eps: float) -> tuple[Tensor, Tensor]:
        """(norm of x + residual, x + residual); the sum may take the memory of `residual_TE`."""
        ...

    def gated_linear(self, x: Tensor, weight_OI: Tensor, bias_O: Tensor | None = None) -> Tensor:
        """silu(gate) * up of the rows [gate | up] that `linear` gives; [T, I] -> [T, F], where O is 2 F."""
        ...


class TorchBlockOps:
    """See `BlockOps`; on any device, in any dtype."""

    def linear(self, x: Tensor, weight_OI: Tensor, bias_O: Tensor | None = None) -> Tensor:
        return F.linear(x, weight_OI, bias_O)

    def linear_onto(
        self, x: Tensor, weight_OI: Tensor, bias_O: Tensor | None, residual_TO: Tensor
    ) -> tuple[Tensor | None, Tensor]:
        return F.linear(x, weight_OI, bias_O), residual_TO

    def norm(self, x: Tensor, weight_E: Tensor, eps: float) -> Tensor:
        wide = x.to(torch.promote_types(x.dtype, torch.float32))
        scale = torch.rsqrt(wide.square().mean(-1, keepdim=True) + eps)
        return weight_E * (wide * scale).to(x.dtype)

    def add_norm(self, x_TE: Tensor, residual_TE: Tensor, weight_E: Tensor, eps: float) -> tuple[Tensor, Tensor]:
        total_TE = residual_TE + x_TE
        return self.norm(total_TE, weight_E, eps), total_TE

    def gated_linear(self, x: Tensor, weight_OI: Tensor, bias_O: Tensor | None = None) -> Tensor:
        gate_TF, up_TF = F.linear(x, weight_OI, bias_O).chunk(2, dim=-1)
        return F.silu(gate_TF) * up_TF


class TritonBlockOps:
    """See `BlockOps`; needs Triton, and a dtype of 32 bits or less."""

    def __init__(self, device: torch.device) -> None:
        from ..kernels import norm
        from ..kernels.skinny import SkinnyProducts

        self._norm, self._products = norm, SkinnyProducts(device)

    def linear(self, x: Tensor, weight_OI: Tensor, bias_O: Tensor | None = None) -> Tensor:
        return self._products.linear(x, weight_OI, bias_O)

    def linear_onto(
        self, x: Tensor, weight_OI: Tensor, bias_O: Tensor | None, residual_TO: Tensor
    ) -> tuple[Tensor | None, Tensor]:
        if x.shape[0] < ONTO_ROWS or bias_O is not None:
            return self.linear(x, weight_OI, bias_O), residual_TO
        # Read and written while the product computes, which the norm behind it need not do then.
        return None, torch.addmm(residual_TO, x, weight_OI.t(), out=residual_TO)

    def norm(self, x: Tensor, weight_E: Tensor, eps: float) -> Tensor:
        return self._norm.rms_norm(x, weight_E, eps)

    def add_norm(self, x_TE: Tensor, residual_TE: Tensor, weight_E: Tensor, eps: float) -> tuple[Tensor, Tensor]:
        return self._norm.add_rms_norm(x_TE, residual_TE, weight_E, eps)

    def gated_linear(self, x: Tensor, weight_OI: Tensor, bias_O: Tensor | None = None) -> Tensor:
        return self._products.linear(x, weight_OI, bias_O, gated=True)
