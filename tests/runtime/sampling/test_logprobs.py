"""Reported log probabilities are those of log_softmax over the raw logits."""

from __future__ import annotations

import numpy as np
import torch
from ramify.runtime.protocol.tokens import unpack
from ramify.runtime.sampling.logprobs import measure, report, top_ids


def test_report_equals_log_softmax() -> None:
    logits = torch.from_numpy(np.random.default_rng(0).normal(0, 3, (4, 50)))
    ids, index, counts = torch.tensor([7, 0, 49, 20]), np.array([1, 2, 5, 9]), np.array([3, 0, 99, 1])
    measured = [values.numpy() for values in measure(logits, ids, int(counts.max()))]
    message = report(measured, np.arange(4), index, counts)
    expected = logits.log_softmax(1)
    assert unpack(message.index).tolist() == [1, 2, 5, 9]
    assert unpack(message.top_counts).tolist() == [3, 0, 50, 1]
    np.testing.assert_allclose(np.frombuffer(message.sampled, "<f4"), expected[range(4), ids], atol=1e-5)
    order = expected.argsort(dim=1, descending=True)
    flat = torch.cat([order[0, :3], order[2, :50], order[3, :1]])
    assert unpack(message.top_ids).tolist() == flat.tolist()
    values = torch.cat([expected[0][order[0, :3]], expected[2][order[2]], expected[3][order[3, :1]]])
    np.testing.assert_allclose(np.frombuffer(message.top_logprobs, "<f4"), values, atol=1e-5)


def test_report_without_alternatives_has_the_sampled_ones() -> None:
    measured = [values.numpy() for values in measure(torch.zeros((2, 4)), torch.tensor([1, 2]), 0)]
    message = report(measured, np.arange(2), np.array([0, 1]), np.array([0, 0]))
    np.testing.assert_allclose(np.frombuffer(message.sampled, "<f4"), [-np.log(4)] * 2, rtol=1e-6)
    assert message.top_ids == b""
    assert message.top_logprobs == b""


def test_samples_without_a_token_are_left_out() -> None:
    measured = [values.numpy() for values in measure(torch.eye(3), torch.tensor([2, -2, 1]), 2)]
    message = report(measured, np.array([0, 2]), np.array([4, 9]), np.array([2, 1]))
    assert unpack(message.index).tolist() == [4, 9]
    assert unpack(message.top_ids).tolist() == [0, 1, 2]
    expected = torch.eye(3).log_softmax(1)
    np.testing.assert_allclose(np.frombuffer(message.sampled, "<f4"), [expected[0, 2], expected[2, 1]])


def test_equal_values_come_lowest_id_first_and_signs_sort() -> None:
    values = torch.tensor([[0.0, -1.5, 2.0, -0.0, 2.0, -torch.inf, 1e-40, -1e-40, -1.5, torch.inf]])
    assert top_ids(values, 10).tolist() == [[9, 2, 4, 6, 0, 3, 7, 1, 8, 5]]
