"""The parts of the prefix tree: nodes, roots and the cursors of streams. Data and local arithmetic only; what moves
between nodes (leases, eviction, the accounts) is in radix_cache/tree.py, the only writer.

A node holds a run of tokens and their KV slots, one slot a token:

    position   0        start           start + computed      end = start + size
               |--------|----------------------|-------------------|---- children
                 parent   computed               pending: a planned step will write them

Everything below a pending token is pending too, until the same step or a later one.
**A cursor rests at the end of its node, always**: whoever stops inside a node splits it there. A cursor's length is
therefore its node's end, and a truncated, split or grown node never leaves a cursor behind.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np

from .pool import IntArray

if TYPE_CHECKING:
    from .eviction import Entry
    from .ghosts import Ghost

Location = Literal["device"]
"""Where a node's KV lies. One tier today; a host tier adds a name here and a copy to `evict`."""

TOKENS, SLOTS = 0, 1
"""The rows of a node's buffer."""


class Node:
    """A run of tokens in the tree.

    Attributes:
        parent: the node above; None for a root and for a node that has left the tree.
        children: by their first token, which no two share.
        start, size: the first position and the number of tokens.
        computed: tokens [0, computed) have their KV; the rest is pending.
        pending: (end of the run inside the node, step that writes it), both ascending; the last end is `size`.
        cursors: the streams that rest here, in order of arrival (a dict for its order).
        guards: leased cursors here + 1 if tokens are pending + children with guards. Zero: nothing in the subtree
            is in use, all of it may be evicted.
        busy_until: last launched step that may read the KV although no lease tells so.
        tick: last use.
        entry: the node's valid place in the eviction queue.
        ghosts: what was evicted below, by (position, first token).
    """

    __slots__ = (
        "buffer",
        "busy_until",
        "children",
        "computed",
        "cursors",
        "entry",
        "ghosts",
        "guards",
        "location",
        "parent",
        "pending",
        "size",
        "start",
        "tick",
    )

    def __init__(self, parent: Node | None, start: int, buffer: IntArray, size: int) -> None:
        self.parent = parent
        self.children: dict[int, Node] = {}
        self.start = start
        self.size = size
        self.buffer = buffer  # int32 [2, capacity]: tokens above, slots below
        self.computed = size
        self.pending: list[tuple[int, int]] = []
        self.cursors: dict[Cursor, None] = {}
        self.guards = 0
        self.busy_until = -1
        self.tick = -1
        self.location: Location = "device"
        self.entry: Entry | None = None
        self.ghosts: dict[tuple[int, int], Ghost] = {}

    @property
    def end(self) -> int:
        return self.start + self.size

    @property
    def tokens(self) -> IntArray:
        """int32 [size], a view."""
        return self.buffer[TOKENS, : self.size]

    @property
    def slots(self) -> IntArray:
        """int32 [size], a view."""
        return self.buffer[SLOTS, : self.size]

    @property
    def first_token(self) -> int:
        return int(self.buffer[TOKENS, 0])

    @property
    def evictable(self) -> bool:
        """A leaf of the tree that nothing uses; never a root."""
        return not self.children and not self.guards and self.parent is not None

    def append(self, tokens: IntArray, slots: IntArray) -> None:
        """Write behind the end; the buffer doubles, so that n tokens in chunks cost O(n)."""
        end = self.size + len(tokens)
        if end > self.buffer.shape[1]:
            grown = np.empty((2, max(end, 2 * self.buffer.shape[1])), np.int32)
            grown[:, : self.size] = self.buffer[:, : self.size]
            self.buffer = grown
        self.buffer[TOKENS, self.size : end] = tokens
        self.buffer[SLOTS, self.size : end] = slots
        self.size = end

    def trim(self) -> None:
        """Let go of a buffer that is mostly empty; at a quarter, so that growing again stays O(1) a token."""
        if 4 * self.size < self.buffer.shape[1]:
            self.buffer = self.buffer[:, : self.size].copy()

    def schedule(self, ready: int, finished: int) -> bool:
        """Account for the tokens just appended: written by step `ready`. True if the node has become pending.

        Tokens that the caller has computed may still stand below pending ones (a twin of the row's tail is being
        prefilled by another row): they count as pending as long, so that a failed step takes them along.
        """
        if self.pending:
            ready = max(ready, self.pending[-1][1])
        elif self.parent is not None and self.parent.pending:
            ready = max(ready, self.parent.pending[-1][1])
        if ready <= finished:
            self.computed = self.size
            return False
        was_pending = bool(self.pending)
        if was_pending and self.pending[-1][1] == ready:
            self.pending.pop()
        self.pending.append((self.size, ready))
        return not was_pending

    def settle(self, step: int) -> bool:
        """Step `step` has ended: its tokens are computed. True if nothing is pending any more, but was."""
        if not self.pending or self.pending[0][1] > step:
            return False
        while self.pending and self.pending[0][1] <= step:
            self.computed = self.pending.pop(0)[0]
        return not self.pending

    def split_pending(self, k: int) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
        """The pending runs of the tokens [0, k) and [k, size), each counted from its own start."""
        upper: list[tuple[int, int]] = []
        lower: list[tuple[int, int]] = []
        begin = self.computed
        for end, step in self.pending:
            if begin < k:
                upper.append((min(end, k), step))
            if end > k:
                lower.append((end - k, step))
            begin = end
        return upper, lower


class RootKey(NamedTuple):
    """What never shares KV: another tenant, another revision of the model, another adapter."""

    tenant: str
    revision: str
    adapter: str


class Root(Node):
    """The empty node above everything that one (tenant, revision, adapter) has."""

    __slots__ = ("key",)

    def __init__(self, key: RootKey) -> None:
        super().__init__(None, 0, np.empty((2, 0), np.int32), 0)
        self.key = key


class Cursor:
    """A stream's place in the tree. It keeps nothing from eviction unless leased, but follows: when the tree evicts
    under it, it is shorter afterwards, never stale.

    Attributes:
        root: the root it was opened on.
        node: the node at whose end it rests.
        leased: a row of a step in flight reads the KV up to here.
    """

    __slots__ = ("leased", "node", "root")

    def __init__(self, root: Root, node: Node) -> None:
        self.root = root
        self.node = node
        self.leased = False

    @property
    def length(self) -> int:
        """Positions from the root to here whose KV the tree holds, or will hold when the pending steps end."""
        return self.node.end
