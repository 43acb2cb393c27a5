"""What attention is told about a step, and what it must do: write the step's KV, then attend.

A step computes T tokens: those of its prompt chunks, chunk after chunk, then one for each decode row.

    tokens   [ chunk 0 ....... | chunk 1 .. | d0 d1 d2 d3 ]      flat, T of them
    row r    [ s0 s1 s2 ... s(len-1) ]                           its slots, in order of position, in the slot table

A token at position p of row r reads the slots of positions 0..p of that row; in a layer with a window of w, of the last
w of them, p included. Those may have been written long ago, or in this very step by any row (siblings share prompts),
so a layer writes the KV of all T tokens before it attends. Positions no window reaches any more keep their slots: a
window hides them, and no backend may read them.

Shapes: T tokens, D decode rows, R rows, P positions, N query heads, K key/value heads, H head_dim.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from ..kernels.prefixes import SharedPrefixes
from .rotation import Rotation


@dataclass(frozen=True)
class Chunk:
    """`count` prompt tokens of `row` at positions [start, start + count)."""

    row: int
    start: int
    count: int


@dataclass(frozen=True)
class AttentionBatch:
    """The tokens of one step and where their past lies.

    Attributes:
        table_RP: the slot table, int32, on the device.
        slots_T: the slot each token's KV goes to, int64, on the device.
        chunks: prompt chunks, in the order of their tokens.
        decode_rows: rows of the decode tokens, host int64, shape (D,); empty in a captured step, with `length_bounds`.
        rows_D: the same, int64, on the device.
        lengths_D: positions each decode token reads, itself included, int64, on the device.
        shared: prefixes that a backend may read once for several decode rows; None without any.
        length_bounds: upper bounds of `lengths_D`, host int64, shape (D,): what a backend may size its work by.
    """

    table_RP: Tensor
    slots_T: Tensor
    chunks: list[Chunk]
    decode_rows: NDArray[np.int64]
    rows_D: Tensor
    lengths_D: Tensor
    length_bounds: NDArray[np.int64]
    shared: SharedPrefixes | None = None


class StepAttention(Protocol):
    """Attention bound to one step: the index work is done once for all layers of a window."""

    def rotate_and_write(self, layer: int, q_TNH: Tensor, k_TKH: Tensor, v_TKH: Tensor, rotation: Rotation) -> Tensor:
        """Put the turned keys and the values of the step's tokens into their slots, in this layer.

        Returns the turned queries [T, N, H]; they may take the memory of `q_TNH`.
        """
        ...

    def attend(self, layer: int, q_TNH: Tensor, window: int | None = None) -> Tensor:
        """softmax(q k / sqrt(H)) v of each token over its row's slots up to its position; [T, N, H] -> [T, N, H].

        With a `window` (1 or more), over the last `window` of them.
        """
        ...


class AttentionBackend(Protocol):
    """One way to compute attention over a KV pool."""

    def begin(self, batch: AttentionBatch) -> StepAttention:
        """Prepare a step. The result is valid until the next `begin`."""
        ...
