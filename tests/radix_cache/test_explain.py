"""Why a prompt missed: the answer names the place and the cause."""

from __future__ import annotations

import numpy as np
from ramify.radix_cache import Cursor, Diverged, Evicted, Hit, NeverSeen, RadixTree, SlotPool
from ramify.radix_cache.pool import IntArray


def ids(*tokens: int) -> IntArray:
    return np.array(tokens, np.int32)


def put(tree: RadixTree, tokens: IntArray, tick: int = 0) -> Cursor:
    cursor = tree.open(tree.root("t"))
    matched = tree.match(cursor, tokens, tick)
    tree.lease(cursor, tick)
    tree.extend(cursor, tokens[matched:], tree.pool.allocate(len(tokens) - matched), -1, tick)
    tree.release(cursor, -1, tick)
    return cursor


def test_all_there_is_a_hit() -> None:
    tree = RadixTree(SlotPool(64))
    put(tree, ids(1, 2, 3))
    assert tree.explain(tree.root("t"), ids(1, 2)) == Hit()
    assert tree.explain(tree.root("t"), ids()) == Hit()


def test_a_difference_is_shown_with_what_is_around_it() -> None:
    tree = RadixTree(SlotPool(64))
    put(tree, ids(*range(30)))
    wanted = ids(*range(12), 99, 98, 97)
    assert tree.explain(tree.root("t"), wanted) == Diverged(12, tuple(range(4, 12)), (99, 98, 97), tuple(range(12, 20)))


def test_at_a_fork_the_most_recent_branch_is_shown() -> None:
    tree = RadixTree(SlotPool(64))
    put(tree, ids(1, 2, 3), tick=1)
    put(tree, ids(1, 2, 4, 4), tick=5)
    put(tree, ids(1, 2, 5), tick=3)
    assert tree.explain(tree.root("t"), ids(1, 2, 6)) == Diverged(2, (1, 2), (6,), (4, 4))


def test_beyond_the_end_was_never_seen_and_nor_was_another_tenant() -> None:
    tree = RadixTree(SlotPool(64))
    put(tree, ids(1, 2, 3))
    assert tree.explain(tree.root("t"), ids(1, 2, 3, 4)) == NeverSeen(3)
    assert tree.explain(tree.root("other"), ids(1, 2, 3)) == NeverSeen(0)


def test_an_eviction_names_when_and_for_whom() -> None:
    tree = RadixTree(SlotPool(64))
    cursor = put(tree, ids(*range(10)))
    tree.evict(4, "run 7", tick=50)
    assert tree.explain(tree.root("t"), ids(*range(10))) == Evicted(6, 50, "run 7")
    tree.evict(4, "run 8", tick=60)
    assert tree.explain(tree.root("t"), ids(*range(10))) == Evicted(2, 60, "run 8")
    tree.close(cursor)
    tree.evict(2, 9, tick=70)
    assert tree.explain(tree.root("t"), ids(*range(10))) == Evicted(0, 70, 9)
    assert tree.explain(tree.root("t"), ids(5)) == NeverSeen(0)


def test_what_comes_back_is_no_longer_missed() -> None:
    tree = RadixTree(SlotPool(64))
    cursor = put(tree, ids(*range(10)))
    tree.evict(4, "run 7", tick=50)
    put(tree, ids(*range(8)))
    assert tree.explain(tree.root("t"), ids(*range(8))) == Hit()
    assert tree.explain(tree.root("t"), ids(*range(10))) == NeverSeen(8)
    assert cursor.length == 6


def test_what_came_back_and_then_failed_was_not_evicted() -> None:
    tree = RadixTree(SlotPool(64))
    cursor = put(tree, ids(*range(10)))
    tree.evict(4, "run 7", tick=50)
    tree.lease(cursor, 51)
    tree.extend(cursor, ids(6, 7), tree.pool.allocate(2), 0, 51)
    tree.release(cursor, 0, 51)
    tree.void(0)
    assert tree.explain(tree.root("t"), ids(*range(10))) == NeverSeen(6)


def test_an_eviction_is_remembered_inside_a_node_that_grew_past_it_and_was_split() -> None:
    tree = RadixTree(SlotPool(64))
    cursor = put(tree, ids(*range(10)))
    tree.evict(4, "run 7", tick=50)
    tree.lease(cursor, 51)
    tree.extend(cursor, ids(77, 78, 79), tree.pool.allocate(3), -1, 51)
    for split_at in (8, 7, 6, 2):
        tree.match(tree.open(tree.root("t")), ids(*range(6), 77, 78, 79)[:split_at], 52)
        tree.check()
        assert tree.explain(tree.root("t"), ids(*range(10))) == Evicted(6, 50, "run 7")


def test_only_so_many_evictions_are_remembered_and_roots_go_with_them() -> None:
    tree = RadixTree(SlotPool(64), ghost_limit=3)
    for n in range(6):
        cursor = tree.open(tree.root(f"tenant {n}"))
        tree.lease(cursor, n)
        tree.extend(cursor, ids(1, 2), tree.pool.allocate(2), -1, n)
        tree.release(cursor, -1, n)
        tree.close(cursor)
        tree.evict(2, "run", n)
    causes = [tree.explain(tree.root(f"tenant {n}"), ids(1, 2)) for n in range(6)]
    assert causes == [NeverSeen(0)] * 3 + [Evicted(0, n, "run") for n in (3, 4, 5)]
    assert len(tree.roots) == 3
    tree.check()
