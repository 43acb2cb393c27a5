"""Tokens that a planned step will compute: shared at once, handed over when their owner dies, gone when it fails."""

from __future__ import annotations

import numpy as np
import pytest
from ramify.radix_cache import CacheMisuse, Cursor, Hit, InFlight, RadixTree, SlotPool
from ramify.radix_cache.pool import IntArray


def ids(*tokens: int) -> IntArray:
    return np.array(tokens, np.int32)


def tree_of(capacity: int = 256) -> RadixTree:
    return RadixTree(SlotPool(capacity))


def row(tree: RadixTree, tokens: IntArray, ready: int) -> Cursor:
    """A leased row that plans these tokens for step `ready`."""
    cursor = tree.open(tree.root("t"))
    matched = tree.match(cursor, tokens, 0)
    tree.lease(cursor, 0)
    tree.extend(cursor, tokens[matched:], tree.pool.allocate(len(tokens) - matched), ready, 0)
    return cursor


def test_a_follower_shares_pending_tokens_in_the_same_step() -> None:
    tree = tree_of()
    owner = row(tree, ids(1, 2, 3), ready=0)
    follower = row(tree, ids(1, 2, 3, 4), ready=0)
    assert tree.slots(follower).tolist()[:3] == tree.slots(owner).tolist()
    assert tree.used == 4
    tree.finish(0)
    assert tree.explain(owner.root, ids(1, 2, 3, 4)) == Hit()
    tree.check()


def test_an_aborted_owner_hands_its_tokens_over() -> None:
    tree = tree_of()
    owner = row(tree, ids(1, 2, 3), ready=0)
    follower = row(tree, ids(1, 2), ready=0)
    tree.release(owner, 0, 1)
    tree.close(owner)
    assert tree.evict(100, "x", 1) == 0  # the step writes them, whoever wanted them
    tree.check()
    tree.finish(0)
    assert tree.evict(100, "x", 1) == 1  # the follower leases [0, 2)
    assert follower.length == 2
    tree.release(follower, 0, 2)
    assert tree.evict(100, "x", 1) == 2
    tree.check()


def test_pending_tokens_are_not_evicted_until_their_step_ends() -> None:
    tree = tree_of()
    cursor = row(tree, ids(1, 2, 3), ready=4)
    tree.extend(cursor, ids(4, 5), tree.pool.allocate(2), 5, 0)
    tree.release(cursor, 5, 0)
    tree.finish(4)
    assert tree.evictable == 0
    assert tree.explain(cursor.root, ids(1, 2, 3, 4, 5)) == InFlight(3, 5)
    assert tree.explain(cursor.root, ids(1, 2, 3)) == Hit()
    tree.finish(5)
    assert tree.evictable == 5
    tree.check()


def test_a_failed_step_takes_its_tokens_and_those_after_it() -> None:
    tree = tree_of()
    cursor = row(tree, ids(1, 2, 3), ready=0)
    tree.finish(0)
    tree.extend(cursor, ids(4, 5), tree.pool.allocate(2), 1, 0)
    tree.extend(cursor, ids(6, 7), tree.pool.allocate(2), 2, 0)
    follower = tree.fork(cursor)
    stranger = row(tree, ids(9), ready=1)
    tree.release(stranger, 1, 0)
    tree.release(cursor, 2, 0)
    assert tree.void(1) == 5
    assert cursor.length == follower.length == 3
    assert stranger.length == 0
    assert tree.pool.quarantined_count == 5  # the device may still be at it, until the last step planned is over
    tree.check()
    tree.finish(2)
    assert tree.pool.free_count == 256 - 3
    tree.check()


def test_a_later_failure_keeps_the_step_before_it() -> None:
    tree = tree_of()
    cursor = row(tree, ids(1, 2, 3), ready=1)
    tree.extend(cursor, ids(4, 5), tree.pool.allocate(2), 2, 0)
    tree.release(cursor, 2, 0)
    assert tree.void(2) == 2
    assert cursor.length == 3
    assert tree.evictable == 0
    tree.finish(1)
    assert tree.evictable == 3
    tree.check()


def test_void_refuses_to_cut_a_row_in_flight() -> None:
    tree = tree_of()
    cursor = row(tree, ids(1, 2, 3), ready=1)
    with pytest.raises(CacheMisuse, match="leased"):
        tree.void(1)
    assert cursor.length == 3
    tree.check()
    assert tree.void(2) == 0


def test_computed_tokens_below_pending_twins_fall_with_them() -> None:
    """A row's own tail is computed, but its twin's beginning is not: what hangs below it has no whole prefix."""
    tree = tree_of()
    prefill = row(tree, ids(1, 2), ready=6)
    tail = tree.open(tree.root("t"))
    tree.lease(tail, 0)
    own = tree.pool.allocate(3)
    assert tree.extend(tail, ids(1, 2, 3), own, tree.pool.finished, 0) == 2
    tree.pool.release(own[:2], 5)
    tree.check()
    for cursor in (prefill, tail):
        tree.release(cursor, 6, 0)
    assert tree.void(6) == 3
    assert tail.length == 0
    tree.check()


def test_a_split_leaves_each_part_its_own_steps() -> None:
    tree = tree_of()
    cursor = row(tree, ids(1, 2), ready=1)
    tree.extend(cursor, ids(3, 4), tree.pool.allocate(2), 2, 0)
    tree.extend(cursor, ids(5, 6), tree.pool.allocate(2), 3, 0)
    other = tree.open(tree.root("t"))
    assert tree.match(other, ids(1, 2, 3, 9), 1) == 3
    tree.check()
    for step, first_pending in ((1, 2), (2, 4), (3, None)):
        tree.finish(step)
        tree.check()
        expected = Hit() if first_pending is None else InFlight(first_pending, 3)
        assert tree.explain(cursor.root, ids(1, 2, 3, 4, 5, 6)) == expected
