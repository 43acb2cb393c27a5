"""The tree by example: what streams share, how nodes are cut, who may do what."""

from __future__ import annotations

import numpy as np
import pytest
from ramify.radix_cache import CacheMisuse, Cursor, RadixTree, SlotPool
from ramify.radix_cache.pool import IntArray


def ids(*tokens: int) -> IntArray:
    return np.array(tokens, np.int32)


def tree_of(capacity: int = 256) -> RadixTree:
    return RadixTree(SlotPool(capacity))


def put(tree: RadixTree, tokens: IntArray, tenant: str = "t", tick: int = 0, ready: int = -1) -> Cursor:
    """A parked stream with these tokens."""
    cursor = tree.open(tree.root(tenant))
    matched = tree.match(cursor, tokens, tick)
    tree.lease(cursor, tick)
    tree.extend(cursor, tokens[matched:], tree.pool.allocate(len(tokens) - matched), ready, tick)
    tree.release(cursor, ready, tick)
    return cursor


def test_a_second_stream_gets_the_slots_of_the_first() -> None:
    tree = tree_of()
    first = put(tree, ids(1, 2, 3, 4))
    second = tree.open(tree.root("t"))
    assert tree.match(second, ids(1, 2, 3, 9), 1) == 3
    assert tree.slots(second).tolist() == tree.slots(first).tolist()[:3]
    assert tree.tokens(second, 1).tolist() == [2, 3]
    assert tree.used == 4
    tree.check()


def test_a_match_goes_on_from_where_the_cursor_is() -> None:
    tree = tree_of()
    put(tree, ids(*range(20)))
    cursor = tree.open(tree.root("t"))
    assert tree.match(cursor, ids(0, 1, 2), 1) == 3
    assert tree.match(cursor, ids(3, 4, 99), 2) == 2
    assert tree.match(cursor, ids(), 3) == 0
    assert cursor.length == 5


@pytest.mark.parametrize("other", [("u", "", ""), ("t", "r2", ""), ("t", "", "lora")])
def test_roots_share_nothing(other: tuple[str, str, str]) -> None:
    tree = tree_of()
    put(tree, ids(1, 2, 3))
    cursor = tree.open(tree.root(*other))
    assert tree.match(cursor, ids(1, 2, 3), 1) == 0


def test_a_root_is_kept_only_while_something_is_on_or_below_it() -> None:
    tree = tree_of()
    for n in range(100):
        tree.explain(tree.root(f"tenant {n}"), ids(1))
        tree.close(tree.open(tree.root(f"tenant {n}")))
    assert not tree.roots
    handle = tree.root("t")
    stale = tree.root("t")
    tree.close(tree.open(handle))
    first, second = tree.open(handle), tree.open(stale)
    assert first.root is second.root
    tree.check()


def test_a_fork_shares_all_and_grows_apart() -> None:
    tree = tree_of()
    trunk = put(tree, ids(1, 2))
    left, right = tree.fork(trunk), tree.fork(trunk)
    for cursor, token in ((left, 7), (right, 8)):
        tree.lease(cursor, 1)
        assert tree.extend(cursor, ids(token), tree.pool.allocate(1), -1, 1) == 0
        tree.release(cursor, -1, 1)
    assert tree.tokens(left).tolist() == [1, 2, 7]
    assert tree.tokens(right).tolist() == [1, 2, 8]
    assert tree.slots(left).tolist()[:2] == tree.slots(right).tolist()[:2] == tree.slots(trunk).tolist()
    tree.check()


def test_twins_stay_with_the_caller_who_is_rewired_to_the_tree() -> None:
    tree = tree_of()
    theirs = put(tree, ids(1, 2, 3))
    mine = tree.open(tree.root("t"))
    tree.lease(mine, 1)
    own = tree.pool.allocate(5)
    twins = tree.extend(mine, ids(1, 2, 8, 9, 9), own, -1, 1)
    assert twins == 2
    assert tree.slots(mine).tolist() == [*tree.slots(theirs).tolist()[:2], *own[2:].tolist()]
    tree.check([own[:twins]])


def test_a_long_prompt_in_chunks_stays_one_node() -> None:
    tree = tree_of(4096)
    cursor = tree.open(tree.root("t"))
    tree.lease(cursor, 0)
    copies, buffer = 0, None
    for begin in range(0, 4096, 16):
        tree.extend(cursor, np.arange(begin, begin + 16, dtype=np.int32), tree.pool.allocate(16), 0, 0)
        copies += cursor.node.buffer is not buffer
        buffer = cursor.node.buffer
    assert len(cursor.root.children) == 1
    assert cursor.node.size == 4096
    assert copies < 12  # doubling, not one copy a chunk
    assert tree.slots(cursor).tolist() == list(range(4096))
    tree.check()


