"""The prefix tree of KV slots: which positions are computed or being computed, where, and who may lose them.

One position is one slot; tokens are compared, never hashed. Streams hold *cursors*, which keep nothing alive; a row of
a step in flight holds a *lease* on its cursor, which does. Tokens enter before they are computed (*pending*), so that
a second row with the same prompt shares them in the very step that writes them: each layer writes KV before it
attends, and steps run in order. If the owner of pending tokens is aborted they are computed anyway, and whoever
matched them goes on from there.

What leaves the tree goes through the pool's quarantine, because a step already launched may still read it:

    lease -> extend -> release(busy_until=N) -> evict ---- quarantined until N has ended ----> free

Radix trees for KV reuse: Zheng et al., "SGLang: Efficient Execution of Structured Language Model Programs", section 3.
The tree is deterministic: it has no clock (the caller passes `tick`), no set and no hash of its own.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from .check import check
from .errors import CacheMisuse
from .eviction import EvictionOrder, EvictionQueue
from .ghosts import GhostList
from .miss import Miss, common_prefix, explain
from .node import SLOTS, TOKENS, Cursor, Node, Root, RootKey
from .pool import IntArray, SlotPool


@dataclass(slots=True)
class CacheStatistics:
    """Counters since the tree was made; tokens unless the name says otherwise."""

    matches: int = 0
    """Calls of `match`."""
    asked: int = 0
    """Tokens given to `match`."""
    hit: int = 0
    """Tokens that `match` found."""
    inserted: int = 0
    twins: int = 0
    """Tokens given to `extend` that the tree already had."""
    evicted: int = 0
    evicted_dead: int = 0
    """Those of `evicted` that no stream was on."""
    voided: int = 0
    splits: int = 0
    """Nodes split."""


class RadixTree:
    """The tree over one pool. All roots share its slots, and nothing else.

    Args:
        pool: where evicted slots go; `pool.finished` is the clock of the pending tokens.
        order: which leaf is evicted first.
        ghost_limit: evictions remembered for `explain`.
    """

    def __init__(self, pool: SlotPool, order: EvictionOrder | None = None, ghost_limit: int = 1024) -> None:
        self.pool = pool
        self.statistics = CacheStatistics()
        self.roots: dict[RootKey, Root] = {}
        self.queue = EvictionQueue(order or EvictionOrder())
        self.cursor_count = 0
        self._ghosts = GhostList(ghost_limit)
        self._pending: dict[int, list[Node]] = {}  # by step; a node may stand here after its tokens have gone
        self._used = 0
        self._evictable = 0

    @property
    def used(self) -> int:
        """Slots owned by tree nodes."""
        return self._used

    @property
    def evictable(self) -> int:
        """Slots that `evict` could release now: in no subtree with a lease or a pending token."""
        return self._evictable

    def root(self, tenant: str, revision: str = "", adapter: str = "") -> Root:
        """The root of what shares KV. It is kept by the tree only while something is on or below it."""
        key = RootKey(tenant, revision, adapter)
        return self.roots.get(key) or Root(key)

    def open(self, root: Root) -> Cursor:
        """A new stream at length 0."""
        root = self.roots.setdefault(root.key, root)
        return self._attach(root, root)

    def fork(self, cursor: Cursor) -> Cursor:
        """A second stream at the same place, not leased. O(1)."""
        self._require_open(cursor)
        return self._attach(cursor.root, cursor.node)

    def close(self, cursor: Cursor) -> None:
        """The stream is dead. What no other stream is on goes first when slots are needed.

        Raises:
            CacheMisuse: the cursor is leased, or closed already.
        """
        self._require_open(cursor)
        if cursor.leased:
            raise CacheMisuse("a leased cursor cannot be closed", hint="release it first")
        node = cursor.node
        del node.cursors[cursor]
        self.cursor_count -= 1
        self.queue.offer(node)
        self._drop_if_empty(node)

    def match(self, cursor: Cursor, ids: IntArray, tick: int) -> int:
        """Move the cursor over `ids`, the tokens that follow its place, as far as the tree holds them.

        Args:
            cursor: leased or not; a lease moves along.
            ids: int32 [n].
            tick: now, for the order of eviction.

        Returns:
            How many tokens matched, computed or pending.
        """
        self._require_open(cursor)
        matched = self._descend(cursor, np.asarray(ids, np.int32), tick)
        self.statistics.matches += 1
        self.statistics.asked += len(ids)
        self.statistics.hit += matched
        return matched

    def rewind(self, cursor: Cursor, length: int, busy_until: int = -1) -> None:
        """Move the cursor up to position `length`, and its lease with it; what is left behind stays in the tree.

        Args:
            cursor: leased or not.
            length: 0 .. the cursor's length.
            busy_until: last launched step in which the cursor's own row may read what it leaves. The default is right
                where no step of that row had it yet, or where `release` has been told already.

        Raises:
            CacheMisuse: `length` is negative or beyond the cursor's place.
        """
        self._require_open(cursor)
        if not 0 <= length <= cursor.length:
            raise CacheMisuse(f"a cursor at {cursor.length} cannot be rewound to {length}")
        node = cursor.node
        if length < node.end:
            node.busy_until = max(node.busy_until, busy_until)
        while node.parent is not None and node.start >= length:
            node = node.parent
        if length < node.end:
            node = self._split(node, length - node.start)
        self._move(cursor, node)

    def slots(self, cursor: Cursor, start: int = 0) -> IntArray:
        """The slots of the positions [start, length), int32, a copy."""
        return self._gather(cursor, start, SLOTS)

    def tokens(self, cursor: Cursor, start: int = 0) -> IntArray:
        """The tokens at the positions [start, length), int32, a copy."""
        return self._gather(cursor, start, TOKENS)

    def explain(self, root: Root, ids: IntArray) -> Miss:
        """Why `ids` (int32 [n], from the root on) does not match further. Looks only; changes nothing."""
        return explain(self.roots.get(root.key, root), np.asarray(ids, np.int32))

    def lease(self, cursor: Cursor, tick: int) -> None:
        """A row is going to read the KV up to the cursor: neither it nor what is above can be evicted."""
        self._require_open(cursor)
        if cursor.leased:
            raise CacheMisuse("the cursor is leased already", hint="a stream has one row at a time; fork it")
        cursor.leased = True
        cursor.node.tick = max(cursor.node.tick, tick)
        self._guard(cursor.node)

    def release(self, cursor: Cursor, busy_until: int, tick: int) -> None:
        """The row is over. Slots evicted from here on wait until step `busy_until` has ended.

        Args:
            cursor: a leased cursor.
            busy_until: last launched step that may read the KV.
            tick: now, for the order of eviction.
        """
        self._require_leased(cursor)
        node = cursor.node
        cursor.leased = False
        node.busy_until = max(node.busy_until, busy_until)
        node.tick = max(node.tick, tick)
        self._unguard(node)

    def extend(self, cursor: Cursor, ids: IntArray, slots: IntArray, ready: int, tick: int) -> int:
        """Add tokens below a leased cursor, and move it to their end.

            ids     |------- twins -------|---------- new ----------|
            slots   the caller keeps these|  the tree owns these now

        Args:
            cursor: leased.
            ids: int32 [n], the tokens that follow its place.
            slots: int32 [n], their slots, owned by the caller until now.
            ready: the step that writes their KV; pending until it finishes (at once if it has).
            tick: now, for the order of eviction.

        Returns:
            The number of twins: leading tokens that the tree held already. The caller reads `slots(cursor)` from
            there on, and releases its own `slots[:twins]`.
        """
        self._require_leased(cursor)
        ids = np.asarray(ids, np.int32)
        slots = np.asarray(slots, np.int32)
        if len(ids) != len(slots):
            raise CacheMisuse(f"{len(ids)} tokens with {len(slots)} slots")
        twins = self._descend(cursor, ids, tick)
        self.statistics.twins += twins
        if twins < len(ids):
            self._insert(cursor, ids[twins:], slots[twins:], ready, tick)
        return twins

    def finish(self, step: int) -> None:
        """Step `step` has ended: what it was writing is computed, and the pool frees what waited for it."""
        if step > self.pool.finished:
            self.pool.finish(step)
        for ended in [s for s in self._pending if s <= step]:
            for node in self._pending.pop(ended):
                if node.settle(step):
                    self._unguard(node)

    def void(self, step: int) -> int:
        """Step `step` failed, and none after it ran: the tokens that they were to write leave the tree.

        Cursors on them are cut back. Their slots wait until the last step that had pending tokens has ended too: call
        `finish` with the last launched step when the device is idle.

        Returns:
            The number of tokens removed.

        Raises:
            CacheMisuse: a cursor on them is leased; nothing is changed then.
        """
        failed = [s for s in self._pending if s >= step]
        doomed: dict[Node, None] = {}
        for s in failed:
            doomed.update((node, None) for node in self._pending[s] if node.pending and node.pending[-1][1] >= step)
        for node in doomed:
            if any(cursor.leased for cursor in node.cursors):
                raise CacheMisuse(f"step {step} is void, but a row on its tokens is leased", hint="release it first")
        last = max(failed, default=step)
        for s in failed:
            del self._pending[s]
        removed = 0
        # Below a voided token everything is voided: from the bottom up each node is a leaf when its turn comes.
        for node in sorted(doomed, key=lambda node: -node.start):
            while node.pending and node.pending[-1][1] >= step:
                node.pending.pop()
            keep = node.pending[-1][0] if node.pending else node.computed
            removed += node.size - keep
            if not node.pending:
                self._unguard(node)
            self._cut(node, keep, max(node.busy_until, last))
        self.statistics.voided += removed
        return removed

    def evict(self, n: int, for_run: int | str, tick: int) -> int:
        """Release `n` slots of leaves that nothing uses, dead ones first, then by least recent use.

        The last leaf loses only its tail. When a leaf has gone its parent becomes one.

        Args:
            n: slots wanted.
            for_run: who needs them, for `explain`.
            tick: now, for `explain`.

        Returns:
            The slots released: `n`, or `evictable` if that is less. Those that a launched step may still read
            are quarantined until it ends.
        """
        released = 0
        while released < n:
            leaf = self.queue.pop()
            if leaf is None:
                break
            taken = min(n - released, leaf.size)
            self.statistics.evicted_dead += 0 if leaf.cursors else taken
            keep = leaf.size - taken
            self._remember(leaf, keep, tick, for_run)
            self._cut(leaf, keep, leaf.busy_until)
            released += taken
        self.statistics.evicted += released
        return released

    def check(self, tails: Iterable[IntArray] = ()) -> None:
        """Prove that free + quarantined + tree + tails = capacity, each slot once, and that the tree is consistent.

        Args:
            tails: the slots that rows own (allocated, in no node), int32 arrays.

        Raises:
            CacheCorrupt: the equation with its numbers, or the place that is wrong.
        """
        check(self, tails)

    def _require_open(self, cursor: Cursor) -> None:
        if cursor not in cursor.node.cursors:
            raise CacheMisuse("the cursor is closed")

    def _require_leased(self, cursor: Cursor) -> None:
        self._require_open(cursor)
        if not cursor.leased:
            raise CacheMisuse("the cursor is not leased", hint="only a row in flight extends or releases")

    def _attach(self, root: Root, node: Node) -> Cursor:
        cursor = Cursor(root, node)
        node.cursors[cursor] = None
        self.cursor_count += 1
        return cursor

    def _descend(self, cursor: Cursor, ids: IntArray, tick: int) -> int:
        """Move the cursor down over `ids`; split where they stop inside a node. The number of tokens passed."""
        node = cursor.node
        passed = 0
        wanted = b""
        while passed < len(ids):
            child = node.children.get(ids.item(passed))
            if child is None:
                break
            wanted = wanted or ids.tobytes()
            # Most nodes on the way match whole: one comparison of bytes is a third of the search for a difference.
            if wanted.startswith(child.tokens.tobytes(), passed * ids.itemsize):
                common = child.size
            else:
                common = common_prefix(child.tokens, ids[passed:])
            node = child if common == child.size else self._split(child, common)
            node.tick = max(node.tick, tick)
            passed += common
            if node is not child:
                break
        self._move(cursor, node)
        return passed

    def _move(self, cursor: Cursor, node: Node) -> None:
        """To a node on the same path, above or below."""
        left = cursor.node
        if node is left:
            return
        if cursor.leased:
            self._guard(node)
        del left.cursors[cursor]
        node.cursors[cursor] = None
        cursor.node = node
        if cursor.leased:
            self._unguard(left)
        self.queue.offer(left)

    def _gather(self, cursor: Cursor, start: int, row: int) -> IntArray:
        """The tokens or the slots of the positions [start, length), int32."""
        self._require_open(cursor)
        if not 0 <= start <= cursor.length:
            raise CacheMisuse(f"positions from {start} on of a cursor of length {cursor.length}")
        found = np.empty(cursor.length - start, np.int32)
        node: Node | None = cursor.node
        while node is not None and node.end > start:
            skip = max(start - node.start, 0)
            found[node.start + skip - start : node.end - start] = node.buffer[row, skip : node.size]
            node = node.parent
        return found

    def _split(self, node: Node, k: int) -> Node:
        """Put a new node with the first `k` tokens of `node` above it; `node` keeps the rest, and all its cursors.

        parent --- [0 .......... k ...... size) node            before
        parent --- [0 .. k) upper --- [0 .. size - k) node      after
        """
        parent = node.parent
        assert parent is not None  # a root is empty: nobody stops inside it
        upper = Node(parent, node.start, node.buffer[:, :k].copy(), k)
        parent.children[node.first_token] = upper
        node.parent = upper
        node.start += k
        node.buffer = node.buffer[:, k : node.size].copy()
        node.size -= k
        upper.children[node.first_token] = node
        upper.tick = node.tick  # `busy_until` comes up when the lower part goes, and until then nothing is taken above

        upper.pending, node.pending = node.split_pending(k)
        upper.computed, node.computed = min(node.computed, k), max(node.computed - k, 0)
        for _, step in upper.pending:
            self._pending[step].append(upper)
        upper.guards = (node.guards > 0) + bool(upper.pending)
        if node.ghosts:
            self._ghosts.split(upper, node)
        self.statistics.splits += 1
        return upper

    def _insert(self, cursor: Cursor, ids: IntArray, slots: IntArray, ready: int, tick: int) -> None:
        """Tokens that the tree lacks, behind the leased cursor: its node grows, or gets a child."""
        node = cursor.node
        if node.ghosts:
            self._ghosts.drop(node, (node.end, ids.item(0)))
        if node.parent is not None and not node.children and len(node.cursors) == 1:
            node.append(ids, slots)
        else:
            child = Node(node, node.end, np.stack((ids, slots)), len(ids))
            child.computed = 0
            node.children[child.first_token] = child
            self._evictable += len(ids)  # until it is guarded, in a moment
            self._move(cursor, child)
            node = child
        node.tick = max(node.tick, tick)
        self._used += len(ids)
        self.statistics.inserted += len(ids)
        if node.schedule(ready, self.pool.finished):
            self._guard(node)
        if node.pending:
            waiting = self._pending.setdefault(node.pending[-1][1], [])
            if not waiting or waiting[-1] is not node:
                waiting.append(node)

    def _cut(self, node: Node, keep: int, after: int) -> None:
        """Take the tokens [keep, size) from a leaf. A leaf without tokens goes; its cursors rest on its parent then."""
        gone = node.size - keep
        self.pool.release(node.slots[keep:], after)
        self._used -= gone
        if not node.guards:
            self._evictable -= gone
        first = node.first_token
        node.size = keep
        node.computed = min(node.computed, keep)
        if node.ghosts:
            self._ghosts.cut(node)
        if keep:
            node.trim()
            self.queue.offer(node)
            return
        parent = node.parent
        assert parent is not None  # a root is empty: nothing is cut from it
        node.parent = None
        del parent.children[first]
        for cursor in node.cursors:
            cursor.node = parent
        parent.cursors.update(node.cursors)
        node.cursors.clear()
        self.queue.forget(node)
        parent.busy_until = max(parent.busy_until, node.busy_until)
        parent.tick = max(parent.tick, node.tick)
        self.queue.offer(parent)
        self._drop_if_empty(parent)

    def _remember(self, leaf: Node, keep: int, tick: int, for_run: int | str) -> None:
        """Leave a ghost where the tokens [keep, size) of a leaf are about to be evicted."""
        above = leaf if keep else leaf.parent
        assert above is not None  # a root is empty: nothing is evicted from it
        forgotten = self._ghosts.add(above, leaf.start + keep, leaf.tokens.item(keep), tick, for_run)
        if forgotten is not None:
            self._drop_if_empty(forgotten)

    def _drop_if_empty(self, node: Node) -> None:
        if isinstance(node, Root) and not (node.children or node.cursors or node.ghosts):
            self.roots.pop(node.key, None)

    def _guard(self, node: Node) -> None:
        """One more use. The first use of a subtree takes it, and each unused node above, from `evictable`."""
        up: Node | None = node
        while up is not None:
            up.guards += 1
            if up.guards > 1:
                return
            self._evictable -= up.size
            up = up.parent

    def _unguard(self, node: Node) -> None:
        """One use less; the mirror of `_guard`."""
        up: Node | None = node
        while up is not None:
            up.guards -= 1
            if up.guards:
                return
            self._evictable += up.size
            self.queue.offer(up)
            up = up.parent
