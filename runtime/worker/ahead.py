"""What a start on a GPU must compile or load before its first captured step, done beside the widest step.

Triton's compiler works with the interpreter's lock released for most of its time, and so does a library that loads its
kernels; one after the other they take half of a cold start. Each job here runs on a thread of its own. A job launches
what it compiles, on inputs as small as can be: what it writes are rows and slots that belong to nobody.

Shapes: B entries of a captured step, E width of a row, V vocab_size.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from functools import partial

import numpy as np
import torch

from ..kernels.prefixes import SharedPrefixes
from ..models.config import ModelConfig
from ..models.decoder import DecoderBlock, DecoderForCausalLM
from ..protocol.sampling import RowSampling
from ..sampling.fused import FusedDraw
from ..sampling.masks import words_per_row
from .runner import StepRunner

Job = Callable[[], None]


def run_beside(main: Job, jobs: Iterable[Job], device: torch.device) -> None:
    """Run `main` here and each of `jobs` on a thread; returns when all have ended. Raises what one of them raises."""

    def run(job: Job) -> None:
        with torch.inference_mode(), torch.cuda.device(device) if device.type == "cuda" else nullcontext():
            job()

    with ThreadPoolExecutor(thread_name_prefix="ramify-ahead") as pool:
        futures = [pool.submit(run, job) for job in jobs]
        main()
        for future in futures:
            future.result()
    if device.type == "cuda":
        torch._C._cuda_clearCublasWorkspaces()  # each thread had some 32 MiB of its own


def jobs_of(
    runner: StepRunner, model: DecoderForCausalLM, config: ModelConfig, dtype: torch.dtype, sizes: list[int], slot: int
) -> list[Job]:
    """The jobs of a runner whose decode steps are captured at `sizes`; `slot` belongs to nobody."""
    device = runner.device
    with torch.inference_mode():  # what most jobs need is compiled once, in front of them
        model.model.norm(torch.zeros((1, config.hidden_size), dtype=dtype, device=device))
    full = None in config.windows  # windows share no prefix
    return [
        *(partial(_products, model, group, dtype, device) for group in _groups(sizes)),
        partial(_draws, config.vocab_size, dtype, device),
        *(
            partial(_decode, runner, config, dtype, slot, together)
            for together in ((False, True) if full else (False,))
        ),
    ]


def _groups(sizes: list[int]) -> list[list[int]]:
    """Sizes whose products are computed by the same kernels of ours, which pad to 32 or 64 rows."""
    groups: dict[int, list[int]] = {}
    for size in sizes:
        groups.setdefault(1 if size == 1 else max(32, 1 << (size - 1).bit_length()), []).append(size)
    return list(groups.values())


def _products(model: DecoderForCausalLM, sizes: list[int], dtype: torch.dtype, device: torch.device) -> None:
    """The products of a block, and of the head, with as many rows; a library loads other kernels for other sizes."""
    block = model.model.layers[0]
    assert isinstance(block, DecoderBlock)
    attention = block.self_attn
    for size in sizes:
        x_BE = torch.zeros((size, attention.qkv_proj.in_features), dtype=dtype, device=device)
        mixed_BE = torch.zeros((size, attention.o_proj.in_features), dtype=dtype, device=device)
        attention.heads(x_BE)
        attention.o_proj.onto(mixed_BE, torch.zeros_like(x_BE))
        block.mlp(x_BE, torch.zeros_like(x_BE))
        model.logits(x_BE)


def _draws(vocab_size: int, dtype: torch.dtype, device: torch.device) -> None:
    """Greedy and random, with a mask and without."""
    row, ids_S = np.zeros(1, dtype=np.int64), torch.zeros(1, dtype=torch.int64, device=device)
    draws = FusedDraw(max_rows=1, length_R=torch.zeros_like(ids_S), next_id_R=torch.zeros_like(ids_S))
    logits_SV = torch.zeros((1, vocab_size), dtype=dtype, device=device)
    masks = torch.full((1, words_per_row(vocab_size)), -1, dtype=torch.int32, device=device)
    for temperature in (0.0, 1.0):
        draws.open(0, RowSampling(temperature=temperature))
        draws.draw(logits_SV, row, row, ids_S, None, None, ids_S)
        draws.draw(logits_SV, row, row, ids_S, masks, row, ids_S)


def _decode(runner: StepRunner, config: ModelConfig, dtype: torch.dtype, slot: int, together: bool) -> None:
    """Attention of one entry of the scratch row: alone, or as if it shared a prefix."""
    rows_B = torch.full((2,), runner.rows.scratch_row, dtype=torch.int64, device=runner.device)
    shared = SharedPrefixes.none(1, 2, runner.device) if together else None
    tokens = runner.rows.begin_decode(rows_B, torch.full_like(rows_B, slot), shared)
    step = runner.attention.begin(tokens.attention)
    heads = config.num_heads + 2 * config.num_kv_heads
    qkv = torch.zeros((2, heads, config.head_dim), dtype=dtype, device=runner.device)  # strided as a merged product is
    for window in sorted(set(config.windows), key=str):
        if not together or window is None:
            step.attend(0, qkv[:, : config.num_heads], window)
