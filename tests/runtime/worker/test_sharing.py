"""Rows that begin with the same slots are found, whatever way their slots came, and nothing else is taken for one."""

from __future__ import annotations

import numpy as np
import pytest
from ramify.runtime.kernels.prefixes import TILE_ROWS
from ramify.runtime.worker import sharing
from ramify.runtime.worker.sharing import PrefixSharing, Tiles
from step_builder import StepBuilder


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sharing, "SHORTEST", 4)
    monkeypatch.setattr(sharing, "WORTH", 5)


def _check(tiles: Tiles, rows: list[int], slots: dict[int, list[int]]) -> None:
    """What the tiles say is true of the slots."""
    for t, (row, length) in enumerate(zip(tiles.rows.tolist(), tiles.lengths.tolist(), strict=True)):
        members = [place for place in tiles.members[t].tolist() if place >= 0]
        assert members
        for j, place in enumerate(members):
            assert slots[rows[place]][:length] == slots[row][:length]
            assert tiles.place[place] == t * TILE_ROWS + j
            assert tiles.prefix[place] == length
    alone = tiles.place < 0
    assert (tiles.prefix[alone] == 0).all()
    assert (tiles.members >= 0).sum() == (~alone).sum()


def test_groups_are_found_through_opens_and_spans() -> None:
    shared = PrefixSharing(60)
    plan = StepBuilder(0)
    many = TILE_ROWS + 4
    slots = {row: [*range(100, 110), 200 + row, 300 + row] for row in range(many)}
    slots |= {50: [7, 8, 9, 1, 2, 3], 51: [7, 8, 9, 1, 5], 52: [7, 8, 0, 0, 0], 53: [1]}
    for row, own in slots.items():
        if row % 2:
            plan.open(row, 0, own)
        else:
            plan.open(row, 0, own[:3])
            plan.span(row, 3, own[3:])
    shared.assign(plan.plan())
    rows = [53, 52, 51, 50, *range(many)]
    tiles = shared.tiles(np.array(rows))
    assert tiles is not None
    _check(tiles, rows, slots)
    assert sorted(tiles.lengths.tolist()) == [4, 10, 10]
    assert tiles.place[:2].tolist() == [-1, -1]
    assert shared.tiles(np.array(rows)) is tiles, "the same rows are grouped once"


def test_a_row_that_leaves_or_is_rewritten_is_no_member_any_more() -> None:
    shared = PrefixSharing(4)
    plan = StepBuilder(0)
    slots = {row: [1, 2, 3, 4, 5, 6, 7, 10 + row] for row in range(3)}
    for row, own in slots.items():
        plan.open(row, 0, own)
    shared.assign(plan.plan())
    tiles = shared.tiles(np.arange(3))
    assert tiles is not None
    _check(tiles, [0, 1, 2], slots)
    plan = StepBuilder(1)
    plan.span(1, 2, [99])  # a position computed once more, in a slot of the row's own
    shared.assign(plan.plan())
    slots[1][2] = 99
    tiles = shared.tiles(np.arange(3))
    assert tiles is not None
    _check(tiles, [0, 1, 2], slots)
    assert tiles.place.tolist() == [0, -1, 1]
    plan = StepBuilder(2)
    plan.close(0)
    shared.assign(plan.plan())
    assert shared.tiles(np.array([1, 2])) is None


def test_little_sharing_is_none() -> None:
    shared = PrefixSharing(4)
    plan = StepBuilder(0)
    for row in range(2):
        plan.open(row, 0, [1, 2, 3, 4, 10 + row])
    shared.assign(plan.plan())
    assert shared.tiles(np.arange(2)) is None
