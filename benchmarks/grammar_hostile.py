"""Hostile grammars against an engine: each ends in time and in a named error, delays nobody, and leaves nothing behind.

    python benchmarks/grammar_hostile.py [--count 1000] [--seed 0] [--pairs 5] [--rate 8] [--rounds 3]

Three parts, each of which can be left out (`--count 0`, `--pairs 0`, `--rounds 0`):

1. `--count` grammars (see `hostile_grammars.py`) one after the other through the compile cache and its vetting, over a
   made-up vocabulary of 131,072 tokens. Each must compile, and then fill its first masks, or end in a named error
   within the limit. Then the limits are lowered, to breach them on purpose.
2. A plain stream of a small random model through the engine's door, a token each 25 ms (`paced_engine.py`), alone and
   with hostile grammars beside it by turns: the time between its tokens, and what became of the grammars.
3. What is left after rounds of hostile grammars, processes killed among them: processes, threads, descriptors, memory.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import gc
import os
import random
import signal
import statistics
import tempfile
import threading
import time
from collections import Counter
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from hostile_grammars import hostile_grammars
from paced_engine import paced_engine, small_model
from ramify.errors import RamifyError
from ramify.grammar.backends import make_backend
from ramify.grammar.compile import CompileCacheLimits, GrammarCompiler
from ramify.grammar.limits import VettingLimits
from ramify.grammar.spec import GrammarSpec, JsonSchema
from ramify.grammar.state import CompiledGrammar
from ramify.grammar.vetting import VettedBackend
from ramify.grammar.vetting_pool import VettingPool
from ramify.grammar.vocabulary import Vocabulary
from ramify.runtime.client.engine import EngineHandle
from ramify.runtime.engine.options import EngineOptions
from ramify.runtime.protocol.graph import (
    CloseRun,
    EngineReply,
    Gen,
    GraphDelta,
    NodeDone,
    NodeFailed,
    RunClosed,
    RunOptions,
    Text,
    TextDelta,
)
from vocabularies import made_up_vocabulary

MARGIN = 0.1
"""Seconds beyond the limit within which the answer must be there."""
NAMED = ("InvalidSchema", "UnenforceableSchema", "Overloaded")
POLITE_TO_NOBODY = VettingLimits(niceness=0)
"""For the parts in which nothing runs beside: what is measured are the limits."""
MASKS = 8
"""Masks filled of each grammar that compiles, on a walk through tokens that it allows."""
STEP_SECONDS = 0.025
STREAM_TOKENS = 400


# ---- processes and memory -------------------------------------------------------------------------------------------


def children(*pids: int) -> set[int]:
    """The processes that these have started and that are not reaped."""
    found = set()
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # it ended meanwhile
            if int(stat.read_text().rpartition(")")[2].split()[1]) in pids:
                found.add(int(stat.parent.name))
    return found


def descendants(pid: int) -> set[int]:
    """Its children, theirs, and so on."""
    found: set[int] = set()
    level = {pid}
    while level := children(*level):
        found |= level
    return found


def trimmed_rss() -> float:
    """MiB of this process after collecting and giving back what the allocator keeps."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def quantile(values: list[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


# ---- 1: each grammar by itself --------------------------------------------------------------------------------------


class Rig:
    """A compile cache with vetting, as an engine has it."""

    def __init__(self, vocabulary: Vocabulary, limits: VettingLimits, cache: CompileCacheLimits) -> None:
        backend = make_backend(vocabulary)
        self.vocabulary = vocabulary
        self.pool = VettingPool(vocabulary, "auto", limits=limits)
        self.executor = ThreadPoolExecutor(1)
        self.compiler = GrammarCompiler(
            backend, self.executor, clock=time.monotonic, limits=cache, vetting=VettedBackend(backend, self.pool)
        )
        self.pool.plan(JsonSchema('{"type": "array"}'))

    def close(self) -> None:
        self.pool.close()
        self.executor.shutdown()

    def first_masks(self, grammar: CompiledGrammar, rng: random.Random) -> float:
        """The slowest of the first masks, in seconds."""
        state = grammar.state()
        row = np.empty(self.vocabulary.words, np.int32)
        slowest = 0.0
        for _ in range(MASKS):
            begin = time.perf_counter()
            state.fill_mask(row)
            slowest = max(slowest, time.perf_counter() - begin)
            allowed = np.flatnonzero(np.unpackbits(row.view(np.uint8), bitorder="little"))
            if not state.accept(int(rng.choice(allowed.tolist()))) or state.terminated:
                break
        return slowest


