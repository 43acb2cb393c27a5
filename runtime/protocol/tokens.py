"""`Int32Bytes` as numpy arrays. `unpack` is a view, not a copy: a message is read where it was received."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from .int32 import Int32Bytes

IntArray: TypeAlias = NDArray[np.int32]

__all__ = ["Int32Bytes", "IntArray", "pack", "unpack"]

_DTYPE = np.dtype("<i4")


def pack(values: Iterable[int] | IntArray) -> Int32Bytes:
    """`values` as int32 bytes. Raises OverflowError if one does not fit in 32 bits."""
    if isinstance(values, np.ndarray):
        return values.astype(_DTYPE, copy=False).tobytes()
    return np.fromiter(values, dtype=_DTYPE).tobytes()


def unpack(data: Int32Bytes) -> IntArray:
    """A read-only int32 array over `data`, shape (len(data) // 4,). Raises ValueError if the length is no multiple."""
    return np.frombuffer(data, dtype=_DTYPE)
