"""The faults of the cache. None of them is a client's: each says that the scheduler broke a rule of the cache, or the
cache its own. They are types of their own so that a test, or the engine's fault boundary, can tell them apart.
"""

from __future__ import annotations

from ..errors import RamifyError


class PoolExhausted(RamifyError):
    """`allocate` was asked for more slots than are free; the caller evicts, waits or retracts first."""


class CacheMisuse(RamifyError):
    """A call against the rules: a closed cursor, a second lease, an extension without a lease, steps out of order."""


class CacheCorrupt(RamifyError):
    """`check` found a slot without exactly one owner, or a tree that contradicts itself."""
