"""Philox4x32-10 is the published function, and the uniforms made of it are uniform and independent by position."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from ramify.runtime.protocol import philox as host
from ramify.runtime.protocol.philox import Purpose
from ramify.runtime.sampling.philox import philox4x32, uniform

# counter, key, result: the philox4x32 10 lines of `kat_vectors` in the Random123 distribution of the paper's authors.
KNOWN_ANSWERS = [
    ("00000000 00000000 00000000 00000000", "00000000 00000000", "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
    ("ffffffff ffffffff ffffffff ffffffff", "ffffffff ffffffff", "408f276d 41c83b0e a20bc7c6 6d5451fd"),
    ("243f6a88 85a308d3 13198a2e 03707344", "a4093822 299f31d0", "d16cfe09 94fdcceb 5001e420 24126ea1"),
]


def _words(text: str) -> list[int]:
    return [int(word, 16) for word in text.split()]


def _philox_in_python(counter: list[int], key: list[int]) -> list[int]:
    """The paper's definition, word by word in Python integers."""
    (c0, c1, c2, c3), (k0, k1) = counter, key
    for _ in range(10):
        p0, p1 = 0xD2511F53 * c0, 0xCD9E8D57 * c2
        c0, c1, c2, c3 = (p1 >> 32) ^ c1 ^ k0, p1 & 0xFFFFFFFF, (p0 >> 32) ^ c3 ^ k1, p0 & 0xFFFFFFFF
        k0, k1 = (k0 + 0x9E3779B9) & 0xFFFFFFFF, (k1 + 0xBB67AE85) & 0xFFFFFFFF
    return [c0, c1, c2, c3]


@pytest.mark.parametrize(("counter", "key", "expected"), KNOWN_ANSWERS)
def test_known_answers_of_random123(counter: str, key: str, expected: str) -> None:
    words = philox4x32(torch.tensor([_words(counter)]), torch.tensor([_words(key)]))
    assert words.tolist() == [_words(expected)]


@pytest.mark.parametrize(("counter", "key", "expected"), KNOWN_ANSWERS)
def test_the_host_gives_the_known_answers_too(counter: str, key: str, expected: str) -> None:
    a, b, c, d = _words(counter)
    first, second = _words(key)
    assert list(host.philox4x32((a, b, c, d), (first, second))) == _words(expected)


@pytest.mark.parametrize("purpose", list(Purpose))
def test_the_host_draws_what_the_device_draws(purpose: Purpose) -> None:
    position, seed = (3 << 32) + 11, 0xFEDCBA9876543210
    key = torch.tensor([[seed & 0xFFFFFFFF, seed >> 32]])
    assert host.uniform(seed, position, purpose) == uniform(key, torch.tensor([position]), purpose).item()


def test_batch_equals_the_definition_word_by_word() -> None:
    rng = np.random.default_rng(0)
    counters, keys = rng.integers(0, 2**32, (300, 4)), rng.integers(0, 2**32, (300, 2))
    words = philox4x32(torch.from_numpy(counters), torch.from_numpy(keys))
    for i in range(300):
        assert words[i].tolist() == _philox_in_python(counters[i].tolist(), keys[i].tolist())


def test_uniform_takes_53_bits_of_the_counter_position_purpose() -> None:
    position, seed = (7 << 32) + 5, 0x0123456789ABCDEF
    key = torch.tensor([[seed & 0xFFFFFFFF, seed >> 32]])
    drawn = uniform(key, torch.tensor([position]), Purpose.TOKEN)
    words = _philox_in_python([5, 7, 0, 0], [0x89ABCDEF, 0x01234567])
    assert drawn.dtype == torch.float64
    assert drawn.item() == ((words[0] >> 5) * 2**26 + (words[1] >> 6)) / 2**53


def test_uniforms_along_positions_fill_the_interval_evenly() -> None:
    count, bins = 20_000, 50
    key = torch.tensor([[12345, 0]]).expand(count, 2)
    drawn = uniform(key, torch.arange(count), Purpose.TOKEN).numpy()
    assert drawn.min() >= 0.0
    assert drawn.max() < 1.0
    observed = np.bincount((drawn * bins).astype(int), minlength=bins)
    chi_square = ((observed - count / bins) ** 2 / (count / bins)).sum()
    assert chi_square < 85.4  # the 99.9% quantile for 49 degrees of freedom
    assert abs(np.corrcoef(drawn[:-1], drawn[1:])[0, 1]) < 0.02
