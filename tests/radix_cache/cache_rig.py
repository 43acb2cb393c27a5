"""Drives the real tree and pool and the oracle side by side, through what a scheduler does with them.

Each operation asserts at once what it can cheaply (lengths, twins, counts, who was evicted); `compare` asserts
everything. The state machine and the fuzz driver only choose operations. Streams are addressed by a number modulo how
many there are, so that any sequence of numbers is a valid test.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from cache_oracle import Oracle, Path, Place
from ramify.radix_cache import (
    CacheMisuse,
    Cursor,
    Diverged,
    Evicted,
    Hit,
    InFlight,
    NeverSeen,
    RadixTree,
    SlotPool,
)

TENANTS = ("red", "green", "blue")


class Stream:
    """A cursor, where the oracle says that it is, and the tail of its row: tokens with KV that are in no node."""

    def __init__(self, cursor: Cursor, place: Place) -> None:
        self.cursor = cursor
        self.place = place
        self.tail: list[int] = []
        self.tail_slots: list[int] = []


class Rig:
    def __init__(self, capacity: int = 64, max_streams: int = 12) -> None:
        self.pool = SlotPool(capacity)
        self.tree = RadixTree(self.pool)
        self.oracle = Oracle(capacity)
        self.streams: list[Stream] = []
        self.max_streams = max_streams
        self.launched = -1
        self.tick = 0

    def pick(self, which: int) -> Stream | None:
        return self.streams[which % len(self.streams)] if self.streams else None

    def now(self) -> int:
        """A new tick: no two operations share one, so the order of eviction has no ties."""
        self.tick += 1
        return self.tick

    # streams

    def open(self, tenant: int) -> None:
        if len(self.streams) < self.max_streams:
            name = TENANTS[tenant % len(TENANTS)]
            self._add(self.tree.open(self.tree.root(name)), (name,))

    def fork(self, which: int) -> None:
        stream = self.pick(which)
        if stream is not None and len(self.streams) < self.max_streams:
            self._add(self.tree.fork(stream.cursor), stream.place.path)

    def match(self, which: int, ids: list[int]) -> None:
        stream = self.pick(which)
        if stream is None or stream.tail:
            return
        place, tick = stream.place, self.now()
        before = len(place.path)
        matched = self.tree.match(stream.cursor, np.array(ids, np.int32), tick)
        place.path = self.oracle.match(place.path, ids)
        assert matched == len(place.path) - before
        self._touch_passed(place.path, before, tick)

    def follow(self, which: int) -> None:
        """A new stream with the same tokens shares all that the other has, pending or not."""
        leader = self.pick(which)
        if leader is None or len(self.streams) >= self.max_streams:
            return
        path = leader.place.path
        stream = self._add(self.tree.open(self.tree.root(str(path[0]))), path)
        tick = self.now()
        assert self.tree.match(stream.cursor, np.array(path[1:], np.int32), tick) == len(path) - 1
        self._touch_passed(path, 1, tick)

    def rewind(self, which: int, length: int) -> None:
        stream = self.pick(which)
        if stream is None or stream.tail:
            return
        place = stream.place
        length %= len(place.path)
        if length < len(place.path) - 1 and place.leased:
            self._busy(place.path)
        self.tree.rewind(stream.cursor, length, self.launched if place.leased else -1)
        place.path = place.path[: length + 1]

    def close(self, which: int) -> None:
        """The stream is dead. Closing a leased cursor is refused, and changes nothing."""
        stream = self.pick(which)
        if stream is None:
            return
        if stream.place.leased:
            self._refused(lambda: self.tree.close(stream.cursor))
            return
        self.tree.close(stream.cursor)
        self._refused(lambda: self.tree.close(stream.cursor))
        self.streams.remove(stream)
        del self.oracle.places[stream.place]

    # rows

    def lease(self, which: int) -> None:
        stream = self.pick(which)
        if stream is None:
            return
        if stream.place.leased:
            self._refused(lambda: self.tree.lease(stream.cursor, self.tick))
            return
        tick = self.now()
        self.tree.lease(stream.cursor, tick)
        stream.place.leased = True
        self.oracle.touch(stream.place.path, tick)

    def prefill(self, which: int, ids: list[int]) -> None:
        """Plan a chunk for the step that is launched next. Twins go back at once: no step was told of the slots."""
        stream = self._leased(which)
        if stream is None or stream.tail or self._make_room(len(ids)) < len(ids):
            return
        slots = self._allocate(len(ids))
        twins = self._extend(stream, ids, slots, self.launched + 1)
        self._release(slots[:twins], -1)

    def decode(self, which: int, ids: list[int]) -> None:
        """The row grows by generated tokens; their KV is written by the last launched step, in slots of the row."""
        stream = self._leased(which)
        if stream is not None and self._make_room(len(ids)) >= len(ids):
            stream.tail += ids
            stream.tail_slots += self._allocate(len(ids))

    def commit(self, which: int) -> None:
        """A node of the program ends: the generated tokens enter the tree, the row is rewired to twins."""
        stream = self._leased(which)
        if stream is not None:
            self._commit(stream)

    def park(self, which: int) -> None:
        """Retract, or wait for a tool: what was generated is kept in the tree, the row is over."""
        stream = self._leased(which)
        if stream is not None:
            self._commit(stream)
            self._end_row(stream)

    def abort(self, which: int) -> None:
        """The stream dies in flight. What it planned is computed all the same: its followers rely on it."""
        stream = self._leased(which)
        if stream is not None:
            self._end_row(stream)
            self.close(self.streams.index(stream))

    def turn(self, which: int, ids: list[int]) -> None:
        """A whole visit of a row: a chunk is planned and launched, tokens are generated, the row parks.

        It parks while the step is in flight, so what is evicted next must wait for it.
        """
        self.prefill(which, ids)
        self.launch()
        self.decode(which, ids[:2])
        self.park(which)

    # steps and room

    def launch(self) -> None:
        self.launched += 1

    def finish(self) -> None:
        if self.pool.finished < self.launched:
            step = self.pool.finished + 1
            self.tree.finish(step)
            self.oracle.finish(step)

    def void(self, back: int) -> None:
        """A step fails, launched or only planned; the rows on its tokens end, the steps from it on are over."""
        unfinished = range(self.pool.finished + 1, self.launched + 2)
        step = unfinished[back % len(unfinished)]
        doomed = set(self.oracle.doomed(step))
        rows = [stream for stream in self.streams if stream.place.leased and stream.place.path in doomed]
        if rows:
            self._refused(lambda: self.tree.void(step))
        for stream in rows:
            self._end_row(stream)
        assert self.tree.void(step) == self.oracle.void(step)
        self._compare_places()
        if step <= self.launched:
            self.tree.finish(self.launched)
            self.oracle.finish(self.launched)

    def evict(self, n: int) -> None:
        tick = self.now()
        run = f"run {tick}"
        evictable = self.tree.evictable
        assert evictable == self.oracle.evictable()
        released = self.tree.evict(n, run, tick)
        gone = self.oracle.evict(n, run, tick)
        assert released == len(gone) == min(n, evictable)
        self._compare_places()

    def explain(self, tenant: int, ids: list[int]) -> None:
        oracle, name = self.oracle, TENANTS[tenant % len(TENANTS)]
        miss = self.tree.explain(self.tree.root(name), np.array(ids, np.int32))
        path = oracle.match((name,), ids)
        i = len(path) - 1
        if i == len(ids):
            waiting = [n for n, prefix in enumerate(oracle.prefixes(path)) if oracle.pending(prefix)]
            assert miss == (InFlight(waiting[0], oracle.ready[path]) if waiting else Hit())
        elif (*path, ids[i]) in oracle.ghosts:
            assert miss == Evicted(i, *oracle.ghosts[(*path, ids[i])])
        elif any(other[:-1] == path for other in oracle.slot):
            assert isinstance(miss, Diverged)
            assert (miss.position, miss.before) == (i, tuple(ids[max(0, i - 8) : i]))
            assert miss.wanted == tuple(ids[i : i + 8])
            assert oracle.match(path, list(miss.present)) == path + miss.present
            assert miss.present and miss.present[0] != ids[i]
        else:
            assert miss == NeverSeen(i)

    # what must hold

    def glance(self) -> None:
        """The accounts that cost little to compare."""
        assert self.tree.used == len(self.oracle.slot)
        assert self.pool.free_count == len(self.oracle.free)
        assert self.pool.quarantined_count == len(self.oracle.quarantine)

    def compare(self) -> None:
        """Everything: the tree's own proof, and each position of each path against the oracle."""
        self.glance()
        self.tree.check([np.array(stream.tail_slots, np.int32) for stream in self.streams])
        assert self.tree.evictable == self.oracle.evictable()
        self._compare_places()
        assert set(self.pool.free_slots().tolist()) == self.oracle.free
        assert set(self.pool.quarantined_slots().tolist()) == set(self.oracle.quarantine)
        for tip in self.oracle.tips():
            self._compare_path(tip)
        assert not {key.tenant for key in self.tree.roots} - set(TENANTS)

    def _compare_path(self, path: Path) -> None:
        """A visitor finds all of `path`, and just the oracle's slots. At tick -1 it leaves no trace of use."""
        visitor = self.tree.open(self.tree.root(str(path[0])))
        ids = np.array(path[1:], np.int32)
        assert self.tree.match(visitor, ids, -1) == len(ids)
        assert self.tree.slots(visitor).tolist() == [self.oracle.slot[p] for p in self.oracle.prefixes(path)]
        self.tree.close(visitor)

    def _compare_places(self) -> None:
        for stream in self.streams:
            cursor, path = stream.cursor, stream.place.path
            assert cursor.leased == stream.place.leased
            assert cursor.length == len(path) - 1
            assert tuple(self.tree.tokens(cursor).tolist()) == path[1:]
            middle = cursor.length // 2
            expected = [self.oracle.slot[p] for p in self.oracle.prefixes(path)[middle:]]
            assert self.tree.slots(cursor, middle).tolist() == expected

    # inside

    def _add(self, cursor: Cursor, path: Path) -> Stream:
        stream = Stream(cursor, Place(path))
        self.streams.append(stream)
        self.oracle.places[stream.place] = None
        return stream

    def _leased(self, which: int) -> Stream | None:
        """A stream with a row, if there is one; leasing first if the picked one has none."""
        stream = self.pick(which)
        if stream is not None and not stream.place.leased:
            self._refused(lambda: self.tree.extend(stream.cursor, np.zeros(1, np.int32), np.zeros(1, np.int32), 0, 0))
            self.lease(which)
        return stream

    def _refused(self, call: Callable[[], object]) -> None:
        try:
            call()
        except CacheMisuse:
            return
        raise AssertionError("a misuse was accepted")

    def _make_room(self, n: int) -> int:
        if self.pool.free_count < n:
            self.evict(n - self.pool.free_count)
        return self.pool.free_count

    def _allocate(self, n: int) -> list[int]:
        slots: list[int] = self.pool.allocate(n).tolist()
        self.oracle.allocated(slots)
        return slots

    def _release(self, slots: list[int], after: int) -> None:
        self.pool.release(np.array(slots, np.int32), after)
        self.oracle.released(slots, after)

    def _busy(self, path: Path) -> None:
        if path in self.oracle.busy:
            self.oracle.busy[path] = max(self.oracle.busy[path], self.launched)

    def _touch_passed(self, path: Path, before: int, tick: int) -> None:
        for n in range(before + 1, len(path) + 1):
            self.oracle.touch(path[:n], tick)

    def _extend(self, stream: Stream, ids: list[int], slots: list[int], ready: int) -> int:
        place, oracle, tick = stream.place, self.oracle, self.now()
        path = oracle.match(place.path, ids)
        twins = len(path) - len(place.path)
        given = (np.array(ids, np.int32), np.array(slots, np.int32))
        assert self.tree.extend(stream.cursor, *given, ready, tick) == twins
        self._touch_passed(path, len(place.path), tick)
        for token, slot in zip(ids[twins:], slots[twins:], strict=True):
            path = (*path, token)
            oracle.insert(path, slot, ready, tick)
        place.path = path
        return twins

    def _commit(self, stream: Stream) -> None:
        twins = self._extend(stream, stream.tail, stream.tail_slots, self.launched)
        self._release(stream.tail_slots[:twins], self.launched)
        stream.tail, stream.tail_slots = [], []

    def _end_row(self, stream: Stream) -> None:
        tick = self.now()
        self._release(stream.tail_slots, self.launched)
        stream.tail, stream.tail_slots = [], []
        self.tree.release(stream.cursor, self.launched, tick)
        stream.place.leased = False
        self._busy(stream.place.path)
        self.oracle.touch(stream.place.path, tick)
