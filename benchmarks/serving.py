"""Requests through the engine's core and worker, token ids in and out (engine limit, random weights, one GPU).

    python benchmarks/serving.py [--engine ramify] [--workloads w2 w6 w1] [--shape llama-3.1-8b | --model DIR]
                                 [--profile trace.json]

The model has random weights in bf16 and a shape of `shapes.py`, unless --model names a directory. The ramify adapter
runs `core.step` and the torch worker as the engine's loop does, without a tokenizer in front. Another engine is a
module beside this file with a class `Engine` (see `workloads.Adapter`): vllm, sglang, or the one that --engine names.
Each line ends with the floor of its row on this card, measured in the same run, and the share of it that was reached.
"""

from __future__ import annotations

import argparse
import gc
import importlib
import json
import logging
import queue
import random
import tempfile
import time
import traceback
from collections import deque
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from ceilings import Ceilings, ModelSize
from constrained import CONSTRAINED, Grammars, WatchedPool, table_lines
from ramify.errors import ErrorInfo
from ramify.runtime.core.config import CoreConfig
from ramify.runtime.core.messages import (
    Append,
    CloseRun,
    CoreInput,
    GenDone,
    Generate,
    GenFailed,
    GenTokens,
    GrammarReady,
    OpenRun,
    OpenStream,
)
from ramify.runtime.core.step import Core
from ramify.runtime.protocol.plan import StepMasks, StepPlan
from ramify.runtime.protocol.sampling import RowSampling
from ramify.runtime.protocol.tokens import unpack
from ramify.runtime.sampling.masks import words_per_row
from ramify.runtime.worker.options import WorkerOptions
from ramify.runtime.worker.torch_worker import TorchWorker
from shapes import SHAPES, model_size, write_config
from step_profile import Step, cut, device_spans, report
from vocabularies import load_vocabulary
from workloads import WORKLOADS, Adapter, EngineMissing, Out, Row, ids, timed, vocab_high

if TYPE_CHECKING:
    from ramify.grammar.state import MaskRow
    from ramify.grammar.vocabulary import Vocabulary

ENGINES = {"vllm": "engine_vllm", "sglang": "engine_sglang"}
"""Modules beside this file whose name is not that of the engine, which would hide it."""

FIXED_MASK: Row = {"title": "FixedMask"}
IDLE_SECONDS = 0.02
NO_ERROR = ErrorInfo("Cancelled", "the benchmark is done with it", "", "")


class FixedMask:
    """A grammar whose mask costs nothing to fill and forbids nothing that matters: what masking itself costs."""

    num_accepted = 0
    completed = False
    terminated = False

    def fill_mask(self, row: MaskRow) -> bool:
        row.fill(-2)  # every 32nd token is forbidden
        return True

    def mask_key(self) -> None:
        return None

    def known_mask(self) -> MaskRow | None:
        return None

    def accept(self, token_id: int) -> bool:
        return True

    def rollback(self, num_tokens: int) -> None:
        """Keeps no history."""

    def fork(self) -> FixedMask:
        return FixedMask()

    def forced_text(self) -> bytes:
        return b""