def test_truncation_lets_go_of_the_buffer() -> None:
    tree = tree_of(4096)
    cursor = put(tree, np.arange(4096, dtype=np.int32))
    tree.evict(4090, "x", 1)
    assert cursor.length == 6
    assert cursor.node.buffer.shape[1] < 64


def test_a_cursor_is_shorter_but_never_stale() -> None:
    tree = tree_of()
    cursor = put(tree, ids(1, 2, 3, 4, 5))
    witness = tree.open(tree.root("t"))
    assert tree.match(witness, ids(1, 2, 3, 7), 9) == 3  # splits the node of `cursor`
    assert (cursor.length, witness.length) == (5, 3)
    assert tree.evict(1, "x", 9) == 1
    assert tree.tokens(cursor).tolist() == [1, 2, 3, 4]
    assert tree.evict(3, "x", 9) == 3
    assert tree.tokens(cursor).tolist() == tree.tokens(witness).tolist() == [1]
    assert tree.evict(1, "x", 9) == 1
    assert cursor.length == witness.length == 0
    assert tree.match(cursor, ids(1), 9) == 0
    tree.check()


def test_a_rewound_cursor_leaves_its_tokens_in_the_tree() -> None:
    tree = tree_of()
    cursor = put(tree, ids(*range(10)))
    slots = tree.slots(cursor)
    tree.lease(cursor, 1)
    tree.rewind(cursor, 4)
    assert tree.slots(cursor).tolist() == slots[:4].tolist()
    assert tree.evictable == 6
    assert tree.match(cursor, ids(4, 5), 2) == 2
    tree.rewind(cursor, 0)
    assert tree.evictable == 10
    tree.check()


def test_what_a_rewound_row_may_still_read_waits_for_its_step() -> None:
    tree = tree_of()
    cursor = put(tree, ids(*range(10)))
    tree.lease(cursor, 1)
    tree.rewind(cursor, 4, busy_until=3)
    assert tree.evict(6, "x", 2) == 6
    assert tree.pool.quarantined_count == 6
    tree.check()


def test_the_slots_given_back_are_copies() -> None:
    tree = tree_of()
    cursor = put(tree, ids(1, 2, 3))
    tree.slots(cursor)[:] = 77
    tree.tokens(cursor)[:] = 77
    assert tree.tokens(cursor).tolist() == [1, 2, 3]
    tree.check()


def test_misuse_is_refused_and_changes_nothing() -> None:
    tree = tree_of()
    cursor = put(tree, ids(1, 2, 3))
    one = ids(0)
    with pytest.raises(CacheMisuse, match="not leased"):
        tree.extend(cursor, one, one, 0, 0)
    with pytest.raises(CacheMisuse, match="not leased"):
        tree.release(cursor, 0, 0)
    with pytest.raises(CacheMisuse, match="from 4 on"):
        tree.slots(cursor, 4)
    with pytest.raises(CacheMisuse, match="rewound to 4"):
        tree.rewind(cursor, 4)
    tree.lease(cursor, 0)
    with pytest.raises(CacheMisuse, match="leased already"):
        tree.lease(cursor, 0)
    with pytest.raises(CacheMisuse, match="cannot be closed"):
        tree.close(cursor)
    with pytest.raises(CacheMisuse, match="2 tokens with 1 slots"):
        tree.extend(cursor, ids(4, 5), one, 0, 0)
    tree.release(cursor, 0, 0)
    tree.close(cursor)
    for call in (tree.close, tree.fork, tree.slots, lambda c: tree.match(c, one, 0), lambda c: tree.lease(c, 0)):
        with pytest.raises(CacheMisuse, match="closed"):
            call(cursor)
    assert tree.used == 3
    tree.check()


def test_statistics_count_what_happened() -> None:
    tree = tree_of()
    put(tree, ids(1, 2, 3, 4), tick=0)
    live = put(tree, ids(1, 2, 9), tick=1)
    dead = put(tree, ids(5, 5, 5), tick=2)
    tree.close(dead)
    tree.evict(4, "x", 3)
    seen = tree.statistics
    assert (seen.matches, seen.asked, seen.hit) == (3, 10, 2)
    assert (seen.inserted, seen.splits, seen.twins) == (8, 1, 0)
    assert (seen.evicted, seen.evicted_dead) == (4, 3)
    assert live.length == 3
