"""The sampler of one worker: what each row asked for, what it has seen, and a step's logits made into ids.

Rows use features one by one, and a step does no more than its rows ask for: no penalty, no mask, no sort, no softmax
unless one of them needs it. The order of the processors is that of `protocol.sampling.RowSampling`.

Shapes: S sampled rows, L rows that report log probabilities, M masked rows, V vocab_size.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..protocol.plan import Logprobs, RowOpen
from ..protocol.tokens import unpack
from .draw import draw
from .logprobs import report
from .masks import unpack_masks
from .params import PARAMS, penalised, record
from .penalties import PenaltyCounts


@dataclass(frozen=True)
class Masks:
    """Grammar masks of some of the step's samples.

    Attributes:
        index: which samples they belong to, host int64, shape (M,).
        packed: host uint8, shape (M, 4 * words_per_row(vocab_size)); see `masks.unpack_masks`.
    """

    index: NDArray[np.int64]
    packed: NDArray[np.uint8]


@dataclass(frozen=True)
class Sampled:
    """Ids on the device, and what is needed to report their log probabilities once they are on the host.

    Attributes:
        ids_S: int64; `NO_TOKEN` where nothing could be drawn.
        reporting: which samples report log probabilities, host int64, shape (L,).
        counts: how many alternatives they asked for, host int64, shape (L,).
        raw_LV: their logits before any processor; None when L is 0.
    """

    ids_S: Tensor
    reporting: NDArray[np.int64]
    counts: NDArray[np.int64]
    raw_LV: Tensor | None

    def logprobs(self, ids: NDArray[np.int64], names: NDArray[np.int64]) -> Logprobs | None:
        """The report on `ids` (`ids_S` on the host), in which sample i is called `names[i]`; None if there is nothing.

        Samples without a token are left out.
        """
        drawn = np.flatnonzero(ids[self.reporting] >= 0)
        if self.raw_LV is None or not drawn.size:
            return None
        index = self.reporting[drawn]
        device = self.raw_LV.device
        raw_LV = self.raw_LV.index_select(0, torch.from_numpy(drawn).to(device))
        return report(raw_LV, torch.from_numpy(ids[index]).to(device), names[index], self.counts[drawn])


class Sampler:
    """Sampling parameters and penalty counts of `max_rows` rows, and the draw."""

    def __init__(self, *, max_rows: int, vocab_size: int, device: torch.device) -> None:
        self._vocab_size = vocab_size
        self._device = device
        self._params = np.zeros(max_rows, dtype=PARAMS)
        self._penalties = PenaltyCounts(max_rows=max_rows, vocab_size=vocab_size, device=device)

    def open(self, opening: RowOpen) -> None:
        """Raises WorkerError if one of the row's past ids is outside the vocabulary."""
        self._params[opening.row] = record(opening.sampling)
        if opening.sampling.penalised:
            self._penalties.open(opening.row, unpack(opening.prompt_ids), unpack(opening.output_ids))

    def close(self, row: int) -> None:
        self._penalties.close(row)

    def sample(self, logits_SV: Tensor, rows: NDArray[np.int64], positions_S: Tensor, masks: Masks | None) -> Sampled:
        """Draw one token for each row, and count it.

        Args:
            logits_SV: raw logits, float32 or float64; overwritten.
            rows: the row of each sample, host int64, shape (S,), distinct.
            positions_S: absolute position each drawn token will have, int64, on the device.
            masks: which tokens some of the samples may draw.
        """
        params = self._params[rows]
        reporting = np.flatnonzero(params["logprobs"] >= 0)
        raw_LV = logits_SV.index_select(0, self._upload(reporting)) if reporting.size else None
        punished = np.flatnonzero(penalised(params))
        if punished.size:
            index = self._upload(punished)
            logits_SV[index] = self._penalties.apply(logits_SV[index], rows[punished], params[punished])
        if masks is not None:
            index = self._upload(masks.index)
            allowed_MV = unpack_masks(torch.from_numpy(masks.packed).to(self._device), self._vocab_size)
            logits_SV[index] = logits_SV[index].masked_fill_(~allowed_MV, -torch.inf)
        ids_S = draw(logits_SV, params, positions_S)
        self._penalties.add(rows, ids_S)
        return Sampled(ids_S, reporting, params["logprobs"][reporting], raw_LV)

    def _upload(self, values: NDArray[np.int64]) -> Tensor:
        return torch.from_numpy(values).to(self._device)
