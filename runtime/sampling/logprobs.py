"""Log probabilities of what was sampled and of its rivals, under the model's own distribution.

They describe the model, not the sampler: from the raw logits, at temperature 1, whatever penalties, masks and cuts were
in force. Equal alternatives come lowest id first, so that a greedy token heads its own list.

Shapes: L rows that asked, V vocab_size, K alternatives of the row that asked for most.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..protocol.plan import Logprobs
from ..protocol.tokens import pack


class Measured(NamedTuple):
    """What is known of L samples on the device: log probabilities of the sampled ids, [L], and the alternatives."""

    sampled_L: Tensor
    top_ids_LK: Tensor
    top_logprobs_LK: Tensor


def measure(logits_LV: Tensor, ids_L: Tensor, count: int) -> Measured:
    """The log probabilities of the sampled ids and of the `count` most likely ones.

    Args:
        logits_LV: raw logits, any float dtype.
        ids_L: sampled ids, int64; what is measured of a negative one means nothing.
    """
    logprobs_LV = logits_LV.to(torch.float32).log_softmax(dim=1)
    sampled_L = logprobs_LV.gather(1, ids_L.clamp(min=0).unsqueeze(1)).squeeze(1)
    top_ids_LK = top_ids(logprobs_LV, min(count, logits_LV.shape[1]))
    return Measured(sampled_L, top_ids_LK, logprobs_LV.gather(1, top_ids_LK))


def concatenate(parts: Sequence[Measured]) -> Measured:
    """Samples measured in several parts, with the same count, as one."""
    if len(parts) == 1:
        return parts[0]
    return Measured(*(torch.cat(columns) for columns in zip(*parts, strict=True)))


def report(
    measured: Sequence[NDArray[Any]], drawn: NDArray[np.int64], index: NDArray[np.int64], counts: NDArray[np.int64]
) -> Logprobs:
    """The `Logprobs` message of the samples `drawn`.

    Args:
        measured: the three arrays of `Measured`, on the host.
        drawn: which of its L samples are reported.
        index: their indexes into the plan's `sample_rows`.
        counts: alternatives each of them asked for, at least 0.
    """
    sampled_L, top_ids_LK, top_logprobs_LK = (values[drawn] for values in measured)
    counts = np.minimum(counts, top_ids_LK.shape[1])
    asked_LK = np.arange(top_ids_LK.shape[1]) < counts[:, None]
    return Logprobs(
        index=pack(index.astype(np.int32)),
        sampled=_float32_bytes(sampled_L),
        top_counts=pack(counts.astype(np.int32)),
        top_ids=pack(top_ids_LK[asked_LK].astype(np.int32)),
        top_logprobs=_float32_bytes(top_logprobs_LK[asked_LK]),
    )


def top_ids(values_LV: Tensor, count: int) -> Tensor:
    """Ids of the `count` largest float32 values of each row, int64 [L, count]; equal values lowest id first.

    `topk` leaves the order of equals open, so it gets integers that have none: the value's bits, made to sort as the
    value does, above the id counted downward.
    """
    vocab_size = values_LV.shape[1]
    bits_LV = (values_LV + 0.0).view(torch.int32)
    ordered_LV = torch.where(bits_LV < 0, bits_LV ^ 0x7FFFFFFF, bits_LV).to(torch.int64)
    descending_V = torch.arange(vocab_size - 1, -1, -1, dtype=torch.int64, device=values_LV.device)
    return (vocab_size - 1) - ((ordered_LV << 32) + descending_V).topk(count, dim=1).values.bitwise_and(0xFFFFFFFF)


def _float32_bytes(values: NDArray[np.float32]) -> bytes:
    return values.astype("<f4").tobytes()
