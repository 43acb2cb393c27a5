"""Rotary position embeddings as attention applies them: to queries, and to keys on their way into the pool.

The tables are the model's (`models/rotary.py`); here is only what turning a head by an angle means.

Shapes: T tokens, n heads of any kind, H head_dim.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class Rotation(NamedTuple):
    """The step's angles: cosines and sines of each token's pairs, dense, in the model's dtype, [T, H / 2] each."""

    cos_TH: Tensor
    sin_TH: Tensor


def rotate(x_TnH: Tensor, rotation: Rotation) -> Tensor:
    """Turn pair i = (x[i], x[i + H / 2]) of every head by its angle; [T, n, H] -> [T, n, H]."""
    cos, sin = rotation.cos_TH.unsqueeze(1), rotation.sin_TH.unsqueeze(1)
    first, second = x_TnH.chunk(2, dim=-1)
    return torch.cat((first * cos - second * sin, second * cos + first * sin), dim=-1)
