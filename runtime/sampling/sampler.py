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

from ..protocol.plan import Logprobs, RowOpen, Scores
from ..protocol.tokens import pack, unpack
from .draw import NO_TOKEN, draw
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
class Scored:
    """The log probabilities of some samples' candidates, on the device.

    Attributes:
        index: which samples they belong to, host int64, shape (K,).
        counts: how many candidates each of them has, host int64, shape (K,).
        values_N: float32, all samples concatenated.
    """

    index: NDArray[np.int64]
    counts: NDArray[np.int64]
    values_N: Tensor


@dataclass(frozen=True)
class Sampled:
    """Ids on the device, and what is needed to report their log probabilities once they are on the host.

    Attributes:
        ids_S: int64; `NO_TOKEN` where nothing could be drawn.
        reporting: which samples report log probabilities, host int64, shape (L,).
        counts: how many alternatives they asked for, host int64, shape (L,).
        raw_LV: their logits before any processor; None when L is 0.
        scored: the samples that scored candidates; None if none did.
    """

    ids_S: Tensor
    reporting: NDArray[np.int64]
    counts: NDArray[np.int64]
    raw_LV: Tensor | None
    scored: Scored | None = None

    def scores(self, ids: NDArray[np.int64], names: NDArray[np.int64]) -> Scores | None:
        """The scores, in which sample i is called `names[i]`; None if there are none. A sample without a token, whose
        logits are not finite, is left out."""
        if self.scored is None:
            return None
        index, counts = self.scored.index, self.scored.counts
        whole = ids[index] >= 0
        values = self.scored.values_N.cpu().numpy()[np.repeat(whole, counts)]
        if not whole.any():
            return None
        return Scores(
            pack(names[index[whole]].astype(np.int32)),
            pack(counts[whole].astype(np.int32)),
            values.astype("<f4").tobytes(),
        )

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
        self._candidates: dict[int, NDArray[np.int64]] = {}
        self._penalties = PenaltyCounts(max_rows=max_rows, vocab_size=vocab_size, device=device)

    def open(self, opening: RowOpen) -> None:
        """Raises WorkerError if one of the row's past ids is outside the vocabulary."""
        self._params[opening.row] = record(opening.sampling)
        if opening.candidates:
            self._candidates[opening.row] = unpack(opening.candidates).astype(np.int64)
        if opening.sampling.penalised:
            self._penalties.open(opening.row, unpack(opening.prompt_ids), unpack(opening.output_ids))

    def close(self, row: int) -> None:
        self._penalties.close(row)
        self._candidates.pop(row, None)

    def sample(self, logits_SV: Tensor, rows: NDArray[np.int64], positions_S: Tensor, masks: Masks | None) -> Sampled:
        """Draw one token for each row, and count it.

        Args:
            logits_SV: raw logits, float32 or float64; overwritten.
            rows: the row of each sample, host int64, shape (S,), distinct.
            positions_S: absolute position each drawn token will have, int64, on the device.
            masks: which tokens some of the samples may draw.
        """
        params = self._params[rows]
        scored = self._score(logits_SV, rows) if self._candidates else None
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
        if scored is not None:
            ids_S = ids_S.index_copy(0, self._upload(scored[0].index), scored[1])
        return Sampled(
            ids_S, reporting, params["logprobs"][reporting], raw_LV, scored[0] if scored is not None else None
        )

    def _score(self, logits_SV: Tensor, rows: NDArray[np.int64]) -> tuple[Scored, Tensor] | None:
        """The scores of the rows that have candidates, and the best candidate of each, int64 [K]; None without any."""
        index = np.array([i for i, row in enumerate(rows.tolist()) if row in self._candidates], dtype=np.int64)
        if not index.size:
            return None
        lists = [self._candidates[row] for row in rows[index].tolist()]
        counts = np.array([len(ids) for ids in lists], dtype=np.int64)
        # One rectangle of K rows: a shorter list is filled up with its first id, which the mask takes out again.
        inside = np.arange(counts.max()) < counts[:, None]
        filled = np.repeat(np.array([[ids[0]] for ids in lists]), counts.max(), axis=1)
        filled[inside] = np.concatenate(lists)
        ids_KC, inside_KC = self._upload(filled), torch.from_numpy(inside).to(self._device)
        raw_KC = logits_SV[self._upload(index)].gather(1, ids_KC).to(torch.float64)
        scores_KC = raw_KC.masked_fill(~inside_KC, -torch.inf).log_softmax(dim=1)
        best_K, place_K = scores_KC.max(dim=1)
        best_ids_K = ids_KC.gather(1, place_K.unsqueeze(1)).squeeze(1)
        best_ids_K = torch.where(best_K.isfinite(), best_ids_K, NO_TOKEN)
        values_N = scores_KC.flatten().index_select(0, self._upload(np.flatnonzero(inside)))
        return Scored(index, counts, values_N.to(torch.float32)), best_ids_K

    def _upload(self, values: NDArray[np.int64]) -> Tensor:
        return torch.from_numpy(values).to(self._device)
