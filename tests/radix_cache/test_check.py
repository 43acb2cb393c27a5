"""`check` must not only pass: each kind of damage is done here by hand, and must be named."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from ramify.radix_cache import CacheCorrupt, Cursor, RadixTree, SlotPool
from ramify.radix_cache.pool import IntArray


def ids(*tokens: int) -> IntArray:
    return np.array(tokens, np.int32)


def whole() -> tuple[RadixTree, Cursor, IntArray]:
    """12 slots: 5 in the tree (2 of them pending), 2 in a tail, 2 quarantined, 3 free; a leased cursor at the end."""
    tree = RadixTree(SlotPool(12))
    cursor = tree.open(tree.root("t"))
    tree.lease(cursor, 0)
    tree.extend(cursor, ids(1, 2, 3), tree.pool.allocate(3), -1, 0)
    tree.fork(cursor)
    tree.extend(cursor, ids(4, 5), tree.pool.allocate(2), 1, 0)
    tail = tree.pool.allocate(2)
    tree.pool.release(tree.pool.allocate(2), 1)
    return tree, cursor, tail


def test_a_whole_cache_passes_and_the_equation_is_stated_when_it_does_not() -> None:
    tree, _, tail = whole()
    tree.check([tail])
    with pytest.raises(
        CacheCorrupt, match=r"free 3 \+ quarantined 2 \+ tree 5 \+ tails 0 = 10, capacity 12; 2 slots"
    ) as e:
        tree.check()
    assert f"slot {tail.min()} is owned by no one" in str(e.value)
    with pytest.raises(CacheCorrupt, match="owned by tails and tails"):
        tree.check([tail, tail])


def second_owner(tree: RadixTree, cursor: Cursor) -> None:
    cursor.node.slots[0] = cursor.node.slots[1]


def slot_out_of_range(tree: RadixTree, cursor: Cursor) -> None:
    cursor.node.slots[0] = 12


def wrong_key(tree: RadixTree, cursor: Cursor) -> None:
    cursor.node.tokens[0] = 9


def wrong_start(tree: RadixTree, cursor: Cursor) -> None:
    cursor.node.start += 1


def lost_cursor(tree: RadixTree, cursor: Cursor) -> None:
    assert cursor.node.parent is not None
    cursor.node = cursor.node.parent


def forgotten_cursor(tree: RadixTree, cursor: Cursor) -> None:
    tree.cursor_count += 1


def lost_lease(tree: RadixTree, cursor: Cursor) -> None:
    cursor.leased = False


def computed_too_far(tree: RadixTree, cursor: Cursor) -> None:
    cursor.node.computed = 3


def computed_above_pending(tree: RadixTree, cursor: Cursor) -> None:
    parent = cursor.node.parent
    assert parent is not None
    parent.computed, parent.pending, parent.guards = 1, [(3, 7)], 2


def steps_out_of_order(tree: RadixTree, cursor: Cursor) -> None:
    cursor.node.pending = [(1, 2), (2, 1)]


def pending_after_its_end(tree: RadixTree, cursor: Cursor) -> None:
    tree.pool.finish(1)


def wrong_evictable(tree: RadixTree, cursor: Cursor) -> None:
    tree._evictable += 1


def wrong_used(tree: RadixTree, cursor: Cursor) -> None:
    tree._used += 1


def unqueued_leaf(tree: RadixTree, cursor: Cursor) -> None:
    tree.release(cursor, -1, 0)
    tree.finish(1)
    cursor.node.entry = None


def wrong_root(tree: RadixTree, cursor: Cursor) -> None:
    tree.roots[cursor.root.key._replace(tenant="u")] = cursor.root


def empty_root(tree: RadixTree, cursor: Cursor) -> None:
    root = tree.root("u")
    tree.roots[root.key] = root


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (second_owner, "1 slots have no owner and 1 several"),
        (slot_out_of_range, r"outside 0 \.\. 11"),
        (wrong_key, "its child at token 4 begins with 9"),
        (wrong_start, "hangs elsewhere"),
        (lost_cursor, "a cursor that rests here points elsewhere"),
        (forgotten_cursor, "the tree counts 3 cursors, 2 rest"),
        (lost_lease, "2 guards, but 0 leases"),
        (computed_too_far, "computed up to 3 of 2"),
        (computed_above_pending, "before those above"),
        (steps_out_of_order, "out of order"),
        (pending_after_its_end, "wait for step 1"),
        (wrong_evictable, "the tree counts 1 evictable slots, its nodes have 0"),
        (wrong_used, "the tree counts 6 slots"),
        (unqueued_leaf, "not in the eviction queue"),
        (wrong_root, "the root of"),
        (empty_root, "nothing is on or below"),
    ],
)
def test_damage_is_named(damage: Callable[[RadixTree, Cursor], None], message: str) -> None:
    tree, cursor, tail = whole()
    damage(tree, cursor)
    with pytest.raises(CacheCorrupt, match=message):
        tree.check([tail])
