"""Log probabilities of what was sampled and of its rivals, under the model's own distribution.

They describe the model, not the sampler: from the raw logits, at temperature 1, whatever penalties, masks and cuts were
in force. Equal alternatives come lowest id first, so that a greedy token heads its own list.

Shapes: L rows that asked, V vocab_size, K alternatives of the row that asked for most.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..protocol.plan import Logprobs
from ..protocol.tokens import pack


def report(logits_LV: Tensor, ids_L: Tensor, index: NDArray[np.int64], counts: NDArray[np.int64]) -> Logprobs:
    """The `Logprobs` message of rows `index`, whose raw logits and sampled ids are given.

    Args:
        logits_LV: raw logits, any float dtype.
        ids_L: sampled ids, int64, all of them in the vocabulary.
        index: indexes into the plan's `sample_rows`, shape (L,).
        counts: alternatives each row asked for, at least 0, shape (L,).
    """
    counts = np.minimum(counts, logits_LV.shape[1])
    logprobs_LV = logits_LV.to(torch.float32).log_softmax(dim=1)
    sampled_L = logprobs_LV.gather(1, ids_L.unsqueeze(1)).squeeze(1)
    top_ids_LK = top_ids(logprobs_LV, int(counts.max()))
    top_logprobs_LK = logprobs_LV.gather(1, top_ids_LK)
    asked_LK = np.arange(top_ids_LK.shape[1]) < counts[:, None]
    return Logprobs(
        index=pack(index.astype(np.int32)),
        sampled=_float32_bytes(sampled_L.cpu().numpy()),
        top_counts=pack(counts.astype(np.int32)),
        top_ids=pack(top_ids_LK.cpu().numpy()[asked_LK].astype(np.int32)),
        top_logprobs=_float32_bytes(top_logprobs_LK.cpu().numpy()[asked_LK]),
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
