"""The slots of the KV cache: which are free, and which are still being read by a step that has not ended.

A slot is the place of one position's keys and values in every layer. It has exactly one owner at any time:

        allocate            extend (radix_cache/tree.py)
    free ------> a row's tail -------------------> a tree node
     ^                |                                |
     |                | release                        | evict, void
     |                v                                v
     +---- quarantined until step N has ended <--------+          (N already over: free at once)
              finish(N)

The pool knows the free and the quarantined ones; the tree knows its own, the scheduler its tails. `check` in
radix_cache/check.py adds the four up. Steps are the integers that the scheduler numbers its launches with.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from .errors import CacheCorrupt, CacheMisuse, PoolExhausted

IntArray = npt.NDArray[np.int32]


class SlotPool:
    """A stack of free slots and a quarantine by step. Every call costs O(slots moved), as one array copy.

    Args:
        capacity: number of slots; they are numbered 0 .. capacity - 1.
    """

    __slots__ = ("_free", "_free_count", "_quarantine", "_quarantined_count", "capacity", "finished")

    def __init__(self, capacity: int) -> None:
        if capacity <= 0:
            raise CacheMisuse(f"a pool of {capacity} slots", hint="capacity must be positive")
        self.capacity = capacity
        self.finished = -1
        # The top of the stack is at its end; descending, so that a fresh pool hands out 0, 1, 2, ...
        self._free: IntArray = np.arange(capacity - 1, -1, -1, dtype=np.int32)
        self._free_count = capacity
        self._quarantine: dict[int, list[IntArray]] = {}
        self._quarantined_count = 0

    @property
    def free_count(self) -> int:
        return self._free_count

    @property
    def quarantined_count(self) -> int:
        return self._quarantined_count

    def allocate(self, n: int) -> IntArray:
        """`n` slots, int32 [n], now owned by the caller.

        Raises:
            PoolExhausted: fewer than `n` are free (none is taken then).
        """
        rest = self._free_count - n
        if n < 0 or rest < 0:
            raise PoolExhausted(
                f"{n} slots wanted, {self._free_count} free, {self._quarantined_count} quarantined of {self.capacity}",
                hint="evict, or wait for the step in flight",
            )
        slots = self._free[rest : self._free_count][::-1].copy()
        self._free_count = rest
        return slots

    def release(self, slots: IntArray, after: int) -> None:
        """Give slots back. They are free once step `after`, the last one that may touch them, has ended.

        Args:
            slots: int32 [n]; copied, so the caller may reuse the array.
            after: last launched step that may read or write the slots; free at once if it has ended.
        """
        if not len(slots):
            return
        if self._free_count + self._quarantined_count + len(slots) > self.capacity:
            raise CacheCorrupt(
                f"{len(slots)} slots released, but only "
                f"{self.capacity - self._free_count - self._quarantined_count} are out",
                hint="a slot was released twice",
            )
        if after <= self.finished:
            self._push(slots)
        else:
            self._quarantine.setdefault(after, []).append(slots.copy())
            self._quarantined_count += len(slots)

    def finish(self, step: int) -> None:
        """Step `step` and all before it have ended: what waited for them is free. Saying so again is harmless."""
        if step < self.finished:
            raise CacheMisuse(f"step {step} finished after step {self.finished}", hint="steps finish in order")
        self.finished = step
        for after in [after for after in self._quarantine if after <= step]:
            for slots in self._quarantine.pop(after):
                self._quarantined_count -= len(slots)
                self._push(slots)

    def free_slots(self) -> IntArray:
        """A copy of the free slots, int32 [free_count]; for `check`."""
        return self._free[: self._free_count].copy()

    def quarantined_slots(self) -> IntArray:
        """A copy of the quarantined slots, int32 [quarantined_count]; for `check`."""
        waiting = [slots for entry in self._quarantine.values() for slots in entry]
        return np.concatenate(waiting) if waiting else np.empty(0, np.int32)

    def quarantine_steps(self) -> list[int]:
        """The steps that slots wait for; for `check`."""
        return list(self._quarantine)

    def _push(self, slots: IntArray) -> None:
        top = self._free_count + len(slots)
        self._free[self._free_count : top] = slots[::-1]  # reversed: the next allocation gets them in this order
        self._free_count = top
