"""The KV pool: one slot for each cached token, the same slot number in every layer.

Attention owns the pool's layout, so that quantised KV is a change of `KVLayout` and of the backends, and of nobody
else. Who may write or read a slot is decided by the core; this file only holds the bytes.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class KVLayout:
    """How one key or value is stored.

    Attributes:
        dtype: of the stored elements.
        scales: granularity of the scales of a quantised layout; None stores plain values, the only layout today.
    """

    dtype: torch.dtype
    scales: None = None


class KVPool:
    """Keys and values [layers, slots, kv_heads, head_dim] each, uninitialised: a slot means nothing until written."""

    def __init__(
        self, layout: KVLayout, *, layers: int, slots: int, kv_heads: int, head_dim: int, device: torch.device
    ) -> None:
        self.layout = layout
        shape = (layers, slots, kv_heads, head_dim)
        self.keys_LSKH = torch.empty(shape, dtype=layout.dtype, device=device)
        self.values_LSKH = torch.empty(shape, dtype=layout.dtype, device=device)

    @staticmethod
    def bytes_per_slot(layout: KVLayout, *, layers: int, kv_heads: int, head_dim: int) -> int:
        """Bytes one token takes over all layers, keys and values together."""
        return 2 * layers * kv_heads * head_dim * layout.dtype.itemsize
