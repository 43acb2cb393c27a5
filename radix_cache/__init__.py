"""The KV cache as a prefix tree: `RadixTree` over a `SlotPool`. It knows slots and tokens, not models or schedulers."""

from __future__ import annotations

from .errors import CacheCorrupt, CacheMisuse, PoolExhausted
from .eviction import EvictionOrder
from .miss import Diverged, Evicted, Hit, InFlight, Miss, NeverSeen
from .node import Cursor, Root
from .pool import SlotPool
from .tree import CacheStatistics, RadixTree

__all__ = [
    "CacheCorrupt",
    "CacheMisuse",
    "CacheStatistics",
    "Cursor",
    "Diverged",
    "Evicted",
    "EvictionOrder",
    "Hit",
    "InFlight",
    "Miss",
    "NeverSeen",
    "PoolExhausted",
    "RadixTree",
    "Root",
    "SlotPool",
]
