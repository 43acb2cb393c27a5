"""Slots: who owns them, and how long they wait."""

from __future__ import annotations

import numpy as np
import pytest
from ramify.radix_cache import CacheCorrupt, CacheMisuse, PoolExhausted, SlotPool


def test_a_fresh_pool_hands_out_each_slot_once() -> None:
    pool = SlotPool(10)
    slots = np.concatenate((pool.allocate(4), pool.allocate(6)))
    assert slots.dtype == np.int32
    assert sorted(slots.tolist()) == list(range(10))
    assert pool.free_count == 0


def test_asking_for_too_many_takes_none() -> None:
    pool = SlotPool(4)
    pool.allocate(3)
    with pytest.raises(PoolExhausted, match="2 slots wanted, 1 free"):
        pool.allocate(2)
    assert pool.free_count == 1


def test_slots_wait_for_the_step_that_may_read_them() -> None:
    pool = SlotPool(8)
    slots = pool.allocate(8)
    pool.release(slots[:3], after=5)
    pool.release(slots[3:5], after=4)
    pool.release(slots[5:], after=5)
    assert (pool.free_count, pool.quarantined_count) == (0, 8)
    pool.finish(3)
    assert (pool.free_count, pool.quarantined_count) == (0, 8)
    pool.finish(4)
    assert pool.allocate(2).tolist() == slots[3:5].tolist()
    pool.finish(5)
    assert (pool.free_count, pool.quarantined_count) == (6, 0)


def test_slots_of_a_step_that_has_ended_are_free_at_once() -> None:
    pool = SlotPool(4)
    slots = pool.allocate(4)
    pool.finish(2)
    pool.release(slots, after=2)
    assert pool.free_count == 4


def test_the_pool_keeps_no_view_of_what_it_is_given() -> None:
    pool = SlotPool(4)
    slots = pool.allocate(4)
    pool.release(slots, after=0)
    slots[:] = 99
    pool.finish(0)
    taken = pool.allocate(4)
    assert sorted(taken.tolist()) == [0, 1, 2, 3]
    pool.release(taken[:2], after=-1)
    taken[:] = 99
    assert sorted(pool.free_slots().tolist()) == [0, 1]


def test_steps_finish_in_order_and_may_be_told_twice() -> None:
    pool = SlotPool(4)
    pool.finish(3)
    pool.finish(3)
    with pytest.raises(CacheMisuse, match="step 2 finished after step 3"):
        pool.finish(2)


def test_a_slot_too_many_coming_back_is_noticed() -> None:
    pool = SlotPool(4)
    slots = pool.allocate(2)
    pool.release(slots, after=7)
    with pytest.raises(CacheCorrupt, match="released twice"):
        pool.release(slots, after=-1)


def test_an_empty_pool_is_refused() -> None:
    with pytest.raises(CacheMisuse):
        SlotPool(0)
