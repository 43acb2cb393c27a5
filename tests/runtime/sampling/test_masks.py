"""Packed grammar masks mean the same bits as in the protocol."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from ramify.runtime.sampling.masks import unpack_masks, words_per_row


@pytest.mark.parametrize("vocab_size", [1, 31, 32, 33, 64, 131])
def test_bit_t_of_the_words_is_token_t(vocab_size: int) -> None:
    rng = np.random.default_rng(vocab_size)
    words = rng.integers(-(2**31), 2**31, (5, words_per_row(vocab_size))).astype("<i4")
    packed = torch.from_numpy(words.view(np.uint8))
    allowed = unpack_masks(packed, vocab_size)
    expected = [[bool(int(row[t // 32]) >> (t % 32) & 1) for t in range(vocab_size)] for row in words]
    assert allowed.tolist() == expected
