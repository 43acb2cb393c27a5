"""Which leaf goes first. `EvictionOrder` is the policy, one function; `EvictionQueue` is the lazy heap that asks it.

The heap never scans the tree. A node is offered when it becomes an evictable leaf or when it has become more urgent;
one that has become less urgent (used again) keeps its old entry and is put back when that entry comes up. So a use
costs nothing, and an eviction O(log n).
"""

from __future__ import annotations

from heapq import heapify, heappop, heappush

from .node import Node

DEAD, PARKED = 0, 1

Entry = tuple[int, float, int, Node]
"""(phase, score, serial, node). The serial is unique: ties are settled by age, and nodes are never compared."""


class EvictionOrder:
    """Dead leaves first, which no stream can come back to; then the least recently used.

    The score is the place for (chance of reuse x cost to recompute) / (bytes x expected gap) once the scheduler can
    estimate them. A score may rise at any time; when it falls, the tree must offer the node again.
    """

    __slots__ = ()

    def phase(self, node: Node) -> int:
        return PARKED if node.cursors else DEAD

    def score(self, node: Node) -> float:
        """Lower goes first."""
        return node.tick


class EvictionQueue:
    """Evictable leaves, most urgent first; a node has at most one valid entry (`node.entry`)."""

    __slots__ = ("_heap", "_order", "_serial", "_valid")

    def __init__(self, order: EvictionOrder) -> None:
        self._order = order
        self._heap: list[Entry] = []
        self._valid = 0
        self._serial = 0

    def __len__(self) -> int:
        """Entries held, valid or not: bounded by twice the nodes of the tree and a constant."""
        return len(self._heap)

    def offer(self, node: Node) -> None:
        """`node` may have become an evictable leaf, or a more urgent one."""
        if not node.evictable:
            return
        phase, score = self._order.phase(node), self._order.score(node)
        entry = node.entry
        if entry is None:
            self._valid += 1
        elif (entry[0], entry[1]) <= (phase, score):
            return
        self._push(node, phase, score)
        if len(self._heap) > 2 * self._valid + 64:
            self._heap = [entry for entry in self._heap if entry[3].entry is entry]
            heapify(self._heap)

    def holds(self, node: Node) -> bool:
        """Whether the node will come up no later than its turn; for `check`."""
        entry = node.entry
        return entry is not None and (entry[0], entry[1]) <= (self._order.phase(node), self._order.score(node))

    def forget(self, node: Node) -> None:
        """`node` has left the tree."""
        if node.entry is not None:
            node.entry = None
            self._valid -= 1

    def pop(self) -> Node | None:
        """The leaf that should go first, or None if nothing can. The caller evicts it or offers it again."""
        while self._heap:
            entry = heappop(self._heap)
            phase, score, _, node = entry
            if node.entry is not entry:
                continue  # a more urgent entry took its place
            node.entry = None
            self._valid -= 1
            if not node.evictable:
                continue  # in use, or no leaf: it is offered when that ends
            now = self._order.phase(node), self._order.score(node)
            if now > (phase, score):
                self._valid += 1
                self._push(node, *now)
                continue
            return node
        return None

    def _push(self, node: Node, phase: int, score: float) -> None:
        self._serial += 1
        node.entry = (phase, score, self._serial, node)
        heappush(self._heap, node.entry)
