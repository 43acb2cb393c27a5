"""Random operations on the cache against the oracle, as many as you have time for:

    python tests/radix_cache/fuzz_driver.py --operations 10000000 --seed 0

Each operation is compared with the oracle as it happens; every `--check-every` operations the whole cache is proved.
The same seed makes the same run in any process. A failure prints the seed and the number of the operation.
"""

from __future__ import annotations

import argparse
import random
import time
from collections import Counter
from collections.abc import Callable

from cache_rig import Rig


class Driver:
    """Chooses operations as a busy scheduler would: few slots, few tokens, so that everything collides."""

    def __init__(self, seed: int, capacity: int = 96) -> None:
        self.random = random.Random(seed)
        self.rig = Rig(capacity)
        self.counts: Counter[str] = Counter()
        weighted: list[tuple[int, str, Callable[[], None]]] = [
            (6, "open", lambda: self.rig.open(self._number())),
            (5, "fork", lambda: self.rig.fork(self._number())),
            (10, "match", lambda: self.rig.match(self._number(), self._ids())),
            (5, "follow", lambda: self.rig.follow(self._number())),
            (4, "rewind", lambda: self.rig.rewind(self._number(), self._number())),
            (8, "close", lambda: self.rig.close(self._number())),
            (6, "lease", lambda: self.rig.lease(self._number())),
            (14, "prefill", lambda: self.rig.prefill(self._number(), self._ids())),
            (12, "decode", lambda: self.rig.decode(self._number(), self._ids()[:3])),
            (6, "commit", lambda: self.rig.commit(self._number())),
            (6, "park", lambda: self.rig.park(self._number())),
            (4, "turn", lambda: self.rig.turn(self._number(), self._ids())),
            (4, "abort", lambda: self.rig.abort(self._number())),
            (10, "launch", lambda: self.rig.launch()),
            (10, "finish", lambda: self.rig.finish()),
            (2, "void", lambda: self.rig.void(self._number())),
            (4, "evict", lambda: self.rig.evict(self.random.randrange(1, 9))),
            (3, "explain", lambda: self.rig.explain(self._number(), self._ids())),
        ]
        self.operations = [(name, call) for _, name, call in weighted]
        self.weights = [weight for weight, _, _ in weighted]

    def _number(self) -> int:
        return self.random.getrandbits(10)

    def _ids(self) -> list[int]:
        """A few tokens of a small alphabet, a long run, or what another stream has, with another end."""
        kind = self.random.random()
        if kind < 0.25 and (other := self.rig.pick(self._number())) is not None:
            path = [int(token) for token in other.place.path[1:]]
            return [*path[: self.random.randrange(len(path) + 1)], self.random.randrange(3)]
        n = self.random.randrange(1, 7) if kind < 0.9 else self.random.randrange(8, 24)
        return self.random.choices((0, 1, 2), (6, 3, 1), k=n)

    def run(self, operations: int, check_every: int) -> None:
        done = 0
        while done < operations:
            batch = min(check_every, operations - done)
            for name, call in self.random.choices(self.operations, self.weights, k=batch):
                call()
                self.rig.glance()
                self.counts[name] += 1
                done += 1
            self.rig.compare()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--operations", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--capacity", type=int, default=96)
    parser.add_argument("--check-every", type=int, default=100)
    options = parser.parse_args()
    driver = Driver(options.seed, options.capacity)
    started = time.perf_counter()
    try:
        driver.run(options.operations, options.check_every)
    except BaseException:
        print(f"failed: seed {options.seed}, capacity {options.capacity}, operation {driver.counts.total()}")
        raise
    seconds = time.perf_counter() - started
    print(f"{options.operations} operations, seed {options.seed}, capacity {options.capacity}: all hold")
    print(f"{options.operations / seconds:,.0f} operations per second, {seconds:.1f} s")
    print(", ".join(f"{name} {count}" for name, count in driver.counts.items()))
    print(driver.rig.tree.statistics)


if __name__ == "__main__":
    main()