def each_by_itself(specs: list[tuple[str, GrammarSpec]]) -> None:
    limits = POLITE_TO_NOBODY
    rig = Rig(made_up_vocabulary(), limits, CompileCacheLimits())
    rng = random.Random(0)
    seconds: list[float] = []
    masks: list[float] = []
    families: dict[str, Counter[str]] = {}
    unnamed: list[str] = []
    late: list[str] = []
    for name, spec in specs:
        begin = time.perf_counter()
        error: BaseException | None
        try:
            grammar = rig.compiler.compile(spec).result(limits.queue_seconds + limits.wall_seconds + 30)
            error = None
        except Exception as raised:  # what is no error of ours is counted
            error = raised
        seconds.append(time.perf_counter() - begin)
        outcome = "compiled"
        if error is None:
            try:
                masks.append(rig.first_masks(grammar, rng))
            except RamifyError as raised:
                error, outcome = raised, "compiled, then named error"
        else:
            outcome = "over a limit" if "took more" in str(error) else "refused"
        if error is not None and type(error).__name__ not in NAMED:
            unnamed.append(f"{name}: {error!r:.200}")
        if seconds[-1] > limits.wall_seconds + MARGIN:
            late.append(f"{name}: {seconds[-1]:.2f} s, {error!r:.200}")
        families.setdefault(name, Counter())[outcome] += 1
    processes = len(descendants(os.getpid()))
    rig.close()
    print("| family | compiled | refused by name | over a limit, by name | compiled, then named error |")
    print("|---|---|---|---|---|")
    for name, found in families.items():
        kinds = ("compiled", "refused", "over a limit", "compiled, then named error")
        print(f"| {name} | " + " | ".join(str(found[kind]) for kind in kinds) + " |")
    print(
        f"\n{len(specs)} grammars; unnamed errors {len(unnamed)}, over the limit of {limits.wall_seconds:g} s + ",
        end="",
    )
    print(f"{MARGIN:g} s {len(late)}; processes meanwhile {processes}, left {len(descendants(os.getpid()))}")
    for line in (*unnamed, *late):
        print("   ", line)
    print(
        f"until the answer: p50 {1e3 * quantile(seconds, 0.5):.1f} ms, p90 {1e3 * quantile(seconds, 0.9):.0f} ms, ",
        end="",
    )
    print(f"p99 {1e3 * quantile(seconds, 0.99):.0f} ms, max {max(seconds):.2f} s")
    print(f"slowest of the first {MASKS} masks: p50 {1e3 * quantile(masks, 0.5):.2f} ms, ", end="")
    print(f"p99 {1e3 * quantile(masks, 0.99):.1f} ms, max {1e3 * max(masks):.1f} ms\n")


BREACHES = {
    "50 ms of processor time": VettingLimits(niceness=0, cpu_seconds=0.05),
    "50 ms of wall time": VettingLimits(niceness=0, wall_seconds=0.05),
    "1 MiB of memory": VettingLimits(niceness=0, memory_bytes=1 << 20),
}


def breaches() -> None:
    """Limits lowered until an ordinary large schema is beyond them: when the named error comes."""
    properties = ", ".join(f'"p{index}": {{"type": "array", "items": {{"type": "string"}}}}' for index in range(900))
    vocabulary = made_up_vocabulary()
    for name, limits in BREACHES.items():
        pool = VettingPool(vocabulary, "llguidance", limits=limits)
        pool.submit(JsonSchema("true")).exception()
        found: list[float] = []
        what = ""
        for index in range(20):
            text = f'{{"type": "object", "title": "{index}", "properties": {{{properties}}}}}'
            begin = time.perf_counter()
            error = pool.submit(JsonSchema(text)).exception()
            found.append(time.perf_counter() - begin)
            what = getattr(error, "what", "compiled")
        pool.close()
        print(f"{name}: p50 {1e3 * quantile(found, 0.5):.0f} ms, max {1e3 * max(found):.0f} ms: {what}")
    print(f"processes left: {len(descendants(os.getpid()))}\n")


