"""Philox4x32-10 for a single draw on the host (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3",
section 3.3), and what all draws of the engine have in common: key = seed, counter = (absolute position, purpose).

`sampling/philox.py` is the same generator over tensors.
"""

from __future__ import annotations

from enum import IntEnum

MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
WEYL = (0x9E3779B9, 0xBB67AE85)
ROUNDS = 10
WORD = 0xFFFFFFFF


class Purpose(IntEnum):
    """What a draw is for; one position may need several independent ones. Never renumber: seeds would draw anew."""

    TOKEN = 0
    CHOICE = 1


def philox4x32(counter: tuple[int, int, int, int], key: tuple[int, int]) -> tuple[int, int, int, int]:
    """Four random 32-bit words for a counter and a key of 32-bit words."""
    a, b, c, d = counter
    for i in range(ROUNDS):
        left, right = a * MULTIPLIERS[0], c * MULTIPLIERS[1]
        first, second = (key[0] + i * WEYL[0]) & WORD, (key[1] + i * WEYL[1]) & WORD
        a, b, c, d = (right >> 32) ^ b ^ first, right & WORD, (left >> 32) ^ d ^ second, left & WORD
    return a, b, c, d


def uniform(seed: int, position: int, purpose: Purpose) -> float:
    """A float in [0, 1), a multiple of 2**-53: the draw of this seed for `purpose` at an absolute position."""
    words = philox4x32((position & WORD, position >> 32, int(purpose), 0), (seed & WORD, seed >> 32))
    return float((words[0] >> 5) << 26 | words[1] >> 6) * 2.0**-53
