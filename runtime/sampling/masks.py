"""Grammar masks: packed words as they travel, bits on the device."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from ..kernels.transfer import upload


def words_per_row(vocab_size: int) -> int:
    """32-bit words one row's mask takes."""
    return -(-vocab_size // 32)


def unpack_masks(packed_MB: Tensor, vocab_size: int) -> Tensor:
    """Packed masks as booleans.

    Args:
        packed_MB: uint8, shape [M, 4 * words_per_row(vocab_size)]: little-endian int32 words, so bit t % 8 of byte
            t // 8 says whether token t is allowed. Bits beyond the vocabulary are ignored.

    Returns:
        bool, shape [M, vocab_size].
    """
    bit_8 = upload(np.array([1 << bit for bit in range(8)], dtype=np.uint8), packed_MB.device)
    return (packed_MB.unsqueeze(-1) & bit_8).ne(0).flatten(1)[:, :vocab_size]
