"""Which tokens each penalised row has seen, on the device, and the penalties that follow from it.

Most rows have no penalty, so vocabulary-wide counts are kept only for those that do, in entries that grow by doubling.
Counts are advanced on the device from the sampled ids: a step never waits to learn what it must penalise next.

Shapes: C entries, S sampled rows, V vocab_size.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...errors import WorkerError
from ..kernels.transfer import upload
from ..protocol.tokens import IntArray
from .params import ParamsArray


class PenaltyCounts:
    """Prompt presence and output counts of the penalised rows, of at most `max_rows` rows."""

    def __init__(self, *, max_rows: int, vocab_size: int, device: torch.device) -> None:
        self._vocab_size = vocab_size
        self._device = device
        self._entry_of_row = np.full(max_rows, -1, dtype=np.int64)
        self._free: list[int] = []
        self._in_prompt_CV = torch.zeros((0, vocab_size), dtype=torch.bool, device=device)
        self._count_CV = torch.zeros((0, vocab_size), dtype=torch.int32, device=device)

    @property
    def entries(self) -> int:
        """Rows there is memory for: the most that were ever penalised at once, rounded up to a power of two."""
        return self._count_CV.shape[0]

    def open(self, row: int, prompt_ids: IntArray, output_ids: IntArray) -> None:
        """Start counting for `row`. Raises WorkerError for an id outside the vocabulary."""
        self.close(row)
        if not self._free:
            self._grow()
        entry = self._free.pop()
        self._entry_of_row[row] = entry
        self._in_prompt_CV[entry] = False
        self._in_prompt_CV[entry, self._upload(self._checked(prompt_ids))] = True
        counts = np.bincount(self._checked(output_ids), minlength=self._vocab_size)
        self._count_CV[entry] = self._upload(counts)

    def close(self, row: int) -> None:
        """Forget `row`, if it was counted."""
        entry = int(self._entry_of_row[row])
        if entry >= 0:
            self._free.append(entry)
            self._entry_of_row[row] = -1

    def add(self, rows: NDArray[np.int64], ids_S: Tensor) -> None:
        """Count one sampled id for each of `rows`; rows that are not penalised and negative ids are skipped."""
        counted = np.flatnonzero(self._entry_of_row[rows] >= 0)
        if not counted.size:
            return
        ids = ids_S.index_select(0, self._upload(counted))
        entries = self._upload(self._entry_of_row[rows[counted]])
        drawn = (ids >= 0).to(torch.int32)
        self._count_CV.index_put_((entries, ids.clamp(min=0)), drawn, accumulate=True)

    def apply(self, logits_SV: Tensor, rows: NDArray[np.int64], params: ParamsArray) -> Tensor:
        """Logits of the penalised `rows` after their penalties, [S, V]; every row must be open here.

        Repetition (Keskar et al. 2019) first, on the model's own logits; then frequency and presence are subtracted.
        """
        entries = self._upload(self._entry_of_row[rows])
        count_SV = self._count_CV.index_select(0, entries)
        generated_SV = count_SV > 0
        seen_SV = generated_SV | self._in_prompt_CV.index_select(0, entries)
        repetition, frequency, presence = (
            upload(params[name].copy(), self._device).to(logits_SV.dtype).unsqueeze(1)
            for name in ("repetition", "frequency", "presence")
        )
        repeated_SV = torch.where(logits_SV > 0, logits_SV / repetition, logits_SV * repetition)
        penalised_SV = torch.where(seen_SV, repeated_SV, logits_SV)
        return penalised_SV - frequency * count_SV - presence * generated_SV

    def _grow(self) -> None:
        entries = self._count_CV.shape[0]
        added = max(1, entries)
        shape = (added, self._vocab_size)
        self._in_prompt_CV = torch.cat((self._in_prompt_CV, self._in_prompt_CV.new_zeros(shape)))
        self._count_CV = torch.cat((self._count_CV, self._count_CV.new_zeros(shape)))
        self._free.extend(range(entries, entries + added))

    def _checked(self, ids: IntArray) -> NDArray[np.int64]:
        if ids.size and not 0 <= int(ids.min()) <= int(ids.max()) < self._vocab_size:
            raise WorkerError(f"a token id is outside the vocabulary of {self._vocab_size}", where="RowOpen")
        return ids.astype(np.int64)

    def _upload(self, values: NDArray[np.int64]) -> Tensor:
        return upload(values, self._device)
