"""Prefixes that several rows of a step read together, as the decode kernel takes them; no Triton is needed to say so.

Shapes: D rows of the step, T tiles, M rows of a tile.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

TILE_ROWS = 32
"""M, rows of a tile."""


@dataclass(frozen=True)
class SharedPrefixes:
    """Which rows of a step read a prefix together, on the device.

    Attributes:
        rows_T: a row of the slot table that begins with the tile's prefix, int64.
        lengths_T: the prefix's length, int64; 0 for a tile that is not used.
        members_TM: the tile's rows as places in the step, int32, -1 where there is none.
        place_D: where row d stands in `members_TM`, flat, int32; -1 without a shared prefix.
        lengths_D: length of the prefix that row d reads with others, int64, less than its length; 0 without any.
    """

    rows_T: Tensor
    lengths_T: Tensor
    members_TM: Tensor
    place_D: Tensor
    lengths_D: Tensor

    @classmethod
    def none(cls, tiles: int, rows: int, device: torch.device) -> SharedPrefixes:
        """Room for `tiles` tiles of a step of `rows` rows, none of them used."""
        return cls(
            rows_T=torch.zeros(tiles, dtype=torch.int64, device=device),
            lengths_T=torch.zeros(tiles, dtype=torch.int64, device=device),
            members_TM=torch.full((tiles, TILE_ROWS), -1, dtype=torch.int32, device=device),
            place_D=torch.full((rows,), -1, dtype=torch.int32, device=device),
            lengths_D=torch.zeros(rows, dtype=torch.int64, device=device),
        )
