"""How each row samples, as one numpy record a row: a step takes its rows by one index, without a loop over requests."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from ..protocol.sampling import RowSampling

PARAMS = np.dtype(
    [
        ("temperature", np.float64),
        ("top_k", np.int64),
        ("top_p", np.float64),
        ("min_p", np.float64),
        ("presence", np.float64),
        ("frequency", np.float64),
        ("repetition", np.float64),
        ("key", np.int64, (2,)),
        ("logprobs", np.int64),
    ]
)
"""The fields of `RowSampling`; `key` is the seed's low and high 32-bit word."""

ParamsArray: TypeAlias = NDArray[np.void]
"""An array of `PARAMS` records."""


def record(sampling: RowSampling) -> ParamsArray:
    """`sampling` as one `PARAMS` record, shape ()."""
    values = (
        sampling.temperature,
        sampling.top_k,
        sampling.top_p,
        sampling.min_p,
        sampling.presence_penalty,
        sampling.frequency_penalty,
        sampling.repetition_penalty,
        (sampling.seed & 0xFFFFFFFF, sampling.seed >> 32),
        sampling.logprobs,
    )
    return np.array(values, dtype=PARAMS)


def penalised(params: ParamsArray) -> NDArray[np.bool_]:
    """Which rows have a penalty that is not neutral."""
    mask: NDArray[np.bool_] = (params["presence"] != 0.0) | (params["frequency"] != 0.0) | (params["repetition"] != 1.0)
    return mask


def plain(params: ParamsArray, vocab_size: int) -> NDArray[np.bool_]:
    """Which rows ask for no more than the most likely token, or a draw from all of them at a temperature."""
    cut = (params["top_p"] < 1.0) | (params["min_p"] > 0.0)
    cut |= (params["top_k"] > 0) & (params["top_k"] < vocab_size)
    mask: NDArray[np.bool_] = ~penalised(params) & ((params["temperature"] == 0.0) | ~cut)
    return mask
