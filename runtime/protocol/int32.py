"""Token ids, slots and rows on the wire: little-endian int32 bytes, never lists of Python integers.

This module is what a client without numpy needs; `tokens.py` has the arrays.
"""

from __future__ import annotations

import array
import sys
from typing import TypeAlias

Int32Bytes: TypeAlias = bytes
"""int32 values, little-endian, shape (n,)."""


def to_list(data: Int32Bytes) -> list[int]:
    """The values as Python integers. Raises ValueError if the length is no multiple of 4."""
    values = array.array("i")
    values.frombytes(data)
    if sys.byteorder == "big":
        values.byteswap()
    return values.tolist()
