"""Each kernel against its own floor on this GPU: the time its bytes, or its operations, take at the device's best.

    python benchmarks/kernels.py [--sweep] [--only NAME]

Shapes are those of Llama 3.1 8B in bf16. Inputs are random and rotate over more memory than the L2 cache holds; a row
is the median of graph replays, so launch gaps do not count. --sweep tries other cuts of attention too.
"""

from __future__ import annotations

import argparse
import traceback
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import torch
from ceilings import Ceilings, milliseconds
from ramify.runtime.attention.flash import Heads, working
from ramify.runtime.attention.interface import Chunk
from ramify.runtime.attention.kv_pool import KVLayout, KVPool
from ramify.runtime.attention.triton_backend import default_prompt_shape, default_shape
from ramify.runtime.attention.varlen import attend, pieces
from ramify.runtime.kernels.activation import gated_silu
from ramify.runtime.kernels.decode_attention import DecodeShape, DecodeWorkspace, decode_attention
from ramify.runtime.kernels.norm import add_rms_norm
from ramify.runtime.kernels.prompt_attention import cut_tiles, prompt_attention, tile_tokens
from ramify.runtime.kernels.rotary import rotate_and_write
from ramify.runtime.kernels.sampling import SampleInputs, sample
from ramify.runtime.kernels.skinny import MOST_ROWS, SkinnyProducts
from torch.nn.functional import linear

HIDDEN, INTERMEDIATE, HEADS, KV_HEADS, HEAD, VOCAB, LAYERS = 4096, 14336, 32, 8, 128, 128_256, 32
PRODUCTS = {
    "qkv": (6144, HIDDEN),
    "o": (HIDDEN, HIDDEN),
    "gate_up": (2 * INTERMEDIATE, HIDDEN),
    "down": (HIDDEN, INTERMEDIATE),
    "head": (VOCAB, HIDDEN),
}
ROTATED_BYTES = 256 << 20
Job = Callable[[], object]


def bf16(*shape: int) -> torch.Tensor:
    return torch.randn(shape, device="cuda", dtype=torch.bfloat16)


