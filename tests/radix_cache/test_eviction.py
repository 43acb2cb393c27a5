"""Who goes first, who stays, and how long the slots wait."""

from __future__ import annotations

import numpy as np
from ramify.radix_cache import Cursor, EvictionOrder, RadixTree, SlotPool
from ramify.radix_cache.node import Node
from ramify.radix_cache.pool import IntArray


def ids(*tokens: int) -> IntArray:
    return np.array(tokens, np.int32)


def tree_of(capacity: int = 256) -> RadixTree:
    return RadixTree(SlotPool(capacity))


def put(tree: RadixTree, tokens: IntArray, tick: int, busy_until: int = -1) -> Cursor:
    """A parked stream with these tokens, last used at `tick`."""
    cursor = tree.open(tree.root("t"))
    matched = tree.match(cursor, tokens, tick)
    tree.lease(cursor, tick)
    tree.extend(cursor, tokens[matched:], tree.pool.allocate(len(tokens) - matched), -1, tick)
    tree.release(cursor, busy_until, tick)
    return cursor


def test_dead_streams_go_before_parked_ones_however_recent() -> None:
    tree = tree_of()
    parked = put(tree, ids(1, 1, 1), tick=1)
    dead = put(tree, ids(2, 2, 2), tick=9)
    tree.close(dead)
    assert tree.evict(3, "x", 10) == 3
    assert parked.length == 3
    assert tree.statistics.evicted_dead == 3


def test_the_least_recently_used_goes_first() -> None:
    tree = tree_of()
    streams = [put(tree, ids(n, n), tick=n) for n in range(5)]
    tree.match(tree.open(tree.root("t")), ids(0, 0), 7)
    tree.evict(4, "x", 9)
    assert [cursor.length for cursor in streams] == [2, 0, 0, 2, 2]


def test_a_death_overtakes_the_place_in_the_queue() -> None:
    tree = tree_of()
    streams = [put(tree, ids(n, n), tick=n) for n in range(3)]
    tree.close(streams[2])
    tree.evict(2, "x", 9)
    assert [cursor.length for cursor in streams[:2]] == [2, 2]
    tree.check()


def test_eviction_takes_only_what_is_needed_and_goes_up() -> None:
    tree = tree_of()
    cursor = put(tree, ids(*range(6)), tick=1)
    deeper = tree.fork(cursor)
    tree.lease(deeper, 2)
    tree.extend(deeper, ids(6, 7, 8), tree.pool.allocate(3), -1, 2)
    tree.release(deeper, -1, 2)
    assert tree.evict(2, "x", 3) == 2
    assert (cursor.length, deeper.length) == (6, 7)
    assert tree.evict(3, "x", 3) == 3
    assert cursor.length == deeper.length == 4
    assert tree.evict(99, "x", 3) == 4
    assert tree.used == 0
    tree.check()


def test_a_trunk_is_as_recent_as_the_branch_that_was_evicted_from_it() -> None:
    tree = tree_of()
    trunk = put(tree, ids(1, 1), tick=1)
    branch = tree.fork(trunk)
    tree.lease(branch, 1)
    tree.extend(branch, ids(2), tree.pool.allocate(1), -1, 5)
    tree.release(branch, -1, 5)
    other = put(tree, ids(3, 3), tick=3)
    tree.rewind(branch, 0)
    tree.evict(1, "x", 9)  # the end of the branch: nobody is on it any more
    assert (trunk.length, other.length) == (2, 2)
    tree.evict(2, "x", 9)
    assert (trunk.length, other.length) == (2, 0)


def test_leases_protect_themselves_and_all_above() -> None:
    tree = tree_of()
    trunk = put(tree, ids(1, 2), tick=1)
    branch = put(tree, ids(1, 2, 3, 4), tick=2)
    put(tree, ids(1, 2, 8, 9), tick=3)
    tree.close(trunk)
    tree.lease(branch, 4)
    assert tree.evictable == 2
    assert tree.evict(99, "x", 5) == 2
    assert branch.length == 4
    tree.release(branch, -1, 6)
    assert tree.evictable == 4
    tree.check()


def test_evicted_slots_wait_for_the_last_reader_of_the_path() -> None:
    tree = tree_of(8)
    put(tree, ids(1, 2, 3), tick=1)
    tree.close(put(tree, ids(1, 2, 3, 4, 5), tick=2, busy_until=7))
    assert tree.evict(5, "x", 3) == 5
    # The reader at the leaf read the trunk too.
    assert (tree.pool.free_count, tree.pool.quarantined_count) == (3, 5)
    tree.finish(6)
    assert tree.pool.quarantined_count == 5
    tree.finish(7)
    assert tree.pool.free_count == 8
    tree.check()


def test_the_queue_stays_small_however_often_streams_come_and_go() -> None:
    tree = tree_of()
    put(tree, ids(1, 2, 3), tick=0)
    for tick in range(5000):
        cursor = tree.open(tree.root("t"))
        tree.match(cursor, ids(1, 2, 3), tick)
        tree.lease(cursor, tick)
        tree.release(cursor, -1, tick)
        tree.close(cursor)
    assert len(tree.queue) < 100
    tree.check()


def test_the_queue_stays_small_when_nothing_is_evicted_but_steps_fail() -> None:
    tree = tree_of()
    put(tree, ids(1), tick=0)
    for step in range(2000):
        cursor = put(tree, ids(1), tick=step)
        tree.lease(cursor, step)
        tree.extend(cursor, ids(2, 3), tree.pool.allocate(2), step, step)
        tree.release(cursor, step, step)
        tree.void(step)
        tree.finish(step)
        tree.close(cursor)
    assert len(tree.queue) < 100
    assert tree.used == 1
    tree.check()


class LongestFirst(EvictionOrder):
    """Another policy: the longest leaf goes first."""

    def score(self, node: Node) -> float:
        return -node.size


def test_the_order_is_the_callers() -> None:
    tree = RadixTree(SlotPool(64), LongestFirst())
    short, long = put(tree, ids(1, 1), tick=1), put(tree, ids(2, 2, 2, 2), tick=2)
    tree.evict(4, "x", 3)
    assert (short.length, long.length) == (2, 0)
