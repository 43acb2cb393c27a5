"""Which rows of a decode step begin with the same slots, so that attention may read those once for all of them.

Equal slots are equal tokens at equal positions: the radix tree made them so, and nothing else is asked. The host keeps
each row's prompt slots as plans give them; groups are found when rows come or go, not at each step.

    row 3   [ 7 8 9 4 5 | 20 21 ]
    row 5   [ 7 8 9 4 5 | 30    ]      one group: prefix 5, tiles of up to `TILE_ROWS` rows
    row 6   [ 7 8 1 2           ]      shares less than `SHORTEST` with row 3: reads alone

One level: a row is in one group, with the row that came first among those with its first slot.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from ..kernels.prefixes import TILE_ROWS, SharedPrefixes
from ..kernels.transfer import upload
from ..protocol.plan import StepPlan
from ..protocol.tokens import IntArray, unpack

SHORTEST = 64
"""A shorter common prefix is not worth a tile."""

WORTH = 8192
"""Slots a step must save; below, the second pass costs more than it saves."""


@dataclass(frozen=True)
class Tiles:
    """Groups of a step's rows, on the host; see `kernels.prefixes.SharedPrefixes`.

    Attributes:
        version: differs from that of every other `Tiles` of this worker.
        rows, lengths: of the tiles, shape (T,).
        members: places in the step, shape (T, TILE_ROWS), -1 where there is none.
        place: of each row of the step in `members`, flat, shape (D,), -1 for none.
        prefix: what each row of the step reads with others, shape (D,).
    """

    version: int
    rows: NDArray[np.int64]
    lengths: NDArray[np.int64]
    members: NDArray[np.int32]
    place: NDArray[np.int32]
    prefix: NDArray[np.int64]

    def upload(self, device: torch.device) -> SharedPrefixes:
        return SharedPrefixes(
            rows_T=upload(self.rows, device),
            lengths_T=upload(self.lengths, device),
            members_TM=upload(self.members, device),
            place_D=upload(self.place, device),
            lengths_D=upload(self.prefix, device),
        )


class PrefixSharing:
    """Prompt slots of up to `max_rows` rows."""

    def __init__(self, max_rows: int) -> None:
        self._slots: list[IntArray] = [_NONE] * max_rows
        self._changes = np.zeros(max_rows, dtype=np.int64)
        self._common: dict[tuple[int, int, int, int], int] = {}
        self._clock = 0
        self._last: tuple[bytes, int, Tiles | None] = (b"", -1, None)

    def assign(self, plan: StepPlan) -> None:
        """Take over the rows and slots of `plan`."""
        for row in unpack(plan.closed).tolist():
            self._set(row, _NONE)
        for opening in plan.opened:
            self._set(opening.row, unpack(opening.slots))
        slots, at = unpack(plan.span_slots), 0
        rows, starts, counts = unpack(plan.span_rows), unpack(plan.span_starts), unpack(plan.span_counts)
        for row, start, count in zip(rows.tolist(), starts.tolist(), counts.tolist(), strict=True):
            old = self._slots[row]
            if start <= len(old):  # else it stands behind slots of decoded positions, which nobody shares
                self._set(row, np.concatenate((old[:start], slots[at : at + count], old[start + count :])))
            at += count

    def tiles(self, rows: NDArray[np.int64]) -> Tiles | None:
        """The groups among `rows`, in this order in the step; None if sharing saves too little."""
        key = rows.tobytes()
        if self._last[:2] != (key, self._clock):
            self._last = (key, self._clock, self._group(rows))
        return self._last[2]

    def _set(self, row: int, slots: IntArray) -> None:
        self._slots[row] = slots
        self._clock += 1
        self._changes[row] = self._clock

    def _group(self, rows: NDArray[np.int64]) -> Tiles | None:
        places: dict[int, list[int]] = {}
        for place, row in enumerate(rows.tolist()):
            slots = self._slots[row]
            if len(slots) >= SHORTEST:
                places.setdefault(int(slots[0]), []).append(place)
        groups = []
        common: dict[tuple[int, int, int, int], int] = {}
        for members in places.values():
            if len(members) == 1:
                continue
            leader = min((int(rows[place]) for place in members), key=lambda row: int(self._changes[row]))
            shared = [(place, self._common_prefix(leader, int(rows[place]), common)) for place in members]
            shared = [(place, length) for place, length in shared if length >= SHORTEST]
            if len(shared) > 1:
                prefix = min(length for _, length in shared)
                groups.append((leader, prefix, [place for place, _ in shared]))
        self._common = common  # what is still of use
        if sum((len(members) - 1) * prefix for _, prefix, members in groups) < WORTH:
            return None
        return self._tiles(groups, len(rows))

    def _common_prefix(self, leader: int, row: int, found: dict[tuple[int, int, int, int], int]) -> int:
        """Positions both rows begin with alike; the whole of a row with itself."""
        key = (leader, row, int(self._changes[leader]), int(self._changes[row]))
        length = self._common.get(key)
        if length is None:
            first, second = self._slots[leader], self._slots[row]
            most = min(len(first), len(second))
            differing = np.flatnonzero(first[:most] != second[:most])
            length = int(differing[0]) if differing.size else most
        found[key] = length
        return length

    def _tiles(self, groups: list[tuple[int, int, list[int]]], count: int) -> Tiles:
        tiles = [
            (leader, prefix, members[first : first + TILE_ROWS])
            for leader, prefix, members in groups
            for first in range(0, len(members), TILE_ROWS)
        ]
        grid = np.full((len(tiles), TILE_ROWS), -1, dtype=np.int32)
        place, prefixes = np.full(count, -1, dtype=np.int32), np.zeros(count, dtype=np.int64)
        for t, (_, prefix, members) in enumerate(tiles):
            grid[t, : len(members)] = members
            place[members] = t * TILE_ROWS + np.arange(len(members))
            prefixes[members] = prefix
        return Tiles(
            version=self._clock,
            rows=np.array([leader for leader, _, _ in tiles], dtype=np.int64),
            lengths=np.array([prefix for _, prefix, _ in tiles], dtype=np.int64),
            members=grid,
            place=place,
            prefix=prefixes,
        )


_NONE: IntArray = np.empty(0, dtype=np.int32)
