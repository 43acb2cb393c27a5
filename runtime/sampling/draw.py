"""One token id for each row, from its processed logits: argmax, or one uniform against the truncated distribution.

    logits -> penalties -> grammar mask | -> temperature -> top-k -> top-p -> min-p -> draw
              (penalties.py, masks.py)  | this file

Truncation is a threshold on the logit, not a choice among sorted positions: top-k and top-p keep every token that ties
with the last one they would keep, so the kept set depends on the probabilities alone, not on the order a sort gives to
equals. The draw walks the cumulative distribution in order of token id (inverse transform sampling) with one float64
uniform, a function of the row's seed and position: nothing else in the batch can move it. Probabilities are float64,
so the walk is exact to about 1e-16 whatever the vocabulary.

Shapes: S rows, V vocab_size, K the longest sorted prefix needed.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..kernels.transfer import upload
from ..protocol.philox import Purpose
from .params import ParamsArray
from .philox import uniform

VOID = -1
"""The id reported for a sample that was void."""

NO_TOKEN = -2
"""The id reported for a row that has no token to draw: every logit masked, or one of them infinite or NaN."""


def draw(logits_SV: Tensor, params: ParamsArray, positions_S: Tensor) -> Tensor:
    """The sampled ids, int64 [S]; `NO_TOKEN` where nothing can be drawn.

    Args:
        logits_SV: after penalties and masks (minus infinity where masked), float32 or float64.
        params: one record a row. Temperature 0 takes the most likely token, the lowest id on ties.
        positions_S: absolute position each drawn token will have in its stream, int64.
    """
    best_S, greedy_ids_S = logits_SV.max(dim=1)
    random = np.flatnonzero(params["temperature"] != 0.0)
    ids_S = greedy_ids_S
    if random.size == len(params):
        ids_S = _draw_random(logits_SV, best_S, params, positions_S)
    elif random.size:
        index = upload(random, logits_SV.device)
        drawn = _draw_random(logits_SV[index], best_S[index], params[random], positions_S[index])
        ids_S = greedy_ids_S.index_copy(0, index, drawn)
    return torch.where(best_S.isfinite(), ids_S, NO_TOKEN)


def _draw_random(logits_SV: Tensor, best_S: Tensor, params: ParamsArray, positions_S: Tensor) -> Tensor:
    device = logits_SV.device
    temperature_S1 = _column(params["temperature"], device)
    # Relative to the best, so that no temperature overflows; in float64 from here on.
    relative_SV = (logits_SV.to(torch.float64) - best_S.to(torch.float64).unsqueeze(1)) / temperature_S1
    weight_SV = relative_SV.exp()
    floor_S1 = threshold(relative_SV, params)
    if floor_S1 is not None:
        weight_SV = weight_SV.masked_fill(relative_SV < floor_S1, 0.0)
    cumulative_SV = weight_SV.cumsum(dim=1)
    u_S = uniform(upload(params["key"].copy(), device), positions_S, Purpose.TOKEN)
    # u < 1, so the target stays below the total, also after rounding. A parallel prefix sum may round upward inside a
    # run of zero weights, hence the second condition: what was cut or masked can never be drawn.
    target_S1 = u_S.unsqueeze(1) * cumulative_SV[:, -1:]
    reached_SV = (cumulative_SV > target_S1) & (weight_SV > 0)
    found_S, ids_S = reached_SV.to(torch.uint8).max(dim=1)
    return torch.where(found_S > 0, ids_S, weight_SV.argmax(dim=1))


def threshold(relative_SV: Tensor, params: ParamsArray) -> Tensor | None:
    """The least logit each row keeps, float64 [S, 1]; None when no row cuts anything.

    Args:
        relative_SV: logits over temperature, minus the row's largest, so the best is 0.
        params: `top_k` (0: off), `top_p` (1: off) and `min_p` (0: off) of each row, applied in this order: top-p
            counts the distribution renormalised over what top-k kept, min-p compares with the most likely token.
    """
    vocab_size = relative_SV.shape[1]
    floor_S1: Tensor | None = None
    if (params["min_p"] > 0.0).any():
        with np.errstate(divide="ignore"):
            floor_S1 = _column(np.log(params["min_p"]), relative_SV.device)
    cut = np.flatnonzero(((params["top_k"] > 0) & (params["top_k"] < vocab_size)) | (params["top_p"] < 1.0))
    if not cut.size:
        return floor_S1
    if floor_S1 is None:
        floor_S1 = torch.full((len(params), 1), -torch.inf, dtype=torch.float64, device=relative_SV.device)
    index = upload(cut, relative_SV.device)
    nucleus = _top_k_top_p_threshold(relative_SV[index], params["top_k"][cut], params["top_p"][cut])
    floor_S1[index] = torch.maximum(floor_S1[index], nucleus)
    return floor_S1


def _top_k_top_p_threshold(x_SV: Tensor, top_k: NDArray[np.int64], top_p: NDArray[np.float64]) -> Tensor:
    vocab_size = x_SV.shape[1]
    k = np.where((top_k > 0) & (top_k < vocab_size), top_k, vocab_size)
    # Rows that all have a top-k need only the longest of their prefixes sorted; one row without needs everything.
    sorted_SK = x_SV.topk(int(k.max()), dim=1).values if k.max() < vocab_size else x_SV.sort(dim=1, descending=True)[0]
    last_S1 = upload(k - 1, x_SV.device).unsqueeze(1)
    floor_S1 = sorted_SK.gather(1, last_S1)
    if not (top_p < 1.0).any():
        return floor_S1
    # Ties with the k-th token are kept, so they count in the total even where the sorted prefix ends before them.
    total_S1 = x_SV.exp().masked_fill(x_SV < floor_S1, 0.0).sum(dim=1, keepdim=True)
    reached_SK = sorted_SK.exp().cumsum(dim=1) >= _column(top_p, x_SV.device) * total_S1
    found_S1, first_S1 = reached_SK.to(torch.uint8).max(dim=1, keepdim=True)
    nucleus_S1 = torch.where(found_S1 > 0, sorted_SK.gather(1, first_S1), floor_S1)
    whole_S1 = upload(top_p >= 1.0, x_SV.device).unsqueeze(1)
    return torch.maximum(floor_S1, nucleus_S1.masked_fill(whole_S1, -torch.inf))


def _column(values: NDArray[np.float64], device: torch.device) -> Tensor:
    return upload(np.ascontiguousarray(values), device).unsqueeze(1)
