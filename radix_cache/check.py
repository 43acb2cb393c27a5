"""The proof that the cache is whole: every slot has exactly one owner, and the tree does not contradict itself.

    free + quarantined + tree nodes + rows' tails = capacity,   each slot once

It reads everything, so it costs O(capacity): tests run it after each operation, production now and then. It computes
each account anew from the nodes and compares; it shares no arithmetic with what it checks.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

from .errors import CacheCorrupt
from .node import Node, Root
from .pool import IntArray

if TYPE_CHECKING:
    from .tree import RadixTree


def check(tree: RadixTree, tails: Iterable[IntArray] = ()) -> None:
    """Prove the accounts of `tree` and its pool.

    Args:
        tree: the tree; its pool must serve no other.
        tails: the slots that rows own (allocated, in no node), int32 arrays.

    Raises:
        CacheCorrupt: with the equation and its numbers, or the place that is wrong.
    """
    nodes: list[Node] = []
    for key, root in tree.roots.items():
        if root.key != key or root.parent is not None or root.size or root.start:
            raise CacheCorrupt(f"the root of {key} is not an empty node at position 0")
        if not (root.children or root.cursors or root.ghosts):
            raise CacheCorrupt(f"the root of {key} is kept, but nothing is on or below it")
        for node in _below(root):
            _check_links(node)
            _check_pending(node, tree.pool.finished)
            _check_cursors(node, root)
            nodes.append(node)
    _check_slots(tree, nodes, list(tails))
    _check_accounts(tree, nodes)


def _below(root: Root) -> list[Node]:
    """All nodes of a root, parents before children."""
    nodes: list[Node] = [root]
    for node in nodes:
        nodes.extend(node.children.values())
    return nodes


def _where(node: Node) -> str:
    return f"node [{node.start}, {node.end}) beginning with {node.tokens[:8].tolist()}"


def _check_links(node: Node) -> None:
    if node.parent is not None and not node.size:
        raise CacheCorrupt("a node without tokens is in the tree", where=_where(node))
    if node.size > node.buffer.shape[1]:
        raise CacheCorrupt(f"{node.size} tokens in a buffer of {node.buffer.shape[1]}", where=_where(node))
    # A dict has one value for a key: if each key is its child's first token, no two children share theirs.
    for token, child in node.children.items():
        if child.parent is not node or child.start != node.end:
            raise CacheCorrupt(f"its child at token {token} hangs elsewhere", where=_where(node))
        if child.first_token != token:
            raise CacheCorrupt(f"its child at token {token} begins with {child.first_token}", where=_where(node))
    for key, ghost in node.ghosts.items():
        at_root = node.parent is None and key[0] == 0
        if ghost.node is not node or ghost.key != key or not (at_root or node.start < key[0] <= node.end):
            raise CacheCorrupt(f"a ghost at {key} hangs at the wrong place", where=_where(node))


def _check_pending(node: Node, finished: int) -> None:
    ends = [node.computed, *(end for end, _ in node.pending)]
    steps = [step for _, step in node.pending]
    if not 0 <= node.computed <= node.size or ends[-1] != node.size or ends != sorted(dict.fromkeys(ends)):
        raise CacheCorrupt(f"computed up to {node.computed} of {node.size}, pending {node.pending}", where=_where(node))
    if steps != sorted(dict.fromkeys(steps)):
        raise CacheCorrupt(f"pending steps out of order: {node.pending}", where=_where(node))
    if steps and steps[0] <= finished:
        raise CacheCorrupt(f"tokens wait for step {steps[0]}, but step {finished} has ended", where=_where(node))
    parent = node.parent
    if parent is not None and parent.pending and (node.computed or steps[0] < parent.pending[-1][1]):
        raise CacheCorrupt("tokens are computed, or will be, before those above them", where=_where(node))


def _check_cursors(node: Node, root: Root) -> None:
    for cursor in node.cursors:
        if cursor.node is not node or cursor.root is not root:
            raise CacheCorrupt("a cursor that rests here points elsewhere", where=_where(node))
        if cursor.length != node.end:
            raise CacheCorrupt(f"a cursor of length {cursor.length} rests here", where=_where(node))
    leases = sum(cursor.leased for cursor in node.cursors)
    below = sum(child.guards > 0 for child in node.children.values())
    if node.guards != leases + bool(node.pending) + below:
        raise CacheCorrupt(
            f"{node.guards} guards, but {leases} leases + {int(bool(node.pending))} pending + {below} children in use",
            where=_where(node),
        )


def _check_slots(tree: RadixTree, nodes: list[Node], tails: list[IntArray]) -> None:
    pool = tree.pool
    empty = [np.empty(0, np.int32)]
    owned = {
        "free": pool.free_slots(),
        "quarantined": pool.quarantined_slots(),
        "tree": np.concatenate([node.slots for node in nodes] or empty),
        "tails": np.concatenate(tails or empty),
    }
    counts = {owner: len(slots) for owner, slots in owned.items()}
    equation = " + ".join(f"{owner} {count}" for owner, count in counts.items())
    total = sum(counts.values())
    everything = np.concatenate(list(owned.values()))
    if total and (everything.min() < 0 or everything.max() >= pool.capacity):
        raise CacheCorrupt(f"a slot outside 0 .. {pool.capacity - 1} is owned by someone: {equation}")
    owners = np.bincount(everything, minlength=pool.capacity)
    if total != pool.capacity or not (owners == 1).all():
        slot = int((owners != 1).argmax())
        holders = [owner for owner, slots in owned.items() for _ in range(int((slots == slot).sum()))]
        raise CacheCorrupt(
            f"{equation} = {total}, capacity {pool.capacity}; {int((owners == 0).sum())} slots have no owner and "
            f"{int((owners > 1).sum())} several",
            where=f"slot {slot} is owned by {' and '.join(holders) or 'no one'}",
        )
    if (pool.free_count, pool.quarantined_count) != (counts["free"], counts["quarantined"]):
        raise CacheCorrupt(f"the pool counts {pool.free_count} free, {pool.quarantined_count} quarantined: {equation}")
    if min(pool.quarantine_steps(), default=pool.finished + 1) <= pool.finished:
        raise CacheCorrupt(f"slots wait for a step, but step {pool.finished} has ended")
    if tree.used != counts["tree"]:
        raise CacheCorrupt(f"the tree counts {tree.used} slots, its nodes have {counts['tree']}")


def _check_accounts(tree: RadixTree, nodes: list[Node]) -> None:
    in_use = dict.fromkeys(node for node in nodes if node.pending or any(cursor.leased for cursor in node.cursors))
    for node in reversed(nodes):  # children before parents: a parent is in use if a child is
        if node in in_use and node.parent is not None:
            in_use[node.parent] = None
    free = [node for node in nodes if node not in in_use]
    evictable = sum(node.size for node in free)
    if tree.evictable != evictable:
        raise CacheCorrupt(f"the tree counts {tree.evictable} evictable slots, its nodes have {evictable}")
    for node in free:
        if not node.children and node.parent is not None and not tree.queue.holds(node):
            raise CacheCorrupt("a leaf that nothing uses is not in the eviction queue", where=_where(node))
    cursors = sum(len(node.cursors) for node in nodes)
    if tree.cursor_count != cursors:
        raise CacheCorrupt(f"the tree counts {tree.cursor_count} cursors, {cursors} rest on its nodes")
