"""The one place where a linear layer is made.

Every projection of every family asks a `LinearFactory` by its name in the checkpoint, so quantised weights, LoRA and
sharding can be another factory and no family file changes.
"""

from __future__ import annotations

from typing import Protocol

import torch
from torch import nn


class LinearFactory(Protocol):
    """Makes the layer `name`: [..., in_features] -> [..., out_features]. Its parameters hold garbage until loaded."""

    def __call__(self, name: str, in_features: int, out_features: int, *, bias: bool) -> nn.Module: ...


class DenseLinear:
    """Plain weights [out_features, in_features] (and bias [out_features]) of one dtype on one device."""

    def __init__(self, dtype: torch.dtype, device: torch.device) -> None:
        self._dtype = dtype
        self._device = device

    def __call__(self, name: str, in_features: int, out_features: int, *, bias: bool) -> nn.Module:
        # Made without memory first: torch's own initial values would be computed to be overwritten.
        layer = nn.Linear(in_features, out_features, bias=bias, dtype=self._dtype, device="meta")
        return layer.to_empty(device=self._device)
