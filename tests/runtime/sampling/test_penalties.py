"""Penalties equal transformers' where it has them and a naive count elsewhere; counts follow the rows."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from ramify.errors import WorkerError
from ramify.runtime.protocol.sampling import RowSampling
from ramify.runtime.sampling.params import PARAMS, ParamsArray, penalised, record
from ramify.runtime.sampling.penalties import PenaltyCounts
from transformers.generation.logits_process import RepetitionPenaltyLogitsProcessor

VOCAB = 40
NOTHING = np.empty(0, np.int32)


def _params(*rows: RowSampling) -> ParamsArray:
    params = np.zeros(len(rows), dtype=PARAMS)
    for i, row in enumerate(rows):
        params[i] = record(row)
    return params


def _counts() -> PenaltyCounts:
    return PenaltyCounts(max_rows=8, vocab_size=VOCAB, device=torch.device("cpu"))


def test_repetition_penalty_equals_transformers() -> None:
    rng = np.random.default_rng(0)
    counts, rows = _counts(), np.array([3, 0, 6])
    sampling = [RowSampling(repetition_penalty=penalty) for penalty in (1.3, 0.7, 2.0)]
    histories = [rng.integers(0, VOCAB, (2, size)).astype(np.int32) for size in (3, 12, 30)]
    for row, (prompt, output) in zip(rows.tolist(), histories, strict=True):
        counts.open(row, prompt, output)
    logits = torch.from_numpy(rng.normal(0, 2, (3, VOCAB)))
    ours = counts.apply(logits, rows, _params(*sampling))
    for i, (params, history) in enumerate(zip(sampling, histories, strict=True)):
        seen = torch.from_numpy(history.reshape(1, -1)).long()
        theirs = RepetitionPenaltyLogitsProcessor(params.repetition_penalty)(seen, logits[i : i + 1].clone())
        assert torch.allclose(ours[i], theirs[0], rtol=1e-12, atol=0)


def test_all_penalties_equal_a_naive_count_while_tokens_are_drawn() -> None:
    rng = np.random.default_rng(1)
    counts = _counts()
    sampling = {
        1: RowSampling(presence_penalty=0.7, frequency_penalty=-0.4, repetition_penalty=1.5),
        4: RowSampling(presence_penalty=-1.0),
        5: RowSampling(frequency_penalty=2.0),
    }
    prompts = {row: rng.integers(0, VOCAB, 10).astype(np.int32) for row in sampling}
    outputs = {row: rng.integers(0, VOCAB, 4).tolist() for row in sampling}
    for row in sampling:
        counts.open(row, prompts[row], np.array(outputs[row], np.int32))
    rows = np.array([5, 1, 4])
    for _ in range(25):
        logits = rng.normal(0, 2, (3, VOCAB))
        ours = counts.apply(torch.from_numpy(logits), rows, _params(*[sampling[row] for row in rows.tolist()]))
        for i, row in enumerate(rows.tolist()):
            params, expected = sampling[row], logits[i].copy()
            for token in {*prompts[row].tolist(), *outputs[row]}:
                factor = params.repetition_penalty
                expected[token] = expected[token] / factor if expected[token] > 0 else expected[token] * factor
            for token in outputs[row]:
                expected[token] -= params.frequency_penalty
            for token in set(outputs[row]):
                expected[token] -= params.presence_penalty
            np.testing.assert_allclose(ours[i].numpy(), expected, rtol=1e-12, atol=1e-12)
        drawn = rng.integers(0, 6, 4)
        counts.add(np.array([5, 2, 1, 4]), torch.from_numpy(drawn))  # row 2 is not penalised
        for row, token in zip((5, 2, 1, 4), drawn.tolist(), strict=True):
            if row in outputs:
                outputs[row].append(token)


def test_a_failed_draw_is_not_counted() -> None:
    counts, params = _counts(), _params(RowSampling(frequency_penalty=1.0))
    counts.open(2, NOTHING, NOTHING)
    counts.add(np.array([2]), torch.tensor([-2]))
    logits = torch.ones((1, VOCAB))
    assert torch.equal(counts.apply(logits, np.array([2]), params), logits)


def test_a_row_opened_again_forgets_its_past() -> None:
    counts, params = _counts(), _params(RowSampling(presence_penalty=1.0, repetition_penalty=3.0))
    for row in range(8):
        counts.open(row, np.arange(VOCAB, dtype=np.int32), np.arange(VOCAB, dtype=np.int32))
    counts.close(5)
    counts.open(7, NOTHING, NOTHING)
    counts.open(5, np.array([3], np.int32), NOTHING)
    logits = torch.ones((1, VOCAB))
    assert torch.equal(counts.apply(logits, np.array([7]), params), logits)
    assert (counts.apply(logits, np.array([5]), params) != logits).nonzero().tolist() == [[0, 3]]


def test_memory_follows_the_rows_penalised_at_once() -> None:
    counts = _counts()
    assert counts.entries == 0
    for _ in range(50):
        for row in (0, 3, 6):
            counts.open(row, NOTHING, NOTHING)
        counts.close(3)
        counts.close(5)
    assert counts.entries == 4


@pytest.mark.parametrize("ids", [[-1], [VOCAB]])
def test_an_id_outside_the_vocabulary_is_refused(ids: list[int]) -> None:
    with pytest.raises(WorkerError, match="outside the vocabulary of 40"):
        _counts().open(0, np.array(ids, np.int32), NOTHING)


def test_only_rows_with_a_penalty_are_penalised() -> None:
    rows = [
        RowSampling(),
        RowSampling(presence_penalty=0.1),
        RowSampling(frequency_penalty=-0.1),
        RowSampling(repetition_penalty=1.1),
    ]
    assert penalised(_params(*rows)).tolist() == [row.penalised for row in rows] == [False, True, True, True]
