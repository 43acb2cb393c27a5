"""The sampling kernel draws what `sampling.draw` draws, masked or not, and leaves its rows ready to go on."""

from __future__ import annotations

import numpy as np
import pytest
import torch

pytest.importorskip("triton", reason="Triton cannot be installed here")

from ramify.runtime.kernels import sampling
from ramify.runtime.kernels.sampling import SampleInputs, sample
from ramify.runtime.protocol.sampling import RowSampling
from ramify.runtime.sampling.draw import NO_TOKEN, draw
from ramify.runtime.sampling.masks import unpack_masks, words_per_row
from ramify.runtime.sampling.params import record
from torch import Tensor

POISON = -77


class Rig:
    """`rows` rows of a batch, of which some sample; the drawn ids, and what the reference draws."""

    def __init__(self, generator: torch.Generator, sampling: list[RowSampling], vocab_size: int) -> None:
        self.device, self.vocab_size = generator.device, vocab_size
        self.generator = generator
        self.params = np.array([record(params) for params in sampling])
        self.rows = len(sampling)
        self.temperature_R = torch.from_numpy(self.params["temperature"].astype(np.float32)).to(self.device)
        seeds = np.array([params.seed for params in sampling], dtype=np.uint64).view(np.int64)
        self.seed_R = torch.from_numpy(seeds).to(self.device)
        self.next_id_R = torch.full((self.rows,), POISON, device=self.device)
        self.length_R = torch.full((self.rows,), POISON, device=self.device)

    def draw(
        self, logits_SV: Tensor, index: list[int], rows: list[int], lengths: list[int], masks: dict[int, Tensor]
    ) -> tuple[Tensor, Tensor]:
        """(drawn, expected) for the samples `index`, row `rows[i]` each; `masks`: allowed, by place in `index`."""
        words = words_per_row(self.vocab_size)
        packed = torch.zeros((max(len(masks), 1), words), dtype=torch.int32, device=self.device)
        mask_of = torch.full((len(index),), -1, dtype=torch.int32, device=self.device)
        expected_logits = logits_SV[index].to(torch.float32)
        for number, (place, allowed_V) in enumerate(masks.items()):
            bits = torch.zeros(words * 32, dtype=torch.int64, device=self.device)
            bits[: self.vocab_size] = allowed_V.long()
            values = (bits.view(words, 32) << torch.arange(32, device=self.device)).sum(dim=1)
            packed[number] = values.to(torch.int32)
            unpacked = unpack_masks(packed[number : number + 1].view(torch.uint8), self.vocab_size)
            assert torch.equal(unpacked[0], allowed_V)
            mask_of[place] = number
            expected_logits[place].masked_fill_(~allowed_V, -torch.inf)
        lengths_S = torch.tensor(lengths, device=self.device)
        ids_S = torch.full((len(lengths),), POISON, device=self.device)
        params = self.params[rows]
        sample(
            logits_SV,
            SampleInputs(
                index_S=torch.tensor(index, dtype=torch.int32, device=self.device),
                rows_S=torch.tensor(rows, dtype=torch.int32, device=self.device),
                lengths_S=lengths_S,
                mask_S=mask_of if masks else None,
                masks=packed if masks else None,
                temperature_R=self.temperature_R,
                seed_R=self.seed_R,
                random=bool((params["temperature"] != 0).any()),
            ),
            ids_S,
            self.next_id_R,
            self.length_R,
        )
        untouched = [place for place in range(len(lengths)) if place not in index]
        assert (ids_S[untouched] == POISON).all()
        assert torch.equal(self.next_id_R[rows], ids_S[index].clamp(min=0))
        assert torch.equal(self.length_R[rows], lengths_S[index])
        return ids_S[index], draw(expected_logits, params, lengths_S[index])


def _logits(rig: Rig, samples: int, dtype: torch.dtype = torch.float32) -> Tensor:
    return 3 * torch.randn(samples, rig.vocab_size, generator=rig.generator, device=rig.device).to(dtype)


