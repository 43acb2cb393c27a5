"""The device half of the worker: a plan's rows, its forward and its draw, queued on the device and never waited for.

    open_and_close    rows leave and join, slots are written
    forward           tokens -> hidden states -> logits of the sampled tokens; a step of decode rows alone is a graph
    sample            logits -> ids; rows advance on the device

Shapes: T tokens of the step, S sampled rows, E hidden_size, V vocab_size.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..attention.interface import AttentionBackend
from ..kernels.transfer import upload
from ..models.registry import CausalLM
from ..protocol.plan import StepPlan
from ..protocol.tokens import unpack
from ..sampling.fused import FusedDraw
from ..sampling.sampler import Masks, Sampled, Sampler
from .decode_graphs import DecodeGraphs
from .rows import RowTable
from .sharing import PrefixSharing


class StepRunner:
    """One model over one pool.

    Args:
        model: with its weights, on `device`.
        attention: over the pool.
        fused: plain rows draw by the sampling kernel; needs Triton.

    Attributes:
        graphs: captured decode steps; without them every step is launched kernel by kernel. Set before the first step.
        sharing: which rows begin with the same slots; known only where there are graphs to use it.
    """

    def __init__(
        self,
        model: CausalLM,
        attention: AttentionBackend,
        *,
        max_rows: int,
        max_length: int,
        vocab_size: int,
        device: torch.device,
        fused: bool = False,
    ) -> None:
        self.model = model
        self.attention = attention
        self.device = device
        self.rows = RowTable(max_rows=max_rows, max_length=max_length, device=device)
        draws = None
        if fused:
            draws = FusedDraw(max_rows=max_rows, length_R=self.rows.length_R, next_id_R=self.rows.next_id_R)
        self.sampler = Sampler(max_rows=max_rows, vocab_size=vocab_size, device=device, fused=draws)
        self.graphs: DecodeGraphs | None = None
        self.sharing = PrefixSharing(max_rows)

    def open_and_close(self, plan: StepPlan) -> None:
        for row in unpack(plan.closed).tolist():
            self.sampler.close(row)
        for opening in plan.opened:
            self.sampler.open(opening)
        self.rows.assign_slots(plan)
        if self.graphs is not None:
            self.sharing.assign(plan)

    def forward(self, plan: StepPlan) -> tuple[Tensor, Tensor] | None:
        """Compute the plan's tokens.

        Returns:
            Logits [S, V] and lengths int64 [S] of the rows that sample; None when none does.
        """
        rows = unpack(plan.decode_rows).astype(np.int64)
        tiles = self.sharing.tiles(rows) if self.graphs is not None else None
        if self.graphs is not None and not plan.chunk_rows and 0 < len(rows) <= self.graphs.max_rows:
            hidden_TE, lengths_T = self.graphs.run(rows, unpack(plan.decode_slots), tiles)
            self.rows.decoded(rows)
        else:
            tokens = self.rows.take_tokens(plan, None if tiles is None else tiles.upload(self.device))
            if not tokens.ids_T.shape[0]:
                return None
            hidden_TE = self.model(tokens.ids_T, tokens.positions_T, self.attention.begin(tokens.attention))
            lengths_T = tokens.positions_T + 1
        index = unpack(plan.sample_index).astype(np.int64)
        if not index.size:
            return None
        if index.size == hidden_TE.shape[0] and np.array_equal(index, np.arange(index.size)):
            return self.model.logits(hidden_TE), lengths_T
        # Siblings sample from one token: it passes the head once.
        distinct, copy_of = np.unique(index, return_inverse=True)
        logits_SV = self.model.logits(hidden_TE.index_select(0, self._upload(distinct)))
        if distinct.size < index.size or not np.array_equal(distinct, index):
            logits_SV = logits_SV.index_select(0, self._upload(copy_of))
        return logits_SV, lengths_T.index_select(0, self._upload(index))

    def sample(
        self,
        logits_SV: Tensor,
        lengths_S: Tensor,
        rows: NDArray[np.int64],
        live: NDArray[np.int64],
        masks: Masks | None,
    ) -> Sampled:
        """Draw for the samples `live` of `rows`, sorted; `masks` are indexed by place in `live`."""
        if live.size < len(rows):
            index = self._upload(live)
            logits_SV, lengths_S = logits_SV.index_select(0, index), lengths_S.index_select(0, index)
        rows = rows[live]
        sampled = self.sampler.sample(logits_SV, rows, lengths_S, masks)
        rest = sampled.unrecorded
        if rest.size == len(rows):
            self.rows.sampled(rows, lengths_S, sampled.ids_S)
        elif rest.size:
            index = self._upload(rest)
            self.rows.sampled(rows[rest], lengths_S.index_select(0, index), sampled.ids_S.index_select(0, index))
        return sampled

    def _upload(self, values: NDArray[np.int64]) -> Tensor:
        return upload(values, self.device)