class Engine:
    """ramify's core and torch worker."""

    name = "ramify"
    version = "0.1.0"

    def __init__(
        self,
        device: str = "cuda",
        max_rows: int = 512,
        stream: bool = False,
        step_tokens: int = 8192,
        tokenizer: Path | None = None,
    ) -> None:
        self.config: Row = {
            "device": device,
            "max_rows": max_rows,
            "overlap": 1 if device != "cpu" else 0,
            "step_tokens": max(step_tokens, max_rows),
        }
        self.steps: list[Step] | None = None
        """Every plan from here on, where it is a list."""
        self._stream = stream
        self._tokenizer = tokenizer
        self._replies: queue.SimpleQueue[CoreInput] = queue.SimpleQueue()
        self._worker: TorchWorker | None = None
        self._core: Core | None = None
        self._run = 0
        self._cached = 0
        self._tenant = 0
        self._prefix_cache = True
        self.vocab_high = 0

    def start(self, model_dir: str, prefix_cache: bool = True) -> None:
        self._prefix_cache = prefix_cache
        self.vocab_high = vocab_high(model_dir)
        options = WorkerOptions(
            device=self.config["device"],
            dtype="auto",
            max_rows=self.config["max_rows"],
            max_length=8192,
            load_format="safetensors" if any(Path(model_dir).glob("*.safetensors")) else "dummy",
            step_tokens=self.config["step_tokens"],
        )
        self._worker = TorchWorker.load(Path(model_dir), self._replies.put, options)
        self.config["slots"] = self._worker.info.slots
        self.pool = WatchedPool(words_per_row(self._worker.info.vocab_size), self._replies.put)
        self.reset(CoreConfig(overlap=self.config["overlap"], step_tokens=self.config["step_tokens"]))
        gc.collect()
        gc.freeze()  # as the engine's process does

    def reset(self, config: CoreConfig) -> None:
        """Begin anew over the same worker, with an empty prefix cache; only while no request runs."""
        assert self._worker is not None
        self._core = Core(config, self._worker.info, self.pool, self._worker.mask_buffers())

    def stop(self) -> None:
        if self._worker is not None:
            self._worker.close()
        self._worker = self._core = None

    def flush(self) -> None:
        """Prefixes are found below their tenant's root only."""
        self._tenant += 1

    def cached_tokens(self) -> int | None:
        return self._cached

    def count_valid(self, outs: Sequence[Out], schema: Row) -> int:
        raise SystemExit("see constrained.py for the schema rows of this engine")

    @cached_property
    def vocabulary(self) -> Vocabulary:
        """Of as many ids as the model has logits."""
        assert self._worker is not None
        return load_vocabulary(self._tokenizer, self._worker.info.vocab_size)

    @cached_property
    def grammars(self) -> Grammars:
        return Grammars(self.vocabulary, self.pool.scripts)

    def put(self, message: CoreInput) -> None:
        """Give the core a message, from any thread."""
        self._replies.put(message)

    def requests(
        self, prompts: list[list[int]], limits: list[int], at_once: int, *, grammar: bool
    ) -> tuple[list[tuple[int, int]], list[list[CoreInput]]]:
        """Nodes, and the messages that ask for them: those of `at_once` requests together."""
        nodes = []
        batches: list[list[CoreInput]] = []
        for index, (prompt, limit) in enumerate(zip(prompts, limits, strict=True)):
            run = self._run
            self._run += 1
            if not self._prefix_cache:
                self._tenant += 1
            if index % at_once == 0:
                batches.append([])
            nodes.append((run, 0))
            batches[-1] += [
                OpenRun(run, tenant=str(self._tenant)),
                OpenStream((run, 0)),
                Append((run, 0), np.array(prompt, dtype=np.int32)),
                Generate(
                    key=(run, 0),
                    node=(run, 0),
                    sampling=RowSampling(temperature=0.0),
                    max_tokens=limit,
                    stream=self._stream,
                    grammar=grammar,
                ),
            ]
        return nodes, batches

    @property
    def computed(self) -> int:
        """Prompt positions computed so far."""
        return self._core.scheduler.counters.computed if self._core is not None else 0

    def open_streams(self, count: int) -> range:
        """Streams that live on between their gens; `close_streams` ends them."""
        runs = range(self._run, self._run + count)
        self._run += count
        inbox: list[CoreInput] = []
        for run in runs:
            inbox += [OpenRun(run, tenant=str(self._tenant)), OpenStream((run, 0))]
        self.drive([], [inbox])
        return runs

    def extend(self, runs: range, turn: int, texts: list[list[int]], max_tokens: int) -> list[Out]:
        """Each stream gets its text and generates; `turn` counts the calls."""
        inbox: list[CoreInput] = []
        for run, text in zip(runs, texts, strict=True):
            inbox += [
                Append((run, 0), np.array(text, dtype=np.int32)),
                Generate(
                    key=(run, 0),
                    node=(run, turn),
                    sampling=RowSampling(temperature=0.0),
                    max_tokens=max_tokens,
                    stream=self._stream,
                ),
            ]
        return self.drive([(run, turn) for run in runs], [inbox], close=False)

    def close_streams(self, runs: range) -> None:
        self.drive([], [[CloseRun(run, NO_ERROR) for run in runs]])

    def generate(self, prompts: list[list[int]], max_tokens: int | list[int], schema: Row | None = None) -> list[Out]:
        if schema is not None and schema is not FIXED_MASK:
            raise SystemExit("see constrained.py for the schema rows of this engine")
        limits = max_tokens if isinstance(max_tokens, list) else [max_tokens] * len(prompts)
        nodes, batches = self.requests(prompts, limits, max(1, len(prompts)), grammar=schema is not None)
        if schema is not None:
            batches[0] += [GrammarReady(node, FixedMask()) for node in nodes]
        return self.drive(nodes, batches)

    def drive(
        self,
        nodes: list[tuple[int, int]],
        batches: list[list[CoreInput]],
        sent: Callable[[int], None] = lambda index: None,
        close: bool = True,
        every: int = 1,
    ) -> list[Out]:
        """Send a batch before `every` few steps, until every request is answered and, with `close`, its run is closed.

        `sent` is called with the index of each batch when it is.
        """
        assert self._core is not None and self._worker is not None
        outs = {node: Out([]) for node in nodes}
        begun = time.perf_counter()
        arriving = deque(enumerate(batches))

        def arrive() -> list[CoreInput]:
            index, batch = arriving.popleft()
            sent(index)
            return batch

        inbox = arrive()
        left = len(outs)
        while True:
            closing: list[CoreInput] = []
            before = time.perf_counter()
            messages = self._core.step(before, inbox)
            seconds = time.perf_counter() - before
            for message in messages:
                if isinstance(message, StepPlan | StepMasks):
                    self._worker.submit(message)
                    if isinstance(message, StepPlan):
                        if self.steps is not None:
                            self.steps.append(Step.of(message, seconds))
                        if arriving and message.step % every == 0:
                            closing += arrive()
                elif isinstance(message, GenTokens):
                    out = outs[message.node]
                    out.ttft = out.ttft or time.perf_counter() - begun
                elif isinstance(message, GenDone):
                    out = outs[message.node]
                    out.tokens, out.cached = unpack(message.ids).tolist(), message.usage.cached
                    out.stopped = message.reason == "stop"
                    self._cached += message.usage.cached
                    if close:
                        closing.append(CloseRun(message.node[0], NO_ERROR))
                    left -= 1
                elif isinstance(message, GenFailed):
                    raise RuntimeError(message.error.what)
            inbox = closing
            if not left and not closing and self._core.idle:
                return list(outs.values())
            if not closing:
                try:
                    inbox = [self._replies.get(timeout=IDLE_SECONDS if arriving else None)]
                except queue.Empty:  # all who came before have been served, or wait for a grammar
                    inbox = arrive()
            while not self._replies.empty():
                inbox.append(self._replies.get())