def copies(size: int) -> int:
    """How many input sets of `size` bytes rotate."""
    return max(1, min(64, ROTATED_BYTES // max(size, 1)))


def graph_ms(jobs: Sequence[Job]) -> float:
    """Milliseconds of one job: all of them in one graph, replayed."""
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for job in jobs:
            job()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        for job in jobs:
            job()
    return milliseconds(graph.replay, repeats=11) / len(jobs)


class Bench:
    """Prints a row a kernel; a kernel that fails costs its own row alone."""

    def __init__(self, ceilings: Ceilings) -> None:
        self.ceilings = ceilings
        self.lines: list[str] = []

    def row(self, name: str, ms: float, *, size: float = 0.0, operations: float = 0.0) -> None:
        floor = 1e3 * max(size / self.ceilings.bandwidth, operations / self.ceilings.rate)
        achieved = f"{size / ms / 1e6:6.0f} GB/s" if size else f"{operations / ms / 1e9:6.0f} TFLOP/s"
        line = f"{name:<58} {1e3 * ms:9.1f} us  floor {1e3 * floor:9.1f} us  {100 * floor / ms:5.1f}%  {achieved}"
        self.lines.append(line)
        print(line, flush=True)

    def group(self, run: Callable[[Bench], None]) -> None:
        try:
            run(self)
        except Exception:  # the other groups are worth having
            self.lines.append(f"{run.__name__} failed: {traceback.format_exc(limit=4)}")
            print(self.lines[-1], flush=True)
        torch.cuda.empty_cache()


def small_kernels(bench: Bench) -> None:
    for tokens in (1, 64, 256, 8192):
        size = tokens * HIDDEN * 2
        n = copies(4 * size)
        xs, residuals, weight = [bf16(tokens, HIDDEN) for _ in range(n)], [bf16(tokens, HIDDEN)] * n, bf16(HIDDEN)
        jobs: list[Job] = [partial(add_rms_norm, x, r, weight, 1e-5) for x, r in zip(xs, residuals, strict=True)]
        bench.row(f"add + rms norm, {tokens} tokens", graph_ms(jobs), size=4 * size)
        gates = [bf16(tokens, 2 * INTERMEDIATE) for _ in range(copies(6 * tokens * INTERMEDIATE))]
        jobs = [partial(gated_silu, gate) for gate in gates]
        bench.row(f"silu * up, {tokens} tokens", graph_ms(jobs), size=6 * tokens * INTERMEDIATE)
        del gates, xs
        qkv_size = tokens * (HEADS + 2 * KV_HEADS) * HEAD * 2
        qkvs = [bf16(tokens, HEADS + 2 * KV_HEADS, HEAD) for _ in range(copies(2 * qkv_size))]
        keys, values = bf16(16384, KV_HEADS, HEAD), bf16(16384, KV_HEADS, HEAD)
        cos, sin = bf16(tokens, HEAD // 2), bf16(tokens, HEAD // 2)
        slots = torch.randperm(16384, device="cuda")[:tokens]

        parts = [qkv.split((HEADS, KV_HEADS, KV_HEADS), dim=1) for qkv in qkvs]
        jobs = [partial(rotate_and_write, q, k, v, cos, sin, slots, keys, values) for q, k, v in parts]
        bench.row(f"rotary + KV write, {tokens} tokens", graph_ms(jobs), size=2 * qkv_size)
        del qkvs


def sampling(bench: Bench) -> None:
    for rows in (1, 64, 256):
        n = copies(rows * VOCAB * 2)
        logits = [bf16(rows, VOCAB) for _ in range(n)]
        every = torch.arange(rows, dtype=torch.int32, device="cuda")
        words = -(-VOCAB // 32)
        masks = torch.randint(-(2**31), 2**31 - 1, (rows, words), device="cuda").to(torch.int32)
        ids, next_id, length = (torch.zeros(rows, dtype=torch.int64, device="cuda") for _ in range(3))
        for name, temperature, masked in (("greedy", 0.0, False), ("random", 0.8, False), ("random masked", 0.8, True)):
            inputs = SampleInputs(
                every,
                every,
                length.clone(),
                every if masked else None,
                masks if masked else None,
                torch.full((rows,), temperature, device="cuda"),
                torch.arange(rows, dtype=torch.int64, device="cuda"),
                random=temperature > 0,
            )
            jobs: list[Job] = [partial(sample, x, inputs, ids, next_id, length) for x in logits]
            bench.row(f"sample {name}, {rows} rows", graph_ms(jobs), size=rows * VOCAB * 2 + masked * rows * words * 4)
        del logits


def attention_jobs(pool: KVPool, rows: int, context: int, shape: DecodeShape) -> list[Job]:
    """Decode attention of `rows` rows over scattered slots, once a layer of `pool`."""
    layers, slots = pool.keys_LSKH.shape[:2]
    table = torch.randperm(slots, device="cuda")[: rows * context].view(rows, context).int()
    lengths = torch.full((rows,), context, device="cuda")
    order = torch.arange(rows, device="cuda")
    q, out = bf16(rows, HEADS, HEAD), bf16(rows, HEADS, HEAD)
    workspace = DecodeWorkspace(shape, rows=rows, heads=HEADS, head_dim=HEAD, device=torch.device("cuda"))
    line = workspace.lay_out(lengths, None)
    return [
        partial(decode_attention, q, k, v, table, order, lengths, line, workspace, out)
        for k, v in zip(pool.keys_LSKH[:layers], pool.values_LSKH[:layers], strict=True)
    ]


CASES = [(1, 1152), (1, 16384), (8, 1152), (64, 1152), (64, 4096), (256, 1152)]


def attention(bench: Bench) -> None:
    for rows, context in CASES:
        size = rows * context * KV_HEADS * HEAD * 4
        pool = _pool(rows * context, copies(size))
        bench.row(
            f"decode attention, {rows} x {context}", graph_ms(attention_jobs(pool, rows, context, default_shape(pool))),
            size=size,
        )  # fmt: skip
        del pool


def attention_sweep(bench: Bench) -> None:
    multiprocessors = torch.cuda.get_device_properties(0).multi_processor_count
    for rows, context in CASES:
        size = rows * context * KV_HEADS * HEAD * 4
        pool = _pool(rows * context, copies(size))
        found = []
        for block, warps, stages in (
            (64, 4, 3),
            (32, 4, 3),
            (32, 2, 3),
            (128, 4, 2),
            (128, 8, 2),
            (64, 4, 2),
            (32, 4, 4),
        ):
            for places in (2, 3, 4, 6):
                shape = DecodeShape(multiprocessors * places // KV_HEADS, block, warps, stages)
                found.append((graph_ms(attention_jobs(pool, rows, context, shape)), places, shape))
        found.sort(key=lambda item: item[0])
        for ms, places, shape in found[:3]:
            cut = f"block {shape.block} warps {shape.warps} stages {shape.stages} places {places}"
            bench.row(f"  {rows} x {context}: {cut}", ms, size=size)
        del pool


def _pool(slots: int, layers: int) -> KVPool:
    pool = KVPool(
        KVLayout(torch.bfloat16), layers=layers, slots=slots, kv_heads=KV_HEADS, head_dim=HEAD,
        device=torch.device("cuda"),
    )  # fmt: skip
    pool.keys_LSKH.normal_()
    pool.values_LSKH.normal_()
    return pool


def prefill(bench: Bench) -> None:
    """Our tiles and every FlashAttention that works here, over the same chunks; the gather is part of the latter."""
    heads = Heads(HEADS, KV_HEADS, HEAD, windowed=False)
    kernels = list(working(torch.device("cuda"), torch.bfloat16, heads))
    for chunks, start, count in ((16, 0, 512), (4, 0, 2048), (1, 0, 8192), (64, 2048, 64), (4, 6144, 2048)):
        length = start + count
        pool = _pool(chunks * length, 1)
        table = torch.randperm(chunks * length, device="cuda").view(chunks, length).int()
        q = bf16(chunks * count, HEADS, HEAD)
        out = torch.empty_like(q)
        parts = pieces([Chunk(row, start, count) for row in range(chunks)], table, None)
        operations = 4 * chunks * HEADS * HEAD * (count * start + count * count / 2)
        gathers = [partial(pool.keys_LSKH[0].index_select, 0, piece.slots_L) for piece in parts]
        ms = 2 * sum(milliseconds(gather) for gather in gathers)
        bench.row(f"gather alone, {chunks} x {count} at {start}", ms, size=4 * chunks * length * KV_HEADS * HEAD * 2)
        for flash in kernels:
            jobs = [
                partial(attend, flash, piece, q[piece.first : piece.last], pool, 0, out[piece.first : piece.last])
                for piece in parts
            ]
            ms = sum(milliseconds(job) for job in jobs)
            bench.row(f"prompts {chunks} x {count} at {start}, {flash.name}", ms, operations=operations)
        shape, rows = default_prompt_shape(pool), np.arange(chunks)
        tokens = tile_tokens(shape, HEADS, KV_HEADS)
        tiles = cut_tiles(rows, 0 * rows + start, 0 * rows + count, tokens, q.device)
        ms = milliseconds(
            partial(prompt_attention, q, pool.keys_LSKH[0], pool.values_LSKH[0], table, tiles, out, shape=shape)
        )
        bench.row(f"prompts {chunks} x {count} at {start}, tiles", ms, operations=operations)
        del pool


def products(bench: Bench) -> None:
    """The library's, and ours up to where the library takes over; gate and up with their gate."""
    ours = SkinnyProducts(torch.device("cuda"))
    gated = {"library": lambda x, weight: gated_silu(linear(x, weight)), "ours": partial(ours.linear, gated=True)}
    for rows in (1, 8, 16, 32, 64, 128, 256):
        ways = {"library": linear, "ours": ours.linear} if rows <= MOST_ROWS else {"library": linear}
        totals = dict.fromkeys(ways, 0.0)
        total_size = 0
        for name, (outputs, inputs) in PRODUCTS.items():
            size = outputs * inputs * 2
            weights = [bf16(outputs, inputs) for _ in range(max(2, copies(size)))]
            x = bf16(rows, inputs)
            count = 1 if name == "head" else LAYERS
            total_size += count * size
            for way, product in ways.items():
                compute = gated[way] if name == "gate_up" else product
                ms = graph_ms([partial(compute, x, weight) for weight in weights])
                totals[way] += count * ms
                bench.row(f"{way}: product {name}, {rows} rows", ms, size=size)
            del weights
        for way, total in totals.items():
            bench.row(f"{way}: all products of a step, {rows} rows", total, size=total_size)


GROUPS = {run.__name__: run for run in (small_kernels, sampling, attention, prefill, products)}
SWEEPS = {run.__name__: run for run in (attention_sweep,)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sweep", action="store_true", help="try other cuts too")
    parser.add_argument("--only", nargs="+", choices=sorted(GROUPS | SWEEPS))
    options = parser.parse_args()
    torch.manual_seed(0)
    ceilings = Ceilings.measure()
    bench = Bench(ceilings)
    print(ceilings, flush=True)
    groups = GROUPS | SWEEPS if options.sweep else GROUPS
    with torch.inference_mode():
        for name, run in (GROUPS | SWEEPS if options.only else groups).items():
            if not options.only or name in options.only:
                bench.group(run)


if __name__ == "__main__":
    main()
