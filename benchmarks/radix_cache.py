"""Prefix cache on the host: match + extend of a prompt, eviction, slots (no model, no GPU; one core).

    python benchmarks/radix_cache.py

Each line is the median of many calls in a tree that holds `--tokens` tokens of distinct sequences. "flat": each stored
sequence is one node; "deep": its prefix was built by turns of 32 tokens with a second stream at each, as agents do.
"""

from __future__ import annotations

import argparse
import platform
import time
from collections.abc import Callable
from functools import partial

import numpy as np
from ramify.radix_cache import RadixTree, Root, SlotPool
from ramify.radix_cache.pool import IntArray

PROMPT, SHARED, TURN, VOCABULARY = 4096, 3072, 32, 128_000


def microseconds(call: Callable[[], object]) -> float:
    started = time.perf_counter_ns()
    call()
    return (time.perf_counter_ns() - started) / 1000


def report(name: str, samples: list[float], unit: str = "us") -> None:
    low, median, high = np.percentile(samples, [5, 50, 95])
    print(f"{name:58s} {median:9.1f} {unit}   (5%: {low:.1f}, 95%: {high:.1f}, {len(samples)} calls)")


def store(tree: RadixTree, root: Root, ids: IntArray, chunk: int, tick: int) -> None:
    """Put a sequence into the tree, in chunks; a stream that stays for a moment at each end makes a node of each."""
    cursor = tree.open(root)
    tree.match(cursor, ids, tick)
    tree.lease(cursor, tick)
    witnesses = []
    for begin in range(cursor.length, len(ids), chunk):
        part = ids[begin : begin + chunk]
        tree.extend(cursor, part, tree.pool.allocate(len(part)), -1, tick)
        witnesses.append(tree.fork(cursor))
    tree.release(cursor, -1, tick)
    for witness in [cursor, *witnesses]:
        tree.close(witness)


def build(tokens: int, chunk: int, rng: np.random.Generator) -> tuple[RadixTree, Root, IntArray]:
    tree = RadixTree(SlotPool(tokens + 2 * PROMPT))
    root = tree.root("bench")
    sequences = rng.integers(0, VOCABULARY, (tokens // PROMPT, PROMPT)).astype(np.int32)
    for tick, ids in enumerate(sequences):
        store(tree, root, ids, chunk, tick)
    return tree, root, sequences


def admissions(
    name: str, tree: RadixTree, root: Root, sequences: IntArray, calls: int, rng: np.random.Generator
) -> None:
    """Prompts that share their first 3K tokens with a stored sequence and go on with 1K of their own."""
    both, matches, evictions = [], [], []
    for call in range(calls):
        tick = len(sequences) + call
        known = sequences[rng.integers(len(sequences))][:SHARED]
        ids = np.concatenate((known, rng.integers(0, VOCABULARY, PROMPT - SHARED).astype(np.int32)))
        cursor = tree.open(root)
        started = time.perf_counter_ns()
        matched = tree.match(cursor, ids, tick)
        middle = time.perf_counter_ns()
        tree.lease(cursor, tick)
        slots = tree.pool.allocate(len(ids) - matched)
        extending = time.perf_counter_ns()
        tree.extend(cursor, ids[matched:], slots, -1, tick)
        ended = time.perf_counter_ns()
        if matched == SHARED:  # else eviction has taken some of it, to make room for an earlier call
            matches.append((middle - started) / 1000)
            both.append((middle - started + ended - extending) / 1000)
        tree.release(cursor, -1, tick)
        tree.close(cursor)
        evictions.append(microseconds(partial(tree.evict, len(slots), "bench", tick)))
    report(f"{name}: match, 3K of 4K found", matches)
    report(f"{name}: match + extend, 3K found, 1K new", both)
    report(f"{name}: evict as much", evictions)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tokens", type=int, default=1_000_000)
    parser.add_argument("--calls", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    print(
        f"radix cache, host only, {options.tokens} tokens in the tree, {platform.machine()}, "
        f"Python {platform.python_version()}, numpy {np.__version__}"
    )

    for name, chunk in (("flat", PROMPT), ("deep", TURN)):
        rng = np.random.default_rng(options.seed)
        tree, root, sequences = build(options.tokens, chunk, rng)
        admissions(name, tree, root, sequences, options.calls, rng)
        forked = tree.open(root)
        report(f"{name}: fork", [microseconds(partial(tree.fork, forked)) for _ in range(1000)])
        began = time.perf_counter()
        evicted = 0
        while released := tree.evict(256, "bench", 0):
            evicted += released
        seconds = time.perf_counter() - began
        print(f"{name + ': evict all, 256 at a time':58s} {evicted / seconds / 1e6:9.1f} M slots/s")
        tree.check()

    pool = SlotPool(options.tokens)
    taken = [pool.allocate(256) for _ in range(1000)]
    report("pool: release(256), quarantined", [microseconds(partial(pool.release, slots, 1)) for slots in taken])
    pool.finish(1)
    report("pool: allocate(256)", [microseconds(partial(pool.allocate, 256)) for _ in taken])
    report("pool: release(256), free at once", [microseconds(partial(pool.release, slots, 1)) for slots in taken])


if __name__ == "__main__":
    main()
