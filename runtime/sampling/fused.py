"""Draws of the plain rows (greedy, or a temperature and nothing else) by the sampling kernel, on CUDA.

The kernel leaves each row's next id and length where the row table keeps them, so a step's sampling is two launches.
Temperature and seed of a row lie on the device from the row's opening on.

Shapes: S samples of the step, D of them drawn here, M masked samples, V vocab_size, R rows of the batch.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from ..kernels.transfer import upload
from ..protocol.sampling import RowSampling


class FusedDraw:
    """The sampling kernel over `max_rows` rows, whose state is `length_R` and `next_id_R`; needs Triton."""

    def __init__(self, *, max_rows: int, length_R: Tensor, next_id_R: Tensor) -> None:
        from ..kernels import sampling

        self._kernel = sampling
        self._device = length_R.device
        self._length_R, self._next_id_R = length_R, next_id_R
        self._temperature = np.zeros(max_rows, dtype=np.float32)
        self._seed = np.zeros(max_rows, dtype=np.uint64)
        self._changed = True
        self._temperature_R, self._seed_R = self._upload_rows()

    def open(self, row: int, sampling: RowSampling) -> None:
        self._temperature[row], self._seed[row] = sampling.temperature, sampling.seed
        self._changed = True

    def draw(
        self,
        logits_SV: Tensor,
        index: NDArray[np.int64],
        rows: NDArray[np.int64],
        positions_S: Tensor,
        masks: Tensor | None,
        mask_of: NDArray[np.int64] | None,
        ids_S: Tensor,
    ) -> None:
        """Draw for the samples `index`; their rows go on with what was drawn.

        Args:
            logits_SV: of all samples; not changed.
            index: host, shape (D,), distinct.
            rows: the rows of the samples `index`, host, shape (D,).
            positions_S: position each sample's token will have, int64, on the device, of all samples.
            masks: packed words, int32 [M, words], on the device.
            mask_of: which of them each of the D samples has, -1 for none.
            ids_S: gets the ids in the places `index`.
        """
        if self._changed:
            self._temperature_R, self._seed_R = self._upload_rows()
            self._changed = False
        columns = [index, rows] if mask_of is None else [index, rows, mask_of]
        entries = upload(np.stack(columns).astype(np.int32), self._device)
        inputs = self._kernel.SampleInputs(
            index_S=entries[0],
            rows_S=entries[1],
            lengths_S=positions_S,
            mask_S=None if mask_of is None else entries[2],
            masks=None if mask_of is None else masks,
            temperature_R=self._temperature_R,
            seed_R=self._seed_R,
            random=bool((self._temperature[rows] != 0.0).any()),
        )
        self._kernel.sample(logits_SV, inputs, ids_S, self._next_id_R, self._length_R)

    def _upload_rows(self) -> tuple[Tensor, Tensor]:
        return (
            upload(self._temperature.copy(), self._device),
            upload(self._seed.view(np.int64).copy(), self._device),
        )
