"""Draws follow the distribution that the processors leave, and each processor is the one everybody knows."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from ramify.runtime.protocol.sampling import RowSampling
from ramify.runtime.sampling.draw import NO_TOKEN, draw, threshold
from ramify.runtime.sampling.params import PARAMS, ParamsArray, record
from transformers.generation.logits_process import (
    MinPLogitsWarper,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

VOCAB = 60


def _params(*rows: RowSampling) -> ParamsArray:
    params = np.zeros(len(rows), dtype=PARAMS)
    for i, row in enumerate(rows):
        params[i] = record(row)
    return params


def _kept(logits: NDArray[np.float64], sampling: RowSampling) -> NDArray[np.bool_]:
    """What a row keeps, sorted in plain numpy: the definitions of top-k, top-p and min-p one after the other."""
    scaled = logits / sampling.temperature
    probabilities = np.exp(scaled - scaled.max())
    probabilities /= probabilities.sum()
    kept = probabilities > 0
    if sampling.top_k:
        kept &= probabilities >= np.sort(probabilities)[::-1][min(sampling.top_k, len(logits)) - 1]
    if sampling.top_p < 1.0:
        left = np.where(kept, probabilities, 0.0)
        left /= left.sum()
        total = 0.0
        for value in np.sort(left)[::-1]:
            total += value
            if total >= sampling.top_p:
                kept &= left >= value
                break
    return kept & (probabilities >= sampling.min_p * probabilities.max())


def _our_kept(logits: NDArray[np.float64], *rows: RowSampling) -> NDArray[np.bool_]:
    params = _params(*rows)
    relative = torch.from_numpy((logits - logits.max(1, keepdims=True)) / params["temperature"][:, None])
    floor = threshold(relative, params)
    kept = torch.ones_like(relative, dtype=torch.bool) if floor is None else relative >= floor
    return (kept & relative.isfinite()).numpy()


CUTS = [
    RowSampling(temperature=0.8),
    RowSampling(temperature=0.8, top_k=1),
    RowSampling(temperature=1.0, top_k=7),
    RowSampling(temperature=1.0, top_k=VOCAB + 5),
    RowSampling(temperature=1.5, top_p=0.9),
    RowSampling(temperature=1.0, top_p=0.3),
    RowSampling(temperature=1.0, top_p=1e-9),
    RowSampling(temperature=1.0, min_p=0.2),
    RowSampling(temperature=1.0, min_p=1.0),
    RowSampling(temperature=0.5, top_k=10, top_p=0.7),
    RowSampling(temperature=2.0, top_k=20, top_p=0.95, min_p=0.05),
]


def test_kept_tokens_equal_a_naive_implementation_row_by_row_and_mixed() -> None:
    rng = np.random.default_rng(1)
    for _ in range(20):
        logits = rng.normal(0, 2, (len(CUTS), VOCAB))
        logits[:, rng.integers(0, VOCAB, 5)] = -np.inf
        expected = np.stack([_kept(row, cut) for row, cut in zip(logits, CUTS, strict=True)])
        np.testing.assert_array_equal(_our_kept(logits, *CUTS), expected)
        for i, cut in enumerate(CUTS):
            np.testing.assert_array_equal(_our_kept(logits[i : i + 1], cut)[0], expected[i])


@pytest.mark.parametrize("cut", CUTS, ids=str)
def test_kept_tokens_equal_transformers_warpers(cut: RowSampling) -> None:
    logits = np.random.default_rng(2).normal(0, 2, (8, VOCAB))
    scores = TemperatureLogitsWarper(cut.temperature)(torch.empty(0), torch.from_numpy(logits))
    if cut.top_k:
        scores = TopKLogitsWarper(cut.top_k)(torch.empty(0), scores)
    if cut.top_p < 1.0:
        scores = TopPLogitsWarper(cut.top_p)(torch.empty(0), scores)
    if cut.min_p:
        scores = MinPLogitsWarper(cut.min_p)(torch.empty(0), scores)
    np.testing.assert_array_equal(_our_kept(logits, *[cut] * 8), scores.isfinite().numpy())


def test_ties_are_kept_together_whatever_their_order() -> None:
    logits = np.zeros((2, 8))
    logits[:, 3] = 2.0
    kept = _our_kept(logits, RowSampling(top_k=3), RowSampling(top_k=3, top_p=0.6))
    assert kept.all()


def test_top_p_stops_when_it_is_reached_exactly() -> None:
    logits = np.log([[0.25, 0.5, 0.125, 0.125]])
    assert _our_kept(logits, RowSampling(top_p=0.5)).tolist() == [[False, True, False, False]]
    assert _our_kept(logits, RowSampling(top_p=0.75)).tolist() == [[True, True, False, False]]


def test_top_p_counts_ties_beyond_the_sorted_prefix() -> None:
    # The best has e / (e + 9) = 0.23 of what top-k keeps, all ten tokens, since nine tie; of a prefix of two, 0.73.
    logits = np.zeros((1, 10))
    logits[0, 4] = 1.0
    assert _our_kept(logits, RowSampling(top_k=2, top_p=0.5)).all()


@pytest.mark.parametrize("cut", CUTS, ids=str)
def test_frequencies_of_draws_fit_the_distribution(cut: RowSampling) -> None:
    count = 4000
    logits = np.random.default_rng(3).normal(0, 1.5, VOCAB)
    logits[::9] = -np.inf
    rows = _params(*[cut] * count)
    rows["key"] = np.stack((np.arange(count), np.full(count, 77)), axis=1)
    ids = draw(torch.from_numpy(logits).float().expand(count, VOCAB), rows, torch.full((count,), 13)).numpy()
    kept = _kept(logits, cut)
    assert kept[ids].all()
    probabilities = np.where(kept, np.exp((logits - logits.max()) / cut.temperature), 0.0)
    probabilities /= probabilities.sum()
    expected, observed = probabilities * count, np.bincount(ids, minlength=VOCAB)
    # Tokens too rare for the chi-square approximation are counted together.
    common = expected >= 5
    rare = (observed[~common].sum(), expected[~common].sum())
    chi_square = ((observed[common] - expected[common]) ** 2 / expected[common]).sum()
    if rare[1] >= 5:
        chi_square += (rare[0] - rare[1]) ** 2 / rare[1]
    degrees = max(int(common.sum()) - 1 + (rare[1] >= 5), 1)
    assert chi_square < degrees + 4 * np.sqrt(2 * degrees) + 8


def test_draws_along_positions_fit_the_distribution() -> None:
    count = 6000
    probabilities = np.array([0.5, 0.25, 0.125, 0.125])
    logits = torch.from_numpy(np.log(probabilities)).expand(count, 4)
    ids = draw(logits, _params(*[RowSampling(seed=2**63 + 9)] * count), torch.arange(count)).numpy()
    observed, expected = np.bincount(ids, minlength=4), probabilities * count
    assert ((observed - expected) ** 2 / expected).sum() < 16.3  # 99.9% quantile for 3 degrees of freedom
    pairs = np.bincount(ids[:-1] * 4 + ids[1:], minlength=16)
    expected_pairs = np.outer(probabilities, probabilities).ravel() * (count - 1)
    assert ((pairs - expected_pairs) ** 2 / expected_pairs).sum() < 37.7  # 15 degrees of freedom


def test_a_draw_does_not_depend_on_the_batch_around_it() -> None:
    rng = np.random.default_rng(4)
    rows = [CUTS[i % len(CUTS)] for i in range(64)]
    params = _params(*rows)
    params["key"] = rng.integers(0, 2**32, (64, 2))
    params["temperature"][::7] = 0.0
    logits = torch.from_numpy(rng.normal(0, 2, (64, VOCAB))).float()
    positions = torch.from_numpy(rng.integers(0, 10_000, 64))
    together = draw(logits, params, positions)
    for i in range(64):
        alone = draw(logits[i : i + 1], params[i : i + 1], positions[i : i + 1])
        assert alone.item() == together[i].item()
    order = torch.from_numpy(rng.permutation(64))
    shuffled = draw(logits[order], params[order.numpy()], positions[order])
    assert torch.equal(shuffled, together[order])


def test_the_seed_and_the_position_change_the_draw() -> None:
    logits = torch.zeros((1, 1000))
    drawn = {
        (seed, position): draw(logits, _params(RowSampling(seed=seed)), torch.tensor([position])).item()
        for seed in (0, 1, 2**32, 2**64 - 1)
        for position in range(4)
    }
    assert len(set(drawn.values())) >= 15


def test_greedy_takes_the_lowest_of_equal_ids() -> None:
    logits = torch.zeros((1, 700))
    logits[0, [650, 90, 300]] = 3.0
    assert draw(logits, _params(RowSampling(temperature=0.0)), torch.tensor([0])).tolist() == [90]


@pytest.mark.parametrize("temperature", [1e-300, 1e-6, 100.0])
def test_extreme_temperatures_neither_overflow_nor_lose_the_best(temperature: float) -> None:
    logits = torch.tensor([[1e30, -1e30, 3.0, 1e30 - 1e24]])
    ids = draw(logits, _params(RowSampling(temperature=temperature)), torch.tensor([5]))
    assert ids.tolist() == [0]


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_rows_without_a_finite_best_get_no_token_and_spare_the_others(temperature: float) -> None:
    logits = torch.zeros((5, 9))
    logits[1] = -torch.inf
    logits[2, 4] = torch.nan
    logits[3, 4] = torch.inf
    rows = _params(*[RowSampling(temperature=temperature, top_p=0.9, top_k=4)] * 5)
    ids = draw(logits, rows, torch.arange(5)).tolist()
    assert ids[1:4] == [NO_TOKEN] * 3
    assert 0 <= ids[0] < 9
    assert 0 <= ids[4] < 9


def test_a_single_allowed_token_is_always_drawn() -> None:
    logits = torch.full((200, VOCAB), -torch.inf)
    logits[:, 17] = -50.0
    ids = draw(logits, _params(*[RowSampling(temperature=1.0, seed=s) for s in range(200)]), torch.arange(200))
    assert ids.unique().tolist() == [17]
