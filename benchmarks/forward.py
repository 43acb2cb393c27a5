"""The torch worker alone: prefill and decode through plans (engine limit, random weights, one device).

    python benchmarks/forward.py [--device cuda --dtype bfloat16 --layers 32 --hidden 4096 ...] [--threads 1]

No scheduler, no grammar, no tokenizer: plans are made before the clock starts, commands run in the caller. The decode
lines are the median of steps in which every row decodes and samples one token; the last column names the sampler.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from ramify.runtime.protocol.plan import RowOpen, StepFailed, StepMasks, StepPlan, WorkerReply
from ramify.runtime.protocol.sampling import RowSampling
from ramify.runtime.protocol.tokens import pack
from ramify.runtime.worker.executor import InlineExecutor
from ramify.runtime.worker.options import WorkerOptions
from ramify.runtime.worker.torch_worker import TorchWorker

SAMPLERS = {
    "greedy": RowSampling(temperature=0.0),
    "temperature": RowSampling(temperature=0.8),
    "top-p": RowSampling(temperature=0.8, top_p=0.9),
    "penalties": RowSampling(temperature=0.8, repetition_penalty=1.1),
}


class Bench:
    """One worker and a cursor over its slots; every step is timed."""

    def __init__(self, directory: Path, options: WorkerOptions) -> None:
        self.replies: list[WorkerReply] = []
        self.worker = TorchWorker.load(directory, self.replies.append, options, executor=InlineExecutor())
        self.rng = np.random.default_rng(0)
        self.step = 0
        self.epoch = 0

    def run(self, plan: StepPlan) -> float:
        """Seconds from the plan to the reply."""
        started = time.perf_counter()
        self.worker.submit(plan)
        self.worker.submit(StepMasks(plan.step))
        seconds = time.perf_counter() - started
        reply = self.replies.pop()
        if isinstance(reply, StepFailed):
            raise SystemExit(reply.error)
        self.step += 1
        return seconds

    def prefill(self, rows: int, length: int, reserve: int, sampling: RowSampling) -> float:
        """Seconds to compute `rows` prompts of `length` tokens in one step; their slots begin at multiples of both."""
        self.epoch += 1
        stride = length + reserve
        slots = np.concatenate([np.arange(row * stride, row * stride + length) for row in range(rows)])
        every = np.arange(rows)
        return self.run(
            StepPlan(
                step=self.step,
                opened=[RowOpen(row, self.epoch, b"", sampling) for row in range(rows)],
                span_rows=pack(every),
                span_starts=pack(np.zeros(rows, np.int32)),
                span_counts=pack(np.full(rows, length)),
                span_slots=pack(slots),
                chunk_rows=pack(every),
                chunk_starts=pack(np.zeros(rows, np.int32)),
                chunk_counts=pack(np.full(rows, length)),
                chunk_ids=pack(self.rng.integers(0, self.worker.info.vocab_size, rows * length)),
                sample_rows=pack(every),
                sample_index=pack((every + 1) * length - 1),
            )
        )

    def decode(self, rows: int, length: int, reserve: int) -> list[float]:
        """Seconds of each of `reserve` steps that decode all rows, behind `prefill` with the same figures."""
        every = np.arange(rows)
        seconds = []
        for i in range(reserve):
            slots = every * (length + reserve) + length + i
            plan = StepPlan(
                step=self.step,
                decode_rows=pack(every),
                decode_slots=pack(slots),
                sample_rows=pack(every),
                sample_index=pack(every),
            )
            seconds.append(self.run(plan))
        return seconds

    def close(self, rows: int) -> None:
        self.run(StepPlan(step=self.step, closed=pack(np.arange(rows))))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--dtype", default="auto", choices=("auto", "float32", "bfloat16", "float16", "float64"))
    parser.add_argument("--threads", type=int, default=0, help="torch threads; 0 leaves torch's default")
    parser.add_argument("--layers", type=int, default=6)
    parser.add_argument("--hidden", type=int, default=256)
    parser.add_argument("--intermediate", type=int, default=704)
    parser.add_argument("--heads", type=int, default=4)
    parser.add_argument("--kv-heads", type=int, default=2)
    parser.add_argument("--vocab", type=int, default=4096)
    parser.add_argument("--length", type=int, default=256)
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--rows", type=int, nargs="+", default=[1, 8, 32, 64])
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    config = {
        "architectures": ["LlamaForCausalLM"],
        "vocab_size": options.vocab,
        "hidden_size": options.hidden,
        "intermediate_size": options.intermediate,
        "num_hidden_layers": options.layers,
        "num_attention_heads": options.heads,
        "num_key_value_heads": options.kv_heads,
        "max_position_embeddings": options.length + options.steps,
    }
    with tempfile.TemporaryDirectory() as name:
        (Path(name) / "config.json").write_text(json.dumps(config))
        bench = Bench(
            Path(name),
            WorkerOptions(
                device=options.device,
                dtype=options.dtype,
                slots=max(options.rows) * (options.length + options.steps),
                max_rows=max(options.rows),
                load_format="dummy",
            ),
        )
    print("engine limit, random weights:", json.dumps(config))
    print(
        f"device {options.device}, dtype {options.dtype}, {torch.get_num_threads()} threads, torch {torch.__version__}"
    )
    print(f"{'rows':>5} {'prompt':>7} {'prefill tok/s':>14} {'decode ms/step':>15} {'decode tok/s':>13}  sampler")
    for rows in options.rows:
        for sampler, sampling in SAMPLERS.items():
            prefill = bench.prefill(rows, options.length, options.steps, sampling)
            decode = statistics.median(bench.decode(rows, options.length, options.steps))
            bench.close(rows)
            print(
                f"{rows:5d} {options.length:7d} {rows * options.length / prefill:14.0f} {decode * 1e3:15.2f} "
                f"{rows / decode:13.0f}  {sampler}",
                flush=True,
            )


if __name__ == "__main__":
    main()