@pytest.mark.parametrize("vocab_size", [7, 97, 4096, 4097, 9000])
def test_greedy_takes_the_first_of_the_largest(generator: torch.Generator, vocab_size: int) -> None:
    rig = Rig(generator, [RowSampling(temperature=0.0)] * 5, vocab_size)
    logits = _logits(rig, 4, torch.float16)  # few values: many ties
    drawn, expected = rig.draw(logits.round(), [0, 1, 3], [4, 0, 2], [5, 6, 7, 8], {})
    assert drawn.tolist() == expected.tolist()


def _random_rows(count: int) -> list[RowSampling]:
    return [
        RowSampling(temperature=(0.0, 0.3, 1.0, 2.5)[i % 4], seed=i * 0x9E3779B97F4A7C15 % 2**64) for i in range(count)
    ]


@pytest.mark.parametrize("vocab_size", [97, 5000])
def test_random_rows_draw_what_the_reference_draws(generator: torch.Generator, vocab_size: int) -> None:
    rows = 40
    rig = Rig(generator, _random_rows(rows), vocab_size)
    lengths = [2**33 + 17 * i for i in range(rows)]
    drawn, expected = rig.draw(_logits(rig, rows), list(range(rows)), list(range(rows))[::-1], lengths, {})
    assert len(set(drawn.tolist())) > rows // 3
    # One draw in 40 may fall on a float32 boundary (about 1e-6 each): two never do.
    assert int((drawn != expected).sum()) <= 1


def test_masks_are_applied_to_the_samples_they_belong_to(generator: torch.Generator) -> None:
    rig = Rig(generator, _random_rows(8), 4133)
    allowed = torch.rand(2, 4133, generator=generator, device=rig.device) < 0.01
    single = torch.zeros(4133, dtype=torch.bool, device=rig.device)
    single[4132] = True
    masks = {1: allowed[0], 2: single, 5: allowed[1]}
    drawn, expected = rig.draw(_logits(rig, 8), list(range(8)), list(range(8)), list(range(8)), masks)
    assert int((drawn != expected).sum()) <= 1
    assert drawn[2] == 4132
    assert allowed[0][drawn[1]]
    assert allowed[1][drawn[5]]


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_a_row_without_a_distribution_gets_no_token(generator: torch.Generator, temperature: float) -> None:
    rig = Rig(generator, [RowSampling(temperature=temperature)] * 5, 5000)
    logits = _logits(rig, 5)
    logits[0, 4500] = torch.nan
    logits[1, 3] = torch.inf
    logits[2] = -torch.inf
    nothing = torch.zeros(5000, dtype=torch.bool, device=rig.device)
    drawn, expected = rig.draw(logits, [0, 1, 2, 3, 4], [0, 1, 2, 3, 4], [1] * 5, {3: nothing})
    assert drawn[:4].tolist() == [NO_TOKEN] * 4
    assert drawn[4] >= 0
    assert expected.tolist()[:4] == [NO_TOKEN] * 4


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device: too many draws for the interpreter")
def test_the_law_is_the_softmax(generator: torch.Generator) -> None:
    """Chi-square over many seeds at one position, at most five standard deviations above its mean."""
    draws, vocab_size = 3000, 20
    rng = np.random.default_rng()
    rows = [RowSampling(temperature=0.7, seed=int(seed)) for seed in rng.integers(0, 2**64, draws, dtype=np.uint64)]
    rig = Rig(generator, rows, vocab_size)
    logits = torch.randn(1, vocab_size, generator=generator, device=rig.device).expand(draws, -1).contiguous()
    drawn, _ = rig.draw(logits, list(range(draws)), list(range(draws)), [3] * draws, {})
    expected = (logits[0].double() / 0.7).softmax(0).cpu() * draws
    counts = torch.bincount(drawn.cpu(), minlength=vocab_size).double()
    chi = float(((counts - expected) ** 2 / expected).sum())
    assert chi < (vocab_size - 1) + 5 * (2 * (vocab_size - 1)) ** 0.5


def test_the_kernel_and_the_reference_name_a_missing_token_alike() -> None:
    assert sampling.NO_TOKEN.value == NO_TOKEN
