"""Rotary position embeddings (Su et al. 2021, RoFormer, section 3.4.2) from a table made once.

The table makes a rotation a function of the position alone: no shape of a batch, no vector tail can change its last
bit. Angles are computed in float32 whatever the model's dtype, as the published Llama models were trained.

Shapes: T tokens of the step, P positions, H head_dim.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ..attention.rotation import Rotation
from .config import DefaultRope, LinearRope, Llama3Rope, ModelConfig, RopeScaling


def inverse_frequencies(head_dim: int, theta: float, scaling: RopeScaling) -> Tensor:
    """Radians per position of each rotated pair, float32, shape [head_dim / 2]."""
    exponent = torch.arange(0, head_dim, 2, dtype=torch.float32) / head_dim
    frequency = 1.0 / torch.pow(theta, exponent)
    match scaling:
        case DefaultRope():
            return frequency
        case LinearRope(factor):
            return frequency / factor
        case Llama3Rope(factor, low, high, original):
            # Pairs that turn more than `high` times in the original context keep their speed, fewer than `low` times
            # are slowed by `factor`, and those between get a mix of the two, linear in the number of turns.
            turns = original * frequency / (2 * math.pi)
            kept = ((turns - low) / (high - low)).clamp(0.0, 1.0)
            return kept * frequency + (1.0 - kept) * frequency / factor


class RotaryTable:
    """Cosines and sines of every position of every pair, in the dtype of the model.

    Raises MemoryError or torch's out-of-memory error when `positions * head_dim` values do not fit.
    """

    def __init__(self, config: ModelConfig, positions: int, dtype: torch.dtype, device: torch.device) -> None:
        frequency = inverse_frequencies(config.head_dim, config.rope_theta, config.rope_scaling)
        angle_PH = torch.outer(torch.arange(positions, dtype=torch.float32), frequency)
        self._cos_PH = angle_PH.cos().to(dtype=dtype, device=device)
        self._sin_PH = angle_PH.sin().to(dtype=dtype, device=device)

    def at(self, positions_T: Tensor) -> Rotation:
        """Cosines and sines of the step's tokens: all heads of a token turn alike."""
        return Rotation(self._cos_PH.index_select(0, positions_T), self._sin_PH.index_select(0, positions_T))
