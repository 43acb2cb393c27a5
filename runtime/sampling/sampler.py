"""The sampler of one worker: what each row asked for, what it has seen, and a step's logits made into ids.

Rows use features one by one, and a step does no more than its rows ask for: no penalty, no mask, no sort, no softmax
unless one of them needs it. The order of the processors is that of `protocol.sampling.RowSampling`.

Shapes: S sampled rows, L rows that report log probabilities, M masked rows, V vocab_size.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..kernels.transfer import Download, UploadBeside, upload
from ..protocol.plan import Logprobs, RowOpen, Scores
from ..protocol.tokens import pack, unpack
from .draw import NO_TOKEN, draw
from .fused import FusedDraw
from .logprobs import Measured, concatenate, measure, report
from .masks import unpack_masks, words_per_row
from .params import PARAMS, penalised, plain, record
from .penalties import PenaltyCounts

MAX_VALUES = 1 << 23
"""Logits computed at once beyond the sampling kernel; bounds the memory of a large batch over a large vocabulary."""


@dataclass(frozen=True)
class Masks:
    """Grammar masks of some of the step's samples.

    Attributes:
        index: which samples they belong to, host int64, shape (M,).
        rows: which row of `packed` each of them has, host int64, shape (M,).
        packed: host uint8, rows of 4 * words_per_row(vocab_size); see `masks.unpack_masks`. It may be read until the
            step after the next one is sampled.
    """

    index: NDArray[np.int64]
    rows: NDArray[np.int64]
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
    """What a step drew, on the device.

    Attributes:
        ids_S: int64; `NO_TOKEN` where nothing could be drawn.
        unrecorded: which samples' rows do not know their next id yet, host int64 (see `worker.rows.RowTable.sampled`).
        reporting: which samples report log probabilities, host int64, shape (L,).
        counts: how many alternatives they asked for, host int64, shape (L,).
        measured: their log probabilities; None when L is 0.
        scored: the samples that scored candidates; None if none did.
    """

    ids_S: Tensor
    unrecorded: NDArray[np.int64]
    reporting: NDArray[np.int64]
    counts: NDArray[np.int64]
    measured: Measured | None
    scored: Scored | None

    def fetch(self) -> Fetched:
        """Send it to the host."""
        tensors = [self.ids_S, *(self.measured or ()), *((self.scored.values_N,) if self.scored is not None else ())]
        return Fetched(self, Download(tensors))


class Fetched:
    """A `Sampled` on its way to the host."""

    def __init__(self, sampled: Sampled, download: Download) -> None:
        self._sampled = sampled
        self._download = download

    def wait(self, names: NDArray[np.int64]) -> tuple[NDArray[np.int64], Logprobs | None, Scores | None]:
        """The ids, and the reports that rows asked for, in which sample i is called `names[i]`.

        Samples without a token are left out of the reports. Blocks until the device has drawn.
        """
        ids, *rest = self._download.wait()
        logprobs = self._logprobs(ids, rest[:3], names) if self._sampled.measured is not None else None
        scores = self._scores(ids, rest[-1], names) if self._sampled.scored is not None else None
        return ids, logprobs, scores

    def _logprobs(
        self, ids: NDArray[np.int64], measured: list[NDArray[Any]], names: NDArray[np.int64]
    ) -> Logprobs | None:
        drawn = np.flatnonzero(ids[self._sampled.reporting] >= 0)
        if not drawn.size:
            return None
        return report(measured, drawn, names[self._sampled.reporting[drawn]], self._sampled.counts[drawn])

    def _scores(self, ids: NDArray[np.int64], values: NDArray[np.float32], names: NDArray[np.int64]) -> Scores | None:
        assert self._sampled.scored is not None
        index, counts = self._sampled.scored.index, self._sampled.scored.counts
        whole = ids[index] >= 0
        if not whole.any():
            return None
        return Scores(
            pack(names[index[whole]].astype(np.int32)),
            pack(counts[whole].astype(np.int32)),
            values[np.repeat(whole, counts)].astype("<f4").tobytes(),
        )


class Sampler:
    """Sampling parameters and penalty counts of `max_rows` rows, and the draw.

    Args:
        fused: draws for the plain rows, if it is given.
    """

    def __init__(self, *, max_rows: int, vocab_size: int, device: torch.device, fused: FusedDraw | None = None) -> None:
        self._vocab_size = vocab_size
        self._device = device
        self._params = np.zeros(max_rows, dtype=PARAMS)
        self._candidates: dict[int, NDArray[np.int64]] = {}
        self._penalties = PenaltyCounts(max_rows=max_rows, vocab_size=vocab_size, device=device)
        self._fused = fused
        self._upload_masks = UploadBeside((max_rows, words_per_row(vocab_size)), torch.int32, device)

    def open(self, opening: RowOpen) -> None:
        """Raises WorkerError if one of the row's past ids is outside the vocabulary."""
        self._params[opening.row] = record(opening.sampling)
        if self._fused is not None:
            self._fused.open(opening.row, opening.sampling)
        if opening.candidates:
            self._candidates[opening.row] = unpack(opening.candidates).astype(np.int64)
        if opening.sampling.penalised:
            self._penalties.open(opening.row, unpack(opening.prompt_ids), unpack(opening.output_ids))

    def close(self, row: int) -> None:
        self._penalties.close(row)
        self._candidates.pop(row, None)

    def sample(self, logits_SV: Tensor, rows: NDArray[np.int64], positions_S: Tensor, masks: Masks | None) -> Sampled:
        """Draw one token for each row, and count it. Queues work on the device and waits for none.

        Args:
            logits_SV: raw logits, any float dtype; may be overwritten.
            rows: the row of each sample, host int64, shape (S,), distinct.
            positions_S: absolute position each drawn token will have, int64, on the device.
            masks: which tokens some of the samples may draw.
        """
        params = self._params[rows]
        scored = self._score(logits_SV, rows) if self._candidates else None
        reporting = np.flatnonzero(params["logprobs"] >= 0)
        raw_LV = logits_SV.index_select(0, self._upload(reporting)) if reporting.size else None
        by_kernel = plain(params, self._vocab_size) if self._fused is not None else np.zeros(len(rows), dtype=np.bool_)
        general = np.flatnonzero(~by_kernel)
        words_MW = self._upload_masks(masks.packed.view(np.int32)) if masks is not None else None
        mask_of = np.full(len(rows), -1, dtype=np.int64)
        if masks is not None:
            mask_of[masks.index] = masks.rows
        ids_S = torch.empty(len(rows), dtype=torch.int64, device=self._device)
        if self._fused is not None and general.size < len(rows):
            index = np.flatnonzero(by_kernel)
            masked = mask_of[index] if (mask_of[index] >= 0).any() else None
            self._fused.draw(logits_SV, index, rows[index], positions_S, words_MW, masked, ids_S)
        at_once = max(1, MAX_VALUES // self._vocab_size)
        if general.size == len(rows) <= at_once:
            ids_S = self._general(logits_SV, rows, positions_S, words_MW, mask_of)
        else:
            for first in range(0, general.size, at_once):
                part = general[first : first + at_once]
                index_D = self._upload(part)
                logits_DV, positions_D = logits_SV.index_select(0, index_D), positions_S.index_select(0, index_D)
                drawn_D = self._general(logits_DV, rows[part], positions_D, words_MW, mask_of[part])
                ids_S.index_copy_(0, index_D, drawn_D)
        self._penalties.add(rows, ids_S)
        if scored is not None:
            ids_S = ids_S.index_copy(0, self._upload(scored[0].index), scored[1])
        counts = params["logprobs"][reporting]
        measured = None
        if raw_LV is not None:
            ids_L, most = ids_S.index_select(0, self._upload(reporting)), int(counts.max())
            parts = zip(torch.split(raw_LV, at_once), torch.split(ids_L, at_once), strict=True)
            measured = concatenate([measure(raw, ids, most) for raw, ids in parts])
        return Sampled(ids_S, general, reporting, counts, measured, scored[0] if scored is not None else None)

    def _general(
        self,
        logits_DV: Tensor,
        rows: NDArray[np.int64],
        positions_D: Tensor,
        words_MW: Tensor | None,
        mask_of: NDArray[np.int64],
    ) -> Tensor:
        """Ids drawn for rows with any parameters, int64 [D]; `logits_DV` may be overwritten."""
        logits_DV = logits_DV.to(torch.promote_types(logits_DV.dtype, torch.float32))
        params = self._params[rows]
        punished = np.flatnonzero(penalised(params))
        if punished.size:
            index = self._upload(punished)
            logits_DV[index] = self._penalties.apply(logits_DV[index], rows[punished], params[punished])
        masked = np.flatnonzero(mask_of >= 0)
        if words_MW is not None and masked.size:
            index = self._upload(masked)
            packed = words_MW.index_select(0, self._upload(mask_of[masked])).view(torch.uint8)
            allowed = unpack_masks(packed, self._vocab_size)
            logits_DV[index] = logits_DV[index].masked_fill_(~allowed, -torch.inf)
        return draw(logits_DV, params, positions_D)

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
        ids_KC, inside_KC = self._upload(filled), self._upload(inside)
        raw_KC = logits_SV[self._upload(index)].gather(1, ids_KC).to(torch.float64)
        scores_KC = raw_KC.masked_fill(~inside_KC, -torch.inf).log_softmax(dim=1)
        best_K, place_K = scores_KC.max(dim=1)
        best_ids_K = ids_KC.gather(1, place_K.unsqueeze(1)).squeeze(1)
        best_ids_K = torch.where(best_K.isfinite(), best_ids_K, NO_TOKEN)
        values_N = scores_KC.flatten().index_select(0, self._upload(np.flatnonzero(inside)))
        return Scored(index, counts, values_N.to(torch.float32)), best_ids_K

    def _upload(self, values: NDArray[Any]) -> Tensor:
        return upload(values, self._device)
