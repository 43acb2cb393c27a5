"""Why a prompt does not match further: the answers of `RadixTree.explain`, and the walk that finds them.

The walk only looks: it splits nothing and touches no use. Token ids are returned as they are; whoever has the
tokenizer turns them into the text around the first difference.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .node import Node, Root
from .pool import IntArray

AROUND = 8
"""Tokens shown on each side of the first difference."""


@dataclass(frozen=True, slots=True)
class Hit:
    """All tokens are in the tree, computed."""


@dataclass(frozen=True, slots=True)
class InFlight:
    """All tokens are in the tree; those from `position` on are being computed, the last by step `ready`."""

    position: int
    ready: int


@dataclass(frozen=True, slots=True)
class Diverged:
    """At `position` the tree goes on with other tokens: the most recently used ones are shown.

    `before` are the tokens up to there, the same on both sides; `wanted` and `present` begin at `position`.
    """

    position: int
    before: tuple[int, ...]
    wanted: tuple[int, ...]
    present: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Evicted:
    """The token at `position` was in the tree, and was evicted at `tick` to make room for `for_run`."""

    position: int
    tick: int
    for_run: int | str


@dataclass(frozen=True, slots=True)
class NeverSeen:
    """The tree ends at `position`: what follows was never computed, or so long ago that the eviction is forgotten."""

    position: int


Miss = Hit | InFlight | Diverged | Evicted | NeverSeen


def common_prefix(a: IntArray, b: IntArray) -> int:
    """How many leading tokens `a` and `b` share; both int32, at least one token each."""
    n = min(len(a), len(b))
    differs = a[:n] != b[:n]
    first = int(differs.argmax())
    return first if differs[first] else n


def explain(root: Root, ids: IntArray) -> Miss:
    """Where `ids` (int32 [n], from the root on) stops matching, and why."""
    node: Node = root
    i = 0
    while i < len(ids):
        child = node.children.get(int(ids[i]))
        if child is None:
            return _stopped(node, i, _most_recent(node), ids)
        matched = common_prefix(child.tokens, ids[i:])
        i += matched
        if matched < child.size and i < len(ids):
            return _stopped(child, i, child.tokens[matched : matched + AROUND], ids)
        node = child
    return _in_flight(node, len(ids)) if len(ids) else Hit()


def _stopped(node: Node, i: int, present: IntArray, ids: IntArray) -> Miss:
    """`ids` left the tree behind `i` tokens, inside or at the end of `node`, where `present` follows."""
    ghost = node.ghosts.get((i, int(ids[i])))
    if ghost is not None:
        return Evicted(i, ghost.tick, ghost.for_run)
    if not len(present):
        return NeverSeen(i)
    before, wanted = ids[max(0, i - AROUND) : i], ids[i : i + AROUND]
    return Diverged(i, tuple(before.tolist()), tuple(wanted.tolist()), tuple(present.tolist()))


def _most_recent(node: Node) -> IntArray:
    """The first tokens of the most recently used child; empty for a leaf."""
    if not node.children:
        return np.empty(0, np.int32)
    return max(node.children.values(), key=lambda child: child.tick).tokens[:AROUND]


def _in_flight(node: Node, length: int) -> Miss:
    """`Hit`, or the pending part of the first `length` positions, which end inside `node`."""
    begin = node.start + node.computed
    step = next((step for end, step in node.pending if node.start + end >= length), None)
    if begin >= length or step is None:
        return Hit()
    while node.parent is not None and not node.computed and node.parent.pending:
        node = node.parent
        begin = node.start + node.computed
    return InFlight(begin, step)