# ---- 2: a stream beside them ----------------------------------------------------------------------------------------


class Client:
    """Opens runs of one gen over one connection; `ended` has the time and the last reply of each."""

    def __init__(self, engine: EngineHandle) -> None:
        self.deltas: list[float] = []
        self.ended: dict[int, Future[tuple[float, EngineReply]]] = {}
        self._connection = engine.connect(self._on_reply)
        self._next = 0

    def gen(self, max_tokens: int, *, spec: GrammarSpec | None = None, events: bool = False) -> int:
        run, self._next = self._next, self._next + 1
        self.ended[run] = Future()
        text = Text(stream=0, text="Once upon a time")
        gen = Gen(
            stream=0,
            node=0,
            name="x",
            path="x",
            max_tokens=max_tokens,
            ignore_eos=spec is None,
            grammar=spec,
            events=events,
        )
        self._connection.send(GraphDelta(run, [text, gen], open=RunOptions()))
        return run

    def close(self) -> None:
        self._connection.close()

    def _on_reply(self, reply: EngineReply) -> None:
        now = time.perf_counter()
        if isinstance(reply, TextDelta):
            self.deltas.append(now)
        elif isinstance(reply, NodeDone | NodeFailed):
            self._connection.send(CloseRun(reply.run))
            self.ended[reply.run].set_result((now, reply))
        elif isinstance(reply, RunClosed) and not self.ended[reply.run].done():
            self.ended[reply.run].set_result((now, reply))


def stream(client: Client, tokens: int) -> list[float]:
    """Seconds between the tokens of one gen."""
    client.deltas = []
    client.ended[client.gen(tokens, events=True)].result()
    return [later - earlier for earlier, later in zip(client.deltas, client.deltas[1:], strict=False)]


def processor_share() -> tuple[float, float]:
    """Processor seconds of this process and of the machine."""
    fields = [int(field) for field in Path("/proc/stat").read_text().split("\n")[0].split()[1:9]]
    return time.process_time(), (sum(fields) - fields[3] - fields[4]) / os.sysconf("SC_CLK_TCK")


def beside(pairs: int, rate: float, specs: list[tuple[str, GrammarSpec]]) -> None:
    with contextlib.ExitStack() as stack:
        model = small_model(Path(stack.enter_context(tempfile.TemporaryDirectory())))
        options = EngineOptions(model=str(model), device="cpu", load_format="dummy", max_rows=16, overlap=1, threads=1)
        engine = stack.enter_context(paced_engine(options, STEP_SECONDS))
        plain, hostile = Client(engine), Client(engine)
        stream(plain, 50)
        _ended(hostile, hostile.gen(4, spec=JsonSchema('{"enum": [' + "1, " * 1500 + "2]}")))  # the server is ready
        left = iter(specs)
        ratios: list[tuple[float, float]] = []
        outcomes: Counter[str] = Counter()
        waits: list[float] = []
        print(
            "| pair | alone ms p50 / p99 / max | beside ms p50 / p99 / max | ratio of p99 | grammars | others' load |"
        )
        print("|---|---|---|---|---|---|")
        for pair in range(pairs):
            own, machine = processor_share()
            begin = time.perf_counter()
            alone = stream(plain, STREAM_TOKENS)
            own_end, machine_end = processor_share()
            load = (machine_end - machine - own_end + own) / (time.perf_counter() - begin)
            stop = threading.Event()
            sent: dict[int, float] = {}

            def send(stop: threading.Event = stop, sent: dict[int, float] = sent) -> None:
                for _, spec in left:
                    begun = time.perf_counter()
                    sent[hostile.gen(MASKS, spec=spec)] = begun
                    if stop.wait(1 / rate):
                        return

            sender = threading.Thread(target=send)
            sender.start()
            with_them = stream(plain, STREAM_TOKENS)
            stop.set()
            sender.join()
            for run, begun in sent.items():
                when, reply = _ended(hostile, run)
                waits.append(when - begun)
                outcomes[reply.error.code if isinstance(reply, NodeFailed) else type(reply).__name__] += 1
            figures = [
                [1e3 * quantile(gaps, 0.5), 1e3 * quantile(gaps, 0.99), 1e3 * max(gaps)] for gaps in (alone, with_them)
            ]
            ratios.append((figures[1][0] / figures[0][0], figures[1][1] / figures[0][1]))
            shown = " | ".join(" / ".join(f"{figure:.1f}" for figure in each) for each in figures)
            print(f"| {pair + 1} | {shown} | {ratios[-1][1]:.3f} | {len(sent)} | {load:.2f} |", flush=True)
        medians = [statistics.median(each) for each in zip(*ratios, strict=True)]
        print(
            f"\nmedian of the ratios: p50 {medians[0]:.3f}, p99 {medians[1]:.3f}; {sum(outcomes.values())} grammars: ",
            end="",
        )
        print(", ".join(f"{count} {name}" for name, count in outcomes.most_common()))
        print(f"until their answers: p50 {quantile(waits, 0.5):.2f} s, max {max(waits):.2f} s\n")
        plain.close()
        hostile.close()


