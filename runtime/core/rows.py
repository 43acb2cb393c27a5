"""The rows of the batch: columns in numpy for what happens at every token, an object for what happens once.

A row is one gen's stay in the batch. Its tokens and slots:

    positions   |------ tree nodes, leased ------|------ tail: the row's own slots ------|
                0                          tail_start                tail_start + n_slots
    ids         |------ prompt (in the stream) --------|-- n_ids sampled and observed ---|
                0                                    total

`tail_start` is `total`, or `total - 1` when the last prompt token had to be computed again beside its twin in the tree.
A decode step touches only the columns, for all rows at once; ids and slots collect in small buffers that are emptied
into lists every `BUFFER` tokens, so memory does not grow with the context.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ...radix_cache.node import Cursor
from .messages import Ids
from .stream import Gen

BUFFER = 128
STOP_IDS = 8


class Row:
    """One gen in the batch. `planned` positions have KV computed or in flight; `total` is the prompt's length now."""

    __slots__ = ("cursor", "gen", "ids", "index", "planned", "protected", "slots", "stop_set", "tail_start", "total")

    def __init__(self, index: int, gen: Gen, cursor: Cursor, total: int, protected: bool) -> None:
        self.index = index
        self.gen = gen
        self.cursor = cursor
        self.planned = cursor.length
        self.total = total
        self.tail_start = total
        self.protected = protected
        self.ids: list[Ids] = []
        self.slots: list[Ids] = []
        stop_ids = gen.request.stop_ids
        self.stop_set = frozenset(stop_ids) if len(stop_ids) > STOP_IDS else None


class RowTable:
    """Columns over `max_rows` rows; the only owner and writer of their values.

    Attributes (shape (max_rows,) unless said otherwise):
        epoch: openings and closings of the row; a flight's epochs are compared with it to find rows that left.
        decoding: the last prompt position is planned; from here the row computes its own next id.
        held: its next mask is being made beside the steps: the row keeps its slots and computes nothing.
        fed: samples planned in this stay; seen: samples observed; limit: samples allowed.
        watched: needs Python at each token (grammar, stop strings, streaming, logprobs, many stop ids).
        stop_ids: shape (max_rows, STOP_IDS), -1 where unused.
    """

    def __init__(self, max_rows: int) -> None:
        self.max_rows = max_rows
        self.epoch = np.zeros(max_rows, np.int32)
        self.decoding = np.zeros(max_rows, np.bool_)
        self.held = np.zeros(max_rows, np.bool_)
        self.fed = np.zeros(max_rows, np.int32)
        self.seen = np.zeros(max_rows, np.int32)
        self.limit = np.zeros(max_rows, np.int32)
        self.watched = np.zeros(max_rows, np.bool_)
        self.stop_ids = np.full((max_rows, STOP_IDS), -1, np.int32)
        self._n_ids = np.zeros(max_rows, np.int32)
        self._n_slots = np.zeros(max_rows, np.int32)
        self._ids = np.zeros((max_rows, BUFFER), np.int32)
        self._slots = np.zeros((max_rows, BUFFER), np.int32)
        self.rows: list[Row | None] = [None] * max_rows
        self._free = list(range(max_rows - 1, -1, -1))

    def __len__(self) -> int:
        return self.max_rows - len(self._free)

    @property
    def full(self) -> bool:
        return not self._free

    def active(self) -> list[Row]:
        """The open rows, by index."""
        return [row for row in self.rows if row is not None]

    def open(self, gen: Gen, cursor: Cursor, total: int, protected: bool) -> Row:
        index = self._free.pop()
        row = Row(index, gen, cursor, total, protected)
        self.rows[index] = row
        self.epoch[index] += 1
        self.fed[index] = self.seen[index] = 0
        self._n_ids[index] = self._n_slots[index] = 0
        request = gen.request
        self.limit[index] = gen.max_new - gen.generated
        self.stop_ids[index] = -1
        if row.stop_set is None:
            self.stop_ids[index, : len(request.stop_ids)] = request.stop_ids
        self.watched[index] = (
            gen.grammar is not None
            or request.stop_watch is not None
            or request.stream
            or gen.logprobs is not None
            or row.stop_set is not None
        )
        return row

    def close(self, row: Row) -> None:
        self.rows[row.index] = None
        self.epoch[row.index] += 1
        self.decoding[row.index] = self.held[row.index] = False
        self._free.append(row.index)

    def decodable(self) -> Ids:
        """Rows that compute one more token in the next step, ascending, shape (D,)."""
        return np.flatnonzero(self.decoding & ~self.held & (self.fed < self.limit)).astype(np.int32)

    def push_slots(self, indexes: Ids, slots: Ids) -> None:
        """One more tail slot for each of these rows."""
        used = self._n_slots[indexes]
        if used.max(initial=0) == BUFFER:
            for index in indexes[used == BUFFER].tolist():
                self._row(index).slots.append(self._slots[index].copy())
                self._n_slots[index] = 0
            used = self._n_slots[indexes]
        self._slots[indexes, used] = slots
        self._n_slots[indexes] = used + 1

    def push_ids(self, indexes: Ids, ids: Ids) -> None:
        """One more observed id for each of these rows."""
        used = self._n_ids[indexes]
        if used.max(initial=0) == BUFFER:
            for index in indexes[used == BUFFER].tolist():
                self._row(index).ids.append(self._ids[index].copy())
                self._n_ids[index] = 0
            used = self._n_ids[indexes]
        self._ids[indexes, used] = ids
        self._n_ids[indexes] = used + 1
        self.seen[indexes] += 1

    def ids_of(self, row: Row) -> Ids:
        """Every id observed in this stay, shape (n,)."""
        return np.concatenate([*row.ids, self._ids[row.index, : self._n_ids[row.index]]])

    def slots_of(self, row: Row) -> Ids:
        """The row's own slots, from position `tail_start` on, shape (n,)."""
        return np.concatenate([*row.slots, self._slots[row.index, : self._n_slots[row.index]]])

    def tails(self) -> list[Ids]:
        """Every row's own slots, for the proof of ownership."""
        return [self.slots_of(row) for row in self.active()]

    def growth(self, row: Row) -> int:
        """Samples the row may still ask for."""
        return int(self.limit[row.index] - self.fed[row.index])

    def _row(self, index: int) -> Row:
        row = self.rows[index]
        if row is None:
            raise RuntimeError(f"row {index} is not open")
        return row


class Flight:
    """One launched step, until its result is observed.

    `void[i]`: sample i was declared void before the draw; `epochs[i]`: the row's epoch at launch, so that a row that
    left later is recognised too. `touched`: the rows whose prompts the plan reads or computes, with their gens.
    `doomed`: a step in front of it failed. `begun`: when the device could begin it, seconds.
    """

    __slots__ = ("begun", "doomed", "epochs", "sample_rows", "sampled", "step", "touched", "void")

    def __init__(self, step: int, sample_rows: Ids, epochs: Ids, touched: list[tuple[Row, Gen]]) -> None:
        self.step = step
        self.sample_rows = sample_rows
        self.epochs = epochs
        self.touched = touched
        self.sampled = False
        self.doomed = False
        self.begun = 0.0
        self.void: NDArray[np.bool_] = np.zeros(len(sample_rows), np.bool_)
