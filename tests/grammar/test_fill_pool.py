"""The mask threads: what is late is named, comes later, and never touches a buffer that was given back."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from ramify.errors import InvalidSchema
from ramify.grammar.fill import Filled, MaskMade, MaskRequest
from ramify.grammar.fill_pool import MaskPool

WORDS, POISON = 5, 0x55555555


class Pool:
    """A pool of two step threads, and what it made beside the steps."""

    def __init__(self) -> None:
        self.made: queue.SimpleQueue[MaskMade] = queue.SimpleQueue()
        self.pool = MaskPool(WORDS, self.made.put, threads=2)

    def fill(self, states: list[Any], patience: float) -> tuple[Filled, np.ndarray]:
        requests = [MaskRequest((0, index), state) for index, state in enumerate(states)]
        out = np.full((len(states) + 1, WORDS), POISON, np.int32)
        return self.pool.fill(requests, out, patience), out


@pytest.fixture
def pool() -> Iterator[Pool]:
    pool = Pool()
    yield pool
    pool.pool.close()


class Filling:
    """A state whose mask is `word` everywhere; it fills when `gate` opens."""

    def __init__(
        self, word: int, gate: threading.Event | None = None, known: bool = False, key: int | None = None
    ) -> None:
        self.word = word
        self.gate = gate
        self.fills = 0
        self.known = known
        self.key = key

    def mask_key(self) -> int | None:
        return self.key

    def known_mask(self) -> np.ndarray | None:
        return np.full(WORDS, self.word, np.int32) if self.known else None

    def fill_mask(self, row: np.ndarray) -> bool:
        self.fills += 1
        if self.gate is not None:
            assert self.gate.wait(60)
        row.fill(self.word)
        return True


class Broken:
    """A state that fails in one of two ways."""

    def __init__(self, error: BaseException) -> None:
        self.error = error

    def mask_key(self) -> None:
        return None

    def known_mask(self) -> None:
        return None

    def fill_mask(self, row: np.ndarray) -> bool:
        raise self.error


def test_rows_in_time_are_whole_and_no_other_row_is_written(pool: Pool) -> None:
    filled, out = pool.fill([Filling(index, known=index % 3 == 0) for index in range(40)], 60.0)
    assert filled == Filled()
    assert (out[:40] == np.arange(40)[:, None]).all()
    assert (out[40] == POISON).all()


def test_a_slow_row_is_late_and_the_others_are_not(pool: Pool) -> None:
    gate = threading.Event()
    slow = Filling(7, gate)
    others = [Filling(index) for index in range(20)]
    filled, out = pool.fill([slow, *others], 0.2)
    assert filled.late == [0] and not filled.errors
    assert (out[1:21] == np.arange(20)[:, None]).all()
    before = out.copy()
    gate.set()
    made = pool.made.get(timeout=60)
    assert made.key == (0, 0) and made.error is None and made.mask is not None and (made.mask == 7).all()
    assert made.seconds > 0.1
    assert (out == before).all(), "the buffer was the caller's again"
    filled, out = pool.fill(others, 60.0)
    assert filled == Filled(), "the thread came back"
    assert (made.mask == 7).all(), "the mask is the caller's alone"


def test_rows_that_no_thread_came_to_are_made_in_the_lane(pool: Pool) -> None:
    gate = threading.Event()
    blocking = [Filling(1, gate), Filling(2, gate)]
    filled, _ = pool.fill([*blocking, Filling(3), Filling(4)], 0.2)
    assert filled.late == [0, 1, 2, 3]
    assert {pool.made.get(timeout=60).key for _ in range(2)} == {(0, 2), (0, 3)}
    pool.pool.begin(MaskRequest((5, 5), Filling(9)))  # type: ignore[arg-type]
    assert pool.made.get(timeout=60).key == (5, 5), "the lane works while the step threads do not"
    gate.set()
    assert {pool.made.get(timeout=60).key for _ in range(2)} == {(0, 0), (0, 1)}


def test_of_equal_masks_one_is_made(pool: Pool) -> None:
    states = [Filling(index % 3, key=index % 3) for index in range(30)]
    filled, out = pool.fill(states, 60.0)
    assert filled == Filled() and sum(state.fills for state in states) == 3
    assert (out[:30] == np.arange(30)[:, None] % 3).all()
    gate = threading.Event()
    states = [Filling(1, gate, key=1), Filling(1, key=1), *(Filling(2) for _ in range(10))]
    filled, out = pool.fill(states, 0.2)
    assert filled.late == [0, 1], "the second waits for the first, so both are late"
    made = pool.made.get(timeout=60)
    assert made.key == (0, 1), "each makes its own then"
    gate.set()
    assert pool.made.get(timeout=60).key == (0, 0)


def test_errors_are_named_by_row(pool: Pool) -> None:
    refused = InvalidSchema("no")
    filled, out = pool.fill([Filling(1), Broken(refused), Broken(KeyError("x")), Filling(2)], 60.0)
    assert not filled.late and filled.errors[1] is refused
    assert "fault in ramify" in filled.errors[2].hint
    assert (out[[0, 3], 0] == [1, 2]).all()
    pool.pool.begin(MaskRequest((1, 1), Broken(refused)))  # type: ignore[arg-type]
    made = pool.made.get(timeout=60)
    assert made.mask is None and made.error is refused


def test_closing_ends_the_threads() -> None:
    pool = Pool()
    threads = pool.pool._threads
    assert len(threads) == 3 and all(thread.is_alive() for thread in threads)
    pool.pool.close()
    for thread in threads:
        thread.join(60)
    assert not any(thread.is_alive() for thread in threads)