def _ended(client: Client, run: int) -> tuple[float, EngineReply]:
    return client.ended[run].result(120)


# ---- 3: what is left ------------------------------------------------------------------------------------------------


def left_behind(rounds: int, count: int, seed: int) -> None:
    before = len(descendants(os.getpid())), threading.active_count(), len(os.listdir("/proc/self/fd"))
    print("| after round | RSS MiB, trimmed | threads | descriptors | processes | cached, entries / MiB |")
    print("|---|---|---|---|---|---|")
    cache = CompileCacheLimits(max_entries=20)  # full after the first round
    rig = Rig(made_up_vocabulary(8_192), POLITE_TO_NOBODY, cache)
    _row("0", "")
    rng = random.Random(seed)
    for number in range(rounds):
        specs = [spec for _, spec in hostile_grammars(count, seed + number)]
        for spec in specs:
            waiting = [rig.compiler.compile(spec, owner) for owner in "abc"]
            if rng.random() < 0.1:
                for waiter in waiting:
                    waiter.cancel()
            elif rng.random() < 0.05:
                _kill(descendants(os.getpid()) - children(os.getpid()), rng)  # a worker, idle or at work
            for waiter in waiting:
                _ = waiter.cancelled() or waiter.exception()
        del waiting, waiter, specs, spec
        _kill(children(os.getpid()), rng)  # the server itself
        size = f"{rig.compiler.num_entries} / {rig.compiler.num_bytes / 2**20:.0f}"
        _row(str(number + 1), size)
    rig.close()
    del rig
    _row("all, closed", "")
    after = len(descendants(os.getpid())), threading.active_count(), len(os.listdir("/proc/self/fd"))
    print(f"\nprocesses, threads, descriptors before {before}, after {after}")


def _kill(pids: set[int], rng: random.Random) -> None:
    with contextlib.suppress(ProcessLookupError):
        if pids:
            os.kill(rng.choice(sorted(pids)), signal.SIGKILL)


def _row(number: str, size: str) -> None:
    counts: tuple[Any, ...] = (
        threading.active_count(),
        len(os.listdir("/proc/self/fd")),
        len(descendants(os.getpid())),
    )
    print(f"| {number} | {trimmed_rss():.0f} | " + " | ".join(map(str, counts)) + f" | {size} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--count", type=int, default=1000, help="grammars one by one")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--pairs", type=int, default=5, help="times that the stream runs alone and beside")
    parser.add_argument("--rate", type=float, default=8.0, help="grammars a second beside the stream")
    parser.add_argument("--rounds", type=int, default=3, help="rounds after which is counted what is left")
    options = parser.parse_args()
    if options.rounds:
        left_behind(options.rounds, 60, options.seed)
        print()
    if options.pairs:
        seconds = options.pairs * STREAM_TOKENS * STEP_SECONDS
        beside(options.pairs, options.rate, list(hostile_grammars(int(2 * seconds * options.rate), options.seed)))
    if options.count:
        each_by_itself(list(hostile_grammars(options.count, options.seed)))
        breaches()


if __name__ == "__main__":
    main()
