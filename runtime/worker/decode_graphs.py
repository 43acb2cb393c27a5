"""Decode steps as CUDA graphs: one captured forward for each of a ladder of batch sizes, replayed for any rows.

A step of an 8B model is some 350 kernels of a few microseconds; launched one by one from Python they take longer than
they run. A graph launches them all at once, but for fixed addresses and a fixed batch size:

    entries    [ row 7 | row 2 | row 9 | scratch ]     copied in before each replay, padded to the captured size
    captured   take tokens (`RowTable.begin_decode`) -> model -> hidden states, lengths

What a row is made of (slots, length, next id) lies in the row table on the device, so nothing else changes between two
replays. The head runs behind the graph, for the sampled rows alone. Sizes share one memory pool: the largest is
captured first and the others lie in its memory, as only one runs at a time.

Reading shared prefixes together takes one kernel more a layer, so it has graphs of its own, of a coarser ladder, which
are replayed when rows do share (see `sharing.py`).

Shapes: B entries of a graph, E hidden_size.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..attention.interface import AttentionBackend
from ..kernels.prefixes import SharedPrefixes
from ..models.registry import CausalLM
from .rows import RowTable
from .sharing import Tiles

if TYPE_CHECKING:
    from torch.cuda import _POOL_HANDLE

Tracker = Callable[[list[int]], Iterable[int]]
"""Passes the sizes through while it shows how far the capture is."""


def ladder(max_rows: int) -> list[int]:
    """Captured sizes: 1, 2, 4, every 8 up to 256, every 16 above; a step is padded by less than a ninth beyond 64."""
    sizes = [1, 2, 4, *range(8, 257, 8), *range(272, max_rows + 16, 16)]
    return sorted({min(size, max_rows) for size in sizes})


def shared_ladder(max_rows: int) -> list[int]:
    """Captured sizes of steps that read shared prefixes together: every 32; none for a batch of one row."""
    return sorted({min(size, max_rows) for size in range(32, max_rows + 32, 32)}) if max_rows > 1 else []


@dataclass
class _Captured:
    """A graph with the memory it reads and writes; `version` of the tiles that `shared` holds."""

    graph: torch.cuda.CUDAGraph
    entries_2B: Tensor
    hidden_BE: Tensor
    lengths_B: Tensor
    shared: SharedPrefixes | None
    version: int = -1


class DecodeGraphs:
    """Captured decode steps over `rows`, on the current device. Made and used under `torch.inference_mode`.

    Args:
        sizes: see `ladder`.
        shared_sizes: see `shared_ladder`; none for a model whose every layer has a window.
        scratch_slot: a slot of the pool that belongs to nobody.
        track: e.g. a progress bar.
    """

    def __init__(
        self,
        model: CausalLM,
        attention: AttentionBackend,
        rows: RowTable,
        sizes: list[int],
        shared_sizes: list[int],
        *,
        scratch_slot: int,
        track: Tracker = iter,
    ) -> None:
        self._model = model
        self._attention = attention
        self._rows = rows
        self._scratch_slot = scratch_slot
        self._sizes = np.array(sorted(sizes))
        self._shared_sizes = np.array(sorted(shared_sizes))
        self._captured: dict[tuple[int, bool], _Captured] = {}
        pool = torch.cuda.graph_pool_handle()
        plain, shared = sorted(sizes, reverse=True), sorted(shared_sizes, reverse=True)
        for number, size in enumerate(track(shared + plain)):
            together = number < len(shared)
            self._captured[size, together] = self._capture(size, pool, together=together)

    @property
    def max_rows(self) -> int:
        return int(self._sizes[-1])

    def run(
        self, rows: NDArray[np.int64], slots: NDArray[np.integer], tiles: Tiles | None = None
    ) -> tuple[Tensor, Tensor]:
        """Compute the next token of each of `rows` in `slots`; `tiles`: what they read together.

        Returns:
            Hidden states [D, E] and lengths int64 [D], valid until the next call.
        """
        together = tiles is not None and len(self._shared_sizes) > 0
        sizes = self._shared_sizes if together else self._sizes
        size = int(sizes[np.searchsorted(sizes, len(rows))])
        captured = self._captured[size, together]
        entries = np.empty((2, size), dtype=np.int64)
        entries[0, : len(rows)], entries[0, len(rows) :] = rows, self._rows.scratch_row
        entries[1, : len(rows)], entries[1, len(rows) :] = slots, self._scratch_slot
        captured.entries_2B.copy_(torch.from_numpy(entries).pin_memory(), non_blocking=True)
        if tiles is not None and together and captured.version != tiles.version:
            self._set_tiles(captured, tiles)
        captured.graph.replay()
        return captured.hidden_BE[: len(rows)], captured.lengths_B[: len(rows)]

    def _set_tiles(self, captured: _Captured, tiles: Tiles) -> None:
        shared = captured.shared
        assert shared is not None
        for target, values, rest in (
            (shared.rows_T, tiles.rows, 0),
            (shared.lengths_T, tiles.lengths, 0),
            (shared.members_TM, tiles.members, -1),
            (shared.place_D, tiles.place, -1),
            (shared.lengths_D, tiles.prefix, 0),
        ):
            padded = np.full(target.shape, rest, dtype=values.dtype)
            padded[: len(values)] = values
            target.copy_(torch.from_numpy(padded).pin_memory(), non_blocking=True)
        captured.version = tiles.version

    def _capture(self, size: int, pool: _POOL_HANDLE, *, together: bool) -> _Captured:
        entries_2B = torch.empty((2, size), dtype=torch.int64, device="cuda")
        entries_2B[0], entries_2B[1] = self._rows.scratch_row, self._scratch_slot
        shared = SharedPrefixes.none(size // 2, size, entries_2B.device) if together else None
        # Once as it is: kernels are compiled and libraries take their memory, neither of which a capture allows.
        side = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            self._forward(entries_2B, shared)
        torch.cuda.current_stream().wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, pool=pool, stream=side):
            hidden_BE, lengths_B = self._forward(entries_2B, shared)
        return _Captured(graph, entries_2B, hidden_BE, lengths_B, shared)

    def _forward(self, entries_2B: Tensor, shared: SharedPrefixes | None) -> tuple[Tensor, Tensor]:
        tokens = self._rows.begin_decode(entries_2B[0], entries_2B[1], shared)
        hidden_BE = self._model(tokens.ids_T, tokens.positions_T, self._attention.begin(tokens.attention))
        return hidden_BE, tokens.attention.lengths_D
