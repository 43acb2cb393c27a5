"""What the cache must do, by brute force: a dict from each full prefix to its slot, and nothing like a tree.

A *path* is a tuple (root name, token, token, ...): one position of one prefix. Each path has a slot, the step that
computes it, its last use and the last launched step that may read it. There are no nodes, so nothing here can share a
mistake of splitting, growing, guarding or queueing; everything is found by looking at all paths. Eviction takes one
position at a time: of the positions that nothing follows and nothing uses, first those that no stream contains, then
the one used longest ago.
"""

from __future__ import annotations

from collections import Counter

Path = tuple[str | int, ...]


class Place:
    """A stream's place: the path it is at, and whether a row in flight reads it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.leased = False


class Oracle:
    def __init__(self, capacity: int) -> None:
        self.free = set(range(capacity))
        self.tail: set[int] = set()
        self.quarantine: dict[int, int] = {}  # by slot: the step that must have ended
        self.slot: dict[Path, int] = {}
        self.ready: dict[Path, int] = {}
        self.used: dict[Path, int] = {}
        self.busy: dict[Path, int] = {}
        self.places: dict[Place, None] = {}
        self.ghosts: dict[Path, tuple[int, str]] = {}
        self.finished = -1

    # slots

    def allocated(self, slots: list[int]) -> None:
        for slot in slots:
            assert slot in self.free, f"slot {slot} was handed out, but it is not free"
            self.free.remove(slot)
            self.tail.add(slot)

    def released(self, slots: list[int], after: int) -> None:
        for slot in slots:
            self.tail.discard(slot)
            if after <= self.finished:
                self.free.add(slot)
            else:
                self.quarantine[slot] = after

    # what is there

    def match(self, path: Path, ids: list[int]) -> Path:
        for token in ids:
            if (*path, token) not in self.slot:
                break
            path = (*path, token)
        return path

    def prefixes(self, path: Path) -> list[Path]:
        """The positions of a path, from the first on."""
        return [path[:n] for n in range(2, len(path) + 1)]

    def tips(self) -> list[Path]:
        above = {path[:-1] for path in self.slot}
        return [path for path in self.slot if path not in above]

    def pending(self, path: Path) -> bool:
        return self.ready.get(path, -1) > self.finished

    def held(self) -> set[Path]:
        """Positions that must stay: a lease or a pending token is on them or below."""
        ends = [place.path for place in self.places if place.leased]
        ends += [path for path in self.slot if self.pending(path)]
        return {prefix for end in ends for prefix in self.prefixes(end)}

    def evictable(self) -> int:
        return len(self.slot) - len(self.held())

    # what happens

    def touch(self, path: Path, tick: int) -> None:
        if path in self.used:
            self.used[path] = max(self.used[path], tick)

    def insert(self, path: Path, slot: int, ready: int, tick: int) -> None:
        self.slot[path] = slot
        self.ready[path] = max(ready, self.ready.get(path[:-1], -1))
        self.used[path] = tick
        self.busy[path] = -1
        self.tail.remove(slot)
        self.ghosts.pop(path, None)

    def remove(self, path: Path, after: int) -> None:
        """Take a tip away: its streams, its last use and its readers pass to the position before it."""
        above = path[:-1]
        for place in self.places:
            if place.path == path:
                place.path = above
        if above in self.slot:
            self.used[above] = max(self.used[above], self.used[path])
            self.busy[above] = max(self.busy[above], self.busy[path])
        self.released([self.slot.pop(path)], max(after, self.busy[path]))
        del self.ready[path], self.used[path], self.busy[path]

    def evict(self, n: int, for_run: str, tick: int) -> list[Path]:
        held = self.held()
        below = Counter(path[:-1] for path in self.slot)
        live = {prefix for place in self.places for prefix in self.prefixes(place.path)}
        loose = [path for path in self.slot if not below[path] and path not in held]
        gone: list[Path] = []
        while len(gone) < n and loose:
            path = min(loose, key=lambda path: (path in live, self.used[path]))
            loose.remove(path)
            self.remove(path, after=-1)
            gone.append(path)
            above = path[:-1]
            below[above] -= 1
            if above in self.slot and not below[above] and above not in held:
                loose.append(above)
        self.ghosts.update((path, (tick, for_run)) for path in gone)
        self._forget_ghosts()
        return gone

    def doomed(self, step: int) -> list[Path]:
        return [path for path, ready in self.ready.items() if ready >= step and self.pending(path)]

    def void(self, step: int) -> int:
        gone = sorted(self.doomed(step), key=len, reverse=True)
        last = max((self.ready[path] for path in gone), default=step)
        for path in gone:
            self.remove(path, last)
        self._forget_ghosts()
        return len(gone)

    def finish(self, step: int) -> None:
        self.finished = step
        for slot in [slot for slot, after in self.quarantine.items() if after <= step]:
            del self.quarantine[slot]
            self.free.add(slot)

    def _forget_ghosts(self) -> None:
        """A ghost stands behind a position that is still there, or at a root."""
        self.ghosts = {p: ghost for p, ghost in self.ghosts.items() if len(p) == 2 or p[:-1] in self.slot}
