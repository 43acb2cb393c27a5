"""The one place where a linear layer is made.

Every projection of every family asks a `LinearFactory` by its name in the checkpoint, so quantised weights, LoRA and
sharding can be another factory and no family file changes.
"""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor, nn


class LinearFactory(Protocol):
    """Makes linear layers [..., in_features] -> [..., out_features]. Their parameters hold garbage until loaded."""

    def __call__(self, name: str, in_features: int, out_features: int, *, bias: bool) -> nn.Module:
        """The layer `name`."""
        ...

    def merged(self, names: dict[str, int], in_features: int, *, bias: bool) -> nn.Module:
        """Layers of one input as one: their outputs side by side. `names`: each one's out_features, in order."""
        ...


class LoadedLinear(nn.Linear):
    """A linear layer whose parameters hold garbage until they are loaded, not values computed to be overwritten."""

    def reset_parameters(self) -> None:
        """Leave the parameters as they are."""


class MergedLinear(LoadedLinear):
    """Several linear layers of one input, one product: rows of the weight belong to one part after the other.

    Attributes:
        parts: last component of each part's name in the checkpoint -> its out_features.
    """

    def __init__(
        self, parts: dict[str, int], in_features: int, *, bias: bool, dtype: torch.dtype, device: torch.device
    ) -> None:
        super().__init__(in_features, sum(parts.values()), bias=bias, dtype=dtype, device=device)
        self.parts = parts


class DenseLinear:
    """Plain weights [out_features, in_features] (and bias [out_features]) of one dtype on one device."""

    def __init__(self, dtype: torch.dtype, device: torch.device) -> None:
        self._dtype = dtype
        self._device = device

    def __call__(self, name: str, in_features: int, out_features: int, *, bias: bool) -> nn.Module:
        return LoadedLinear(in_features, out_features, bias=bias, dtype=self._dtype, device=self._device)

    def merged(self, names: dict[str, int], in_features: int, *, bias: bool) -> nn.Module:
        parts = {name.rpartition(".")[2]: size for name, size in names.items()}
        return MergedLinear(parts, in_features, bias=bias, dtype=self._dtype, device=self._device)


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
