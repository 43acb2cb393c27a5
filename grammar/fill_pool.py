"""`MaskPool`: a step's masks on threads, outside the interpreter lock, row by row and within a bounded time.

Row by row, because a backend's own batch call is over when its slowest row is: here each row is claimed by a thread
that is free, and what is not done in time is known by name. A thread fills a row of its own and copies it when it is
still wanted, so a row that is late never writes into a buffer that has gone on to the device. Of rows whose masks are
known to be equal one is filled.

    step threads    claim ... claim ... | what is left is late: rows being filled are finished where they are,
    lane threads                        ` rows nobody claimed go to the lane; so does whatever `begin` is given

The lane has threads of its own, or rows that are slow at every token would take those of the step.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Hashable, Sequence
from itertools import count
from queue import SimpleQueue
from typing import TYPE_CHECKING

import numpy as np

from ..errors import RamifyError, from_info, to_info
from .fill import Filled, MaskMade, MaskRequest

if TYPE_CHECKING:
    from .state import MaskRow, MaskRows

_LANE_SHARE = 4
"""One lane thread for so many step threads."""


def spare_processors() -> int:
    """Threads to fill with: half of the processors. On 16 of them, 15 threads filled 256 rows a tenth sooner than 8,
    and a tenth later where masks are cheap: all of them want the interpreter lock, and so does the core."""
    available = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, available // 2)


class MaskPool:
    """`MaskFiller` over threads.

    Args:
        words: int32 words of a mask.
        on_made: gets each `MaskMade`, on one of the pool's threads; must not raise.
        threads: that fill a step's masks; None is half of the processors.
    """

    def __init__(self, words: int, on_made: Callable[[MaskMade], None], threads: int | None = None) -> None:
        self._words = words
        self._on_made = on_made
        self._steps: SimpleQueue[_Batch | None] = SimpleQueue()
        self._lane: SimpleQueue[MaskRequest | None] = SimpleQueue()
        num_steps = threads or spare_processors()
        runs = [self._run_steps] * num_steps + [self._run_lane] * max(1, num_steps // _LANE_SHARE)
        self._num_steps, self._num_lane = num_steps, len(runs) - num_steps
        self._threads = [
            threading.Thread(target=run, name=f"ramify-masks-{index}", daemon=True) for index, run in enumerate(runs)
        ]
        for thread in self._threads:
            thread.start()

    def fill(self, requests: Sequence[MaskRequest], out_RW: MaskRows, patience: float) -> Filled:
        leaders: dict[Hashable, int] = {}
        followers: list[tuple[int, int]] = []
        wanted: list[int] = []
        for index, request in enumerate(requests):
            known = request.state.known_mask()
            if known is not None:
                out_RW[index] = known
            elif (key := request.state.mask_key()) is None or (leader := leaders.setdefault(key, index)) == index:
                wanted.append(index)
            else:
                followers.append((index, leader))
        if not wanted:
            return Filled()
        batch = _Batch(requests, wanted, out_RW)
        for _ in range(min(self._num_steps, len(wanted))):
            self._steps.put(batch)
        if not batch.done.wait(patience) and 2 * (batch.num_missing + len(followers)) > len(requests):
            batch.done.wait(patience)  # without them the step would be next to empty: nobody is held
        filled, unclaimed = batch.end()
        late = set(filled.late)
        for index, leader in followers:
            if leader in late or leader in filled.errors:
                late.add(index)
                unclaimed.append(requests[index])
            else:
                out_RW[index] = out_RW[leader]
        for request in unclaimed:
            self._lane.put(request)
        return Filled(sorted(late), filled.errors)

    def begin(self, request: MaskRequest) -> None:
        self._lane.put(request)

    def close(self) -> None:
        """End the threads when they have finished what they are at; what waits is dropped."""
        for _ in range(self._num_steps):
            self._steps.put(None)
        for _ in range(self._num_lane):
            self._lane.put(None)

    def _run_steps(self) -> None:
        row = np.empty(self._words, np.int32)
        while (batch := self._steps.get()) is not None:
            row = self._work(batch, row)
            del batch  # or its states would live until the next step

    def _work(self, batch: _Batch, row: MaskRow) -> MaskRow:
        """Fill what is left of a batch, in `row`; the row to go on with."""
        while (index := batch.claim()) is not None:
            made = _make(batch.requests[index], row)
            if not batch.take(index, made):
                self._on_made(made)
                row = np.empty(self._words, np.int32)  # the other one went away with what was made
        return row

    def _run_lane(self) -> None:
        while (request := self._lane.get()) is not None:
            self._on_made(_make(request, np.empty(self._words, np.int32)))


class _Batch:
    """One step's requests, while threads fill those that are `wanted`.

    Attributes:
        done: set when every row is there.
    """

    def __init__(self, requests: Sequence[MaskRequest], wanted: Sequence[int], out_RW: MaskRows) -> None:
        self.requests = requests
        self._wanted = wanted
        self.done = threading.Event()
        self._out_RW = out_RW
        self._next = count()
        self._lock = threading.Lock()
        self._missing = set(wanted)
        self._errors: dict[int, RamifyError] = {}
        self._ended = False

    @property
    def num_missing(self) -> int:
        return len(self._missing)

    def claim(self) -> int | None:
        """The next row that nobody has; None if there is none. One step of the counter is atomic."""
        place = next(self._next)
        return self._wanted[place] if place < len(self._wanted) else None

    def take(self, index: int, made: MaskMade) -> bool:
        """Put a row in its place; False if it is late."""
        with self._lock:
            if self._ended:
                return False
            if made.mask is not None:
                self._out_RW[index] = made.mask
            else:
                assert made.error is not None
                self._errors[index] = made.error
            self._missing.discard(index)
            if not self._missing:
                self.done.set()
        return True

    def end(self) -> tuple[Filled, list[MaskRequest]]:
        """Nothing is taken from now on. What came, and the requests that nobody claimed."""
        with self._lock:
            self._ended = True
        unclaimed = []
        while (index := self.claim()) is not None:
            unclaimed.append(self.requests[index])
        return Filled(sorted(self._missing), self._errors), unclaimed


def _make(request: MaskRequest, row: MaskRow) -> MaskMade:
    """Fill `row`, which the result then holds."""
    begun = time.perf_counter()
    try:
        request.state.fill_mask(row)
    except RamifyError as error:
        return MaskMade(request.key, None, error, time.perf_counter() - begun)
    except BaseException as error:  # a panic in native code is no Exception; its request must not wait for ever
        wrapped = from_info(to_info(error))
        wrapped.__cause__ = error
        return MaskMade(request.key, None, wrapped, time.perf_counter() - begun)
    return MaskMade(request.key, row, None, time.perf_counter() - begun)