def masked(engine: Adapter, rows: int = 256, pairs: int = 5) -> Row:
    """Decode steps with a mask on every row against the same without, in alternating pairs; ramify's engine alone."""
    rng = random.Random(7)
    prompts = [ids(rng, 256, engine.vocab_high) for _ in range(rows)]
    engine.generate(prompts, 1)
    ratios = []
    for _ in range(pairs):
        seconds = []
        for schema in (None, FIXED_MASK):
            short, _ = timed(engine, prompts, 8, schema)
            long, _ = timed(engine, prompts, 72, schema)
            seconds.append(long["seconds"] - short["seconds"])
        ratios.append(100 * (seconds[1] / seconds[0] - 1))
    return {"rows": rows, "slower_pct": round(sorted(ratios)[pairs // 2], 2), "all_pct": [round(r, 2) for r in ratios]}


def conversations(engine: Engine, seed: int = 5, count: int = 64, turns: int = 8) -> Row:
    """W5 on streams that live from turn to turn: what a turn says is appended, nothing is sent twice.

    What will be said is drawn beforehand: that takes longer than the engine needs between two turns.
    """
    rng = random.Random(seed)
    texts = [[ids(rng, 200, engine.vocab_high) for _ in range(count)] for _ in range(turns)]
    computed = engine.computed
    begun = time.perf_counter()
    runs = engine.open_streams(count)
    seconds, firsts = [], []
    for turn in range(turns):
        turn_begun = time.perf_counter()
        outs = engine.extend(runs, turn, texts[turn], 100)
        seconds.append(round(time.perf_counter() - turn_begun, 4))
        firsts.append(sorted(out.ttft or 0.0 for out in outs)[count // 2])
    total = time.perf_counter() - begun
    engine.close_streams(runs)
    return {
        "seconds": round(total, 4),
        "turn_seconds": seconds,
        "ttft_p50_s": [round(first, 4) for first in firsts],
        "prefill_computed": engine.computed - computed,
        "prefill_ideal": count * (200 * turns + turns - 1),  # a gen's last token has no KV before its stream goes on
    }


def floors(name: str, row: Row, ceilings: Ceilings, size: ModelSize) -> list[tuple[str, float, float]]:
    """(what, measured, floor) of a workload's result; rates and times alike."""
    match name:
        case "w4" | "w4u" | "w4i" | "w4d":
            return table_lines(name, row)
        case "masked":
            return [("masked step slower %", row["slower_pct"], 0.0)]
        case "w1":
            floor = size.prefill(ceilings, 512 * 512) + 256 * size.decode(ceilings, 512, 640)
            return [("w1 out tok/s", row["out_tok_s"], 131_072 / floor)]
        case "w2":
            return [("w2 ms/token", row["mean_itl_ms"], 1e3 * size.decode(ceilings, 1, 384))]
        case "w3":
            decode = 64 * size.decode(ceilings, 512, 96, kv_shared=8 * 2048)
            floor = size.prefill(ceilings, 8 * 2048 + 512 * 64) + decode + 0.05
            return [("w3 out tok/s", row["out_tok_s"], 512 * 64 / floor)]
        case "w5" | "w5s":
            turns = [
                size.prefill(ceilings, 64 * 201) + 100 * size.decode(ceilings, 64, 300 * turn + 250)
                for turn in range(8)
            ]
            return [(f"{name} s", row["seconds"], sum(turns))]
        case "w6":
            return [
                (f"w6 batch {r['batch']} ms", r["step_ms"], 1e3 * size.decode(ceilings, r["batch"], 1152))
                for r in row["rows"]
            ]
    return []


ROWS: dict[str, Any] = {**WORKLOADS, **CONSTRAINED, "w5s": conversations, "masked": masked}


def step_report(engine: Engine, workload: str) -> str:
    """The workload once more, under torch's profiler, and where its milliseconds went."""
    engine.flush()
    engine.steps = []
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CUDA]) as recorded:
        ROWS[workload](engine)
        torch.cuda.synchronize()
    steps, engine.steps = engine.steps, None
    spans = device_spans(recorded)
    return report(workload, cut(spans, steps), spans)


def profile(engine: Adapter, path: Path) -> None:
    """Decode 64 rows under torch's profiler; write a Chrome trace and print the share of time no kernel runs."""
    prompts = [[1000 + 7 * i + j for j in range(960)] for i in range(64)]
    engine.generate(prompts, 1)
    activities = [torch.profiler.ProfilerActivity.CPU, torch.profiler.ProfilerActivity.CUDA]
    with torch.profiler.profile(activities=activities) as recorded:
        engine.generate(prompts, 48)
    recorded.export_chrome_trace(str(path))
    events = json.loads(path.read_text())["traceEvents"]
    spans = [
        (event["ts"], event["ts"] + event["dur"], event["name"])
        for event in events
        if event.get("cat") in ("kernel", "gpu_memcpy", "gpu_memset")
    ]
    print(idle_report(spans))


def idle_report(spans: list[tuple[float, float, str]]) -> str:
    """Idle share of the last two thirds of `spans` (start, end in microseconds, name), and where the time goes."""
    spans.sort()
    spans = spans[len(spans) // 3 :]
    busy, reached = 0.0, spans[0][0]
    for start, end, _ in spans:
        busy += max(0.0, end - max(start, reached))
        reached = max(reached, end)
    total = reached - spans[0][0]
    times: dict[str, list[float]] = {}
    for start, end, name in spans:
        times.setdefault(name, []).append(end - start)
    lines = [f"GPU idle {100 * (1 - busy / total):.2f}% of {total / 1e3:.1f} ms, {len(spans)} kernels and copies"]
    for name, parts in sorted(times.items(), key=lambda item: -sum(item[1]))[:14]:
        lines.append(
            f"  {100 * sum(parts) / total:5.1f}%  {sum(parts) / len(parts):8.2f} us x {len(parts):5d}  {name[:90]}"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--engine", default="ramify", help="ramify, vllm, sglang, or a module with a class Engine")
    parser.add_argument("--workloads", nargs="+", default=["w2", "w6", "w1"], choices=sorted(ROWS))
    parser.add_argument("--shape", default="llama-3.1-8b", choices=sorted(SHAPES), help="random weights of this shape")
    parser.add_argument("--model", type=Path, help="a model directory instead of a shape")
    parser.add_argument("--tokenizer", type=Path, help="a tokenizer.json or tekken.json for the w4 rows; else made up")
    parser.add_argument("--max-rows", type=int, default=512)
    parser.add_argument("--step-tokens", type=int, default=8192, help="tokens of one step at most")
    parser.add_argument("--ttft", action="store_true", help="stream tokens, to see when the first one comes")
    parser.add_argument("--steps", action="store_true", help="run each workload again, profiled: where its time goes")
    parser.add_argument("--profile", type=Path, help="write a Chrome trace of 64 rows decoding here")
    parser.add_argument("--json", type=Path, help="write every figure here")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(name)s: %(message)s")
    engine: Any
    if options.engine == "ramify":
        engine = Engine(
            max_rows=options.max_rows,
            stream=options.ttft,
            step_tokens=options.step_tokens,
            tokenizer=options.tokenizer,
        )
    else:
        try:
            engine = importlib.import_module(ENGINES.get(options.engine, options.engine)).Engine(stream=options.ttft)
        except EngineMissing as error:
            raise SystemExit(str(error)) from error
    ceilings = Ceilings.measure()
    print(ceilings, flush=True)
    table: list[str] = []
    results: Row = {"ceilings": str(ceilings)}
    size = model_size(SHAPES[options.shape])
    with tempfile.TemporaryDirectory() as name:
        directory = options.model or Path(name)
        if options.model is None:
            write_config(options.shape, directory)
        begun = time.perf_counter()
        engine.start(str(directory), prefix_cache=True)
        engine.generate([[5000, 6000, 7000]], 1)
        table.append(f"{'start to first token s':<24} {time.perf_counter() - begun:10.1f}")
        print(engine.name, engine.version, engine.config, table[0], flush=True)
        for workload in options.workloads:
            engine.flush()
            try:
                row = results[workload] = ROWS[workload](engine)
            except Exception:  # the other rows are worth having
                table.append(f"{workload} failed: {traceback.format_exc(limit=3)}")
                continue
            print(workload, json.dumps(row), flush=True)
            for what, measured, floor in floors(workload, row, ceilings, size) if options.model is None else []:
                reached = measured / floor if "tok/s" in what else floor / measured
                share = f"   floor {floor:10.2f}   {100 * reached:5.1f}% of it" if floor else ""
                table.append(f"{what:<24} {measured:10.2f}{share}")
            if options.steps and options.engine == "ramify":
                print(step_report(engine, workload), flush=True)
        if options.profile is not None:
            profile(engine, options.profile)
        engine.stop()
    if options.json is not None:
        options.json.write_text(json.dumps(results, indent=1))
    print(
        f"\nengine limit, {options.model or options.shape + ', random weights'}, {ceilings}",
        *table,
        sep="\n",
        flush=True,
    )


if __name__ == "__main__":
    main()
