"""How large the KV pool of a GPU becomes: what weights, the worst step and the captured graphs leave.

The worst step is run, not estimated: as many prompt tokens as a step may have, of as many rows as the batch may have,
every one of which samples with every feature on. It is run once over a small pool to be measured, and once more over
the real one as a proof.

    total  |-- others --|-- weights --|-- KV pool --|-- worst step, graphs, gathered prefixes --|-- reserve --|
"""

from __future__ import annotations

import gc
from dataclasses import dataclass

import numpy as np
import torch

from ...errors import WorkerError
from ..attention.varlen import MAX_GATHER
from ..models.config import ModelConfig
from ..models.registry import build_model
from ..protocol.plan import RowOpen, StepPlan
from ..protocol.sampling import RowSampling
from ..protocol.tokens import pack, unpack
from ..sampling.sampler import Masks
from .runner import StepRunner

RESERVE = 0.03
"""Share of the device's memory that is left alone: fragments, libraries, the display of somebody else."""

NO_MEMORY = (
    "can't allocate memory",
    "not enough memory",
    "size calculation overflowed",
    "ALLOC_FAILED",
    "out of memory",
)

LONG_CHUNK = 1024
EVERYTHING = RowSampling(temperature=1.0, top_p=0.9, min_p=0.01, repetition_penalty=1.1, logprobs=20)


@dataclass(frozen=True)
class StepBytes:
    """Device memory a step needs besides weights and pool."""

    step: int
    graphs: int
    gather: int

    @property
    def total(self) -> int:
        return self.step + self.graphs + self.gather


def wide_plan(max_rows: int, max_length: int, step_tokens: int, slots: int) -> StepPlan:
    """`step_tokens` prompt tokens, if there is room, over all rows, each of which samples with every feature on."""
    rows = min(max_rows, step_tokens, slots)
    counts = np.full(rows, min(min(step_tokens, slots) // rows, max_length))
    every = np.arange(rows)
    ids = np.zeros(int(counts.sum()), dtype=np.int32)
    return StepPlan(
        step=0,
        opened=[RowOpen(row, 0, b"", EVERYTHING, pack([0]), pack([0])) for row in range(rows)],
        span_rows=pack(every),
        span_starts=pack(0 * every),
        span_counts=pack(counts),
        span_slots=pack(np.arange(len(ids))),
        chunk_rows=pack(every),
        chunk_starts=pack(0 * every),
        chunk_counts=pack(counts),
        chunk_ids=pack(ids),
        sample_rows=pack(every),
        sample_index=pack(counts.cumsum() - 1),
    )


def long_plan(max_length: int, slots: int) -> StepPlan:
    """A chunk at the end of the longest row there can be."""
    length = min(max_length, slots)
    count = min(LONG_CHUNK, length)
    return StepPlan(
        step=1,
        opened=[RowOpen(0, 1, pack(np.arange(length)), EVERYTHING, pack([0]), pack([0]))],
        chunk_rows=pack([0]),
        chunk_starts=pack([length - count]),
        chunk_counts=pack([count]),
        chunk_ids=pack(np.zeros(count, dtype=np.int32)),
        sample_rows=pack([0]),
        sample_index=pack([count - 1]),
    )


def drawing_plans() -> list[StepPlan]:
    """A greedy draw and a random one."""
    plans = []
    for sampling in (RowSampling(temperature=0.0), RowSampling()):
        plans.append(
            StepPlan(
                step=0,
                opened=[RowOpen(0, 0, b"", sampling)],
                span_rows=pack([0]),
                span_starts=pack([0]),
                span_counts=pack([1]),
                span_slots=pack([0]),
                chunk_rows=pack([0]),
                chunk_starts=pack([0]),
                chunk_counts=pack([1]),
                chunk_ids=pack([0]),
                sample_rows=pack([0]),
                sample_index=pack([0]),
            )
        )
    return plans


def run_alone(runner: StepRunner, plan: StepPlan, masks: Masks | None = None) -> None:
    """Run one step and close its rows again; returns when the device has done it."""
    with torch.inference_mode():
        runner.open_and_close(plan)
        computed = runner.forward(plan)
        if computed is not None:
            rows = unpack(plan.sample_rows).astype(np.int64)
            runner.sample(*computed, rows, np.arange(len(rows)), masks)
        runner.open_and_close(StepPlan(step=2, closed=plan.sample_rows))
    torch.cuda.synchronize(runner.device)


def gather_bytes(bytes_per_slot: int, layers: int, max_length: int) -> int:
    """One layer's KV of the slots that are gathered at once, at most."""
    return max(MAX_GATHER, max_length) * bytes_per_slot // layers


def measured_peak(runner: StepRunner, plan: StepPlan) -> int:
    """Bytes torch allocates at most, beyond what it holds already, while `plan` runs."""
    torch.cuda.synchronize(runner.device)
    before = torch.cuda.memory_allocated(runner.device)
    torch.cuda.reset_peak_memory_stats(runner.device)
    run_alone(runner, plan)
    return torch.cuda.max_memory_allocated(runner.device) - before


def free_bytes(device: torch.device) -> int:
    """What the device has free when torch has given back all it does not use."""
    gc.collect()
    torch.cuda.empty_cache()
    return torch.cuda.mem_get_info(device)[0]


def pool_bytes(device: torch.device, needed: StepBytes, weights: int) -> int:
    """Memory for the KV pool. Raises WorkerError when nothing is left."""
    free, total = free_bytes(device), torch.cuda.mem_get_info(device)[1]
    left = free - needed.total - int(RESERVE * total)
    if left <= 0:
        raise WorkerError(
            f"no memory is left for the KV pool on {device}: {gib(total)} in all, {gib(weights)} of weights, "
            f"{gib(needed.total)} for the largest step ({gib(needed.step)} computing, {gib(needed.graphs)} of graphs, "
            f"{gib(needed.gather)} to gather a prefix), {gib(total - free - weights)} in use otherwise",
            where="WorkerOptions",
            hint="give fewer step_tokens or max_rows, a shorter max_length, or another device",
        )
    return left


def weight_bytes(config: ModelConfig, dtype: torch.dtype, max_length: int) -> int:
    """Bytes of a model's parameters, which it takes no memory to know."""
    model = build_model(config, dtype=dtype, device=torch.device("meta"), max_length=max_length)
    return sum(parameter.nbytes for parameter in model.parameters())


def out_of_memory(error: MemoryError | RuntimeError) -> bool:
    """Whether memory is what `error` lacks: torch has a type for its own allocations on a GPU, and words elsewhere."""
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or any(words in str(error) for words in NO_MEMORY)


def memory_of(device: torch.device) -> str:
    """What a GPU has in all and free, to be followed by what else there is to say; empty for a CPU."""
    if device.type != "cuda":
        return ""
    free, total = torch.cuda.mem_get_info(device)
    return f"{gib(total)} in all, {gib(free)} of it free, "


def gib(size: int) -> str:
    return f"{size / (1 << 30):.2f} GiB"
