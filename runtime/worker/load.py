"""From a model directory to a `StepRunner` that is ready for its first step.

On a GPU the order is: weights, the worst step over a small pool (measured), the pool, the captured decode steps, the
worst step again (proof). Nothing is compiled or allocated for the first time when the first request comes.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, nullcontext
from functools import partial
from pathlib import Path

import numpy as np
import torch

from ...errors import WorkerError
from ..attention.flash import Heads, choose
from ..attention.interface import AttentionBackend
from ..attention.kv_pool import KVLayout, KVPool
from ..attention.torch_backend import TorchAttention
from ..models.config import ModelConfig
from ..models.decoder import DecoderForCausalLM
from ..models.loader import fill_random, load_weights
from ..models.registry import build_model, load_config
from ..protocol.plan import CacheSpec, WorkerInfo
from ..sampling.masks import words_per_row
from ..sampling.sampler import Masks
from .ahead import jobs_of, run_beside
from .decode_graphs import DecodeGraphs, ladder, shared_ladder
from .fast_path import uses_kernels
from .memory import (
    StepBytes,
    drawing_plans,
    gather_bytes,
    gib,
    long_plan,
    measured_peak,
    memory_of,
    out_of_memory,
    pool_bytes,
    run_alone,
    weight_bytes,
    wide_plan,
)
from .options import WorkerOptions
from .runner import StepRunner

log = logging.getLogger("ramify.worker")


def load_runner(directory: Path, options: WorkerOptions) -> tuple[StepRunner, WorkerInfo]:
    """The model of `directory` over a pool, as `options` say. Raises: see `TorchWorker.load`."""
    config = load_config(directory)
    device, dtype = options.torch_device(), options.torch_dtype(config)
    begun = time.perf_counter()
    with torch.cuda.device(device) if device.type == "cuda" else nullcontext():
        build = _Build(directory, options, config, device, dtype)
        slots = build.slots()
        runner = build.runner(slots)
        if build.kernels and device.type == "cuda":
            with build.fitting(f"the captured steps do not fit beside a KV pool of {slots} slots"):
                build.compile(runner, slots)
                build.capture(runner, ladder(build.max_rows), slots, show=True)
                build.warm(runner)
            with build.fitting(f"the largest step does not fit beside a KV pool of {slots} slots"):
                build.prove(runner, slots)
    log.info("%s: ready after %.1f s, %d slots of KV", directory, time.perf_counter() - begun, slots)
    # A layer's window hides old positions and frees none: every layer keeps a slot for each, which is "full".
    info = WorkerInfo(
        slots=slots,
        max_rows=runner.rows.scratch_row,
        max_length=build.max_length,
        vocab_size=config.vocab_size,
        cache=[CacheSpec(kind="full", layers=config.num_layers, bytes_per_slot=build.bytes_per_slot)],
    )
    return runner, info


class _Build:
    """The parts of a runner, and the sizes that follow from each other."""

    def __init__(
        self, directory: Path, options: WorkerOptions, config: ModelConfig, device: torch.device, dtype: torch.dtype
    ) -> None:
        self._directory, self._options, self._config = directory, options, config
        self._device, self._dtype = device, dtype
        self._layout = KVLayout(dtype)
        self.max_length = options.row_length(config)
        self.max_rows = options.rows(device)
        self.bytes_per_slot = KVPool.bytes_per_slot(
            self._layout, layers=config.num_layers, kv_heads=config.num_kv_heads, head_dim=config.head_dim
        )
        self.kernels = uses_kernels(options, config, device, dtype)
        windowed = any(window is not None for window in config.windows)
        heads = Heads(config.num_heads, config.num_kv_heads, config.head_dim, windowed)
        self._flash = choose(device, dtype, heads) if self.kernels else None
        if options.slots is not None or options.kv_bytes is not None:
            options.pool_slots(self.bytes_per_slot, options.kv_bytes or 0)  # before minutes of loading
        self._compiled = False
        self._model = self._load_model()

    def slots(self) -> int:
        """How many slots the pool gets."""
        kv_bytes = self._options.pool_bytes(self._device)
        if kv_bytes is None and self._options.slots is None:
            weights = sum(parameter.nbytes for parameter in self._model.parameters())
            needed = self._measure()
            log.info("weights %s, largest step %s, graphs %s", *map(gib, (weights, needed.step, needed.graphs)))
            kv_bytes = pool_bytes(self._device, needed, weights)
        return self._options.pool_slots(self.bytes_per_slot, kv_bytes or 0)

    def runner(self, slots: int) -> StepRunner:
        """A runner over a pool of `slots` slots and the scratch slot behind them."""
        config = self._config
        with self.fitting(f"a KV pool of {slots} slots ({gib(slots * self.bytes_per_slot)}) does not fit"):
            pool = KVPool(
                self._layout,
                layers=config.num_layers,
                slots=slots + 1,
                kv_heads=config.num_kv_heads,
                head_dim=config.head_dim,
                device=self._device,
            )
            return StepRunner(
                self._model,
                self._attention(pool),
                max_rows=self.max_rows,
                max_length=self.max_length,
                vocab_size=config.vocab_size,
                device=self._device,
                fused=self.kernels,
            )

    def compile(self, runner: StepRunner, slots: int) -> None:
        """Run the widest step, and beside it what else there is to compile or load; the first time it is called."""
        if self._compiled:
            return
        self._compiled = True
        plan = wide_plan(self.max_rows, self.max_length, self._options.step_tokens, slots)
        jobs = []
        if self.kernels:
            sizes = sorted({*ladder(self.max_rows), *shared_ladder(self.max_rows)})
            jobs = jobs_of(runner, self._model, self._config, self._dtype, sizes, slots)
        run_beside(partial(run_alone, runner, plan), jobs, self._device)

    def capture(self, runner: StepRunner, sizes: list[int], slots: int, *, show: bool) -> None:
        """Give `runner` its graphs."""
        with torch.inference_mode():
            runner.graphs = DecodeGraphs(
                runner.model,
                runner.attention,
                runner.rows,
                sizes,
                shared_ladder(self.max_rows) if show and None in self._config.windows else [],
                scratch_slot=slots,
                track=_bar if show else iter,
            )

    def warm(self, runner: StepRunner) -> None:
        """Draw in each way the sampling kernel has, before a request needs it."""
        packed = np.full((1, 4 * words_per_row(self._config.vocab_size)), 0xFF, dtype=np.uint8)
        for plan in drawing_plans():
            for masks in (None, Masks(np.zeros(1, dtype=np.int64), np.zeros(1, dtype=np.int64), packed)):
                run_alone(runner, plan, masks)

    def prove(self, runner: StepRunner, slots: int) -> None:
        """Run the largest steps there can be."""
        run_alone(runner, wide_plan(self.max_rows, self.max_length, self._options.step_tokens, slots))
        run_alone(runner, long_plan(self.max_length, slots))

    @contextmanager
    def fitting(self, what: str) -> Iterator[None]:
        """Raises WorkerError, with `what` and the numbers, when the device's memory ends inside."""
        try:
            yield
        except (MemoryError, RuntimeError) as error:
            if not out_of_memory(error):
                raise
            weights = weight_bytes(self._config, self._dtype, self.max_length)
            raise WorkerError(
                f"{what} on {self._device}: {memory_of(self._device)}{gib(weights)} of weights; {error}",
                where=str(self._directory),
                hint="give fewer slots or kv_bytes, fewer step_tokens or max_rows, a smaller dtype or another device",
            ) from error

    def _attention(self, pool: KVPool) -> AttentionBackend:
        if not self.kernels:
            return TorchAttention(pool)
        from ..attention.triton_backend import TritonAttention

        return TritonAttention(
            pool,
            heads=self._config.num_heads,
            max_rows=self.max_rows,
            flash=self._flash,
            windows=self._config.windows,
        )

    def _load_model(self) -> DecoderForCausalLM:
        with self.fitting("the model does not fit"):
            model = build_model(
                self._config, dtype=self._dtype, device=self._device, max_length=self.max_length, kernels=self.kernels
            )
        begun = time.perf_counter()
        if self._options.load_format == "dummy":
            fill_random(model, self._config, self._options.seed)
        else:
            load_weights(model, self._config, self._directory)
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)
        seconds = time.perf_counter() - begun
        size = sum(parameter.nbytes for parameter in model.parameters())
        log.info("weights: %s in %.1f s, %.2f GB/s", gib(size), seconds, size / seconds / 1e9)
        return model

    def _measure(self) -> StepBytes:
        """What steps need, measured over a pool just large enough for the widest one."""
        slots = self._options.step_tokens
        runner = self.runner(slots)
        plan = wide_plan(self.max_rows, self.max_length, slots, slots)
        with self.fitting(f"a step of {slots} tokens does not fit beside the model"):
            self.compile(runner, slots)
            step = measured_peak(runner, plan)
        graphs = 0
        if self.kernels:
            before = torch.cuda.memory_reserved(self._device)
            with self.fitting(f"a captured step of {self.max_rows} rows does not fit beside the model"):
                self.capture(runner, [self.max_rows], slots, show=False)
            graphs = max(0, torch.cuda.memory_reserved(self._device) - before)
            graphs += GRAPH_BYTES * (len(ladder(self.max_rows)) + len(shared_ladder(self.max_rows)))
        return StepBytes(step, graphs, gather_bytes(self.bytes_per_slot, self._config.num_layers, self.max_length))


GRAPH_BYTES = 8 << 20
"""What the driver keeps for one captured step, besides its tensors; generous."""


def _bar(sizes: list[int]) -> Iterable[int]:
    from rich.progress import track

    return track(sizes, description="capturing decode steps", transient=True)
