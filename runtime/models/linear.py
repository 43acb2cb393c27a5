"""The one place where a linear layer is made.

Every projection of every family asks a `LinearFactory` by its name in the checkpoint, so quantised weights, LoRA and
sharding can be another factory and no family file changes.
"""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor, nn

from .block_ops import BlockOps


class Linear(nn.Linear):
    """A linear layer whose product is computed by `ops`. Its parameters hold garbage until they are loaded."""

    def __init__(
        self,
        in_features: int,
        out_features: int,
        *,
        bias: bool,
        dtype: torch.dtype,
        device: torch.device,
        ops: BlockOps,
    ) -> None:
        super().__init__(in_features, out_features, bias=bias, dtype=dtype, device=device)
        self._ops = ops

    def reset_parameters(self) -> None:
        """Compute no values that would be overwritten."""

    def forward(self, x: Tensor) -> Tensor:
        return self._ops.linear(x, self.weight, self.bias)

    def onto(self, x: Tensor, residual: Tensor) -> tuple[Tensor | None, Tensor]:
        """Two terms of the layer's output plus `residual`; see `BlockOps.linear_onto`."""
        return self._ops.linear_onto(x, self.weight, self.bias, residual)


class LinearFactory(Protocol):
    """Makes linear layers [..., in_features] -> [..., out_features]. Their parameters hold garbage until loaded."""

    def __call__(self, name: str, in_features: int, out_features: int, *, bias: bool) -> Linear:
        """The layer `name`."""
        ...

    def merged(self, names: dict[str, int], in_features: int, *, bias: bool) -> Linear:
        """Layers of one input as one: their outputs side by side. `names`: each one's out_features, in order."""
        ...

    def gated(self, names: dict[str, int], in_features: int, *, bias: bool) -> Linear:
        """Two layers of one input and size as one, whose output is silu(first) * second."""
        ...


class MergedLinear(Linear):
    """Several linear layers of one input, one product: rows of the weight belong to one part after the other.

    Attributes:
        parts: last component of each part's name in the checkpoint -> its out_features.
    """

    def __init__(
        self,
        parts: dict[str, int],
        in_features: int,
        *,
        bias: bool,
        dtype: torch.dtype,
        device: torch.device,
        ops: BlockOps,
    ) -> None:
        super().__init__(in_features, sum(parts.values()), bias=bias, dtype=dtype, device=device, ops=ops)
        self.parts = parts


class GatedLinear(MergedLinear):
    """Gate and up of an MLP: silu(gate) * up."""

    def forward(self, x: Tensor) -> Tensor:
        return self._ops.gated_linear(x, self.weight, self.bias)


class DenseLinear:
    """Plain weights [out_features, in_features] (and bias [out_features]) of one dtype on one device."""

    def __init__(self, dtype: torch.dtype, device: torch.device, ops: BlockOps) -> None:
        self._dtype = dtype
        self._device = device
        self._ops = ops

    def __call__(self, name: str, in_features: int, out_features: int, *, bias: bool) -> Linear:
        return Linear(in_features, out_features, bias=bias, dtype=self._dtype, device=self._device, ops=self._ops)

    def merged(self, names: dict[str, int], in_features: int, *, bias: bool) -> Linear:
        return self._merged(MergedLinear, names, in_features, bias)

    def gated(self, names: dict[str, int], in_features: int, *, bias: bool) -> Linear:
        return self._merged(GatedLinear, names, in_features, bias)

    def _merged(self, kind: type[MergedLinear], names: dict[str, int], in_features: int, bias: bool) -> Linear:
        parts = {name.rpartition(".")[2]: size for name, size in names.items()}
        return kind(parts, in_features, bias=bias, dtype=self._dtype, device=self._device, ops=self._ops)


def checkpoint_tensors(model: nn.Module) -> dict[str, Tensor]:
    """Where each tensor of a checkpoint goes, by its name there: a parameter, or its part of a merged one (a view)."""
    tensors: dict[str, Tensor] = {}
    for prefix, module in model.named_modules():
        for name, parameter in module.named_parameters(recurse=False):
            if isinstance(module, MergedLinear):
                parent = prefix.rpartition(".")[0]
                views = parameter.detach().split(tuple(module.parts.values()))
                for part, view in zip(module.parts, views, strict=True):
                    tensors[f"{parent}.{part}.{name}"] = view
            else:
                tensors[f"{prefix}.{name}"] = parameter.detach()
    return tensors
