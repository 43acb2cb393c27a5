"""Attention of prompt chunks equals causal softmax attention written down in float64, however chunks are cut."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

pytest.importorskip("triton", reason="Triton cannot be installed here")

from ramify.runtime.kernels.prompt_attention import PromptShape, cut_tiles, prompt_attention, tile_tokens
from torch import Tensor

TOLERANCE = {torch.float32: 1e-5, torch.float16: 2e-3, torch.bfloat16: 2e-2}
CHUNKS = [(2, 0, 33), (0, 50, 17), (3, 45, 1), (1, 5, 40), (4, 32, 16)]
"""Row, start, count."""


def _expected(q_TNH: Tensor, k_LKH: Tensor, v_LKH: Tensor, start: int, window: int | None) -> Tensor:
    """Tokens at `start` and behind it over positions [0, L), float64."""
    groups = q_TNH.shape[1] // k_LKH.shape[1]
    k_LNH, v_LNH = (x.double().repeat_interleave(groups, dim=1) for x in (k_LKH, v_LKH))
    score_NTL = torch.einsum("tnh,lnh->ntl", q_TNH.double(), k_LNH) / math.sqrt(q_TNH.shape[2])
    position_T1 = torch.arange(start, start + q_TNH.shape[0], device=q_TNH.device)[:, None]
    key_L = torch.arange(k_LKH.shape[0], device=q_TNH.device)
    hidden_TL = key_L > position_T1
    if window is not None:
        hidden_TL |= key_L <= position_T1 - window
    return torch.einsum("ntl,lnh->tnh", score_NTL.masked_fill(hidden_TL, -torch.inf).softmax(-1), v_LNH)


def _check(
    generator: torch.Generator,
    *,
    heads: int,
    kv_heads: int,
    head_dim: int,
    chunks: list[tuple[int, int, int]] = CHUNKS,
    window: int | None = None,
    shape: PromptShape | None = None,
    dtype: torch.dtype = torch.float32,
) -> None:
    device = generator.device
    shape = shape or PromptShape(rows=32, block=16)
    slots = sum(start + count for _, start, count in chunks) + 9

    def random(*size: int) -> Tensor:
        return torch.randn(size, generator=generator, device=device).to(dtype)

    keys, values = (torch.full((slots, kv_heads, head_dim), torch.nan, dtype=dtype, device=device) for _ in range(2))
    order = torch.randperm(slots, generator=generator, device=device)
    table = torch.full((5, 99), int(order[-1]), dtype=torch.int32, device=device)  # a slot that holds NaN
    at = 0
    for row, start, count in chunks:
        mine = order[at : at + start + count]
        at += start + count
        table[row, : len(mine)] = mine.int()
        keys[mine], values[mine] = random(len(mine), kv_heads, head_dim), random(len(mine), kv_heads, head_dim)
    tokens = sum(count for _, _, count in chunks)
    q = random(tokens + 2, heads + 3, head_dim)[:, :heads]  # the token's stride is not that of a dense tensor
    out = torch.full((tokens + 2, heads, head_dim), torch.nan, dtype=dtype, device=device)
    rows, starts, counts = np.array(chunks, dtype=np.int64).T
    tiles = cut_tiles(rows, starts, counts, tile_tokens(shape, heads, kv_heads), device)
    prompt_attention(q, keys, values, table, tiles, out, shape=shape, window=window)
    at = 0
    for row, start, count in chunks:
        read = table[row, : start + count].long()
        expected = _expected(q[at : at + count], keys[read], values[read], start, window)
        error = (out[at : at + count].double() - expected).norm() / expected.norm()
        assert float(error) < TOLERANCE[dtype], (row, start, count)
        at += count
    assert out[tokens:].isnan().all()


@pytest.mark.parametrize(("heads", "kv_heads"), [(3, 3), (8, 2), (8, 1), (6, 1)], ids=["mha", "gqa4", "mqa8", "mqa6"])
@pytest.mark.parametrize("head_dim", [64, 128])
def test_every_grouping_of_heads(generator: torch.Generator, heads: int, kv_heads: int, head_dim: int) -> None:
    _check(generator, heads=heads, kv_heads=kv_heads, head_dim=head_dim)


@pytest.mark.parametrize("head_dim", [80, 96, 256])
def test_every_head_size(generator: torch.Generator, head_dim: int) -> None:
    _check(generator, heads=4, kv_heads=2, head_dim=head_dim)


@pytest.mark.parametrize("window", [1, 7, 16, 40, 1000])
def test_a_window_hides_what_is_older(generator: torch.Generator, window: int) -> None:
    _check(generator, heads=4, kv_heads=2, head_dim=64, window=window)


@pytest.mark.parametrize(("rows", "block"), [(16, 16), (16, 64), (128, 16), (64, 32)])
@pytest.mark.parametrize("chunks", [[(0, 0, 1)], [(3, 0, 64)], [(1, 63, 2), (0, 64, 1)]])
def test_any_cut(generator: torch.Generator, rows: int, block: int, chunks: list[tuple[int, int, int]]) -> None:
    _check(generator, heads=4, kv_heads=2, head_dim=64, chunks=chunks, shape=PromptShape(rows=rows, block=block))


def test_half_precision(generator: torch.Generator, device: torch.device) -> None:
    dtype = torch.bfloat16 if device.type == "cuda" else torch.float16  # the interpreter's bf16 is not the device's
    _check(generator, heads=8, kv_heads=2, head_dim=128, dtype=dtype)


def test_tiles_cover_every_token_once() -> None:
    rng = np.random.default_rng()
    rows, starts, counts = rng.permutation(9), rng.integers(0, 99, 9), rng.integers(1, 70, 9)
    tiles = cut_tiles(rows, starts, counts, 16, torch.device("cpu")).tiles_W4.numpy()
    covered = sorted(
        (int(first) + i, int(row), int(start) + i) for row, first, count, start in tiles for i in range(int(count))
    )
    tokens = [
        (int(row), int(start) + i) for row, start, count in zip(rows, starts, counts, strict=True) for i in range(count)
    ]
    assert covered == [(i, row, position) for i, (row, position) in enumerate(tokens)]
    assert (tiles[:, 2] <= 16).all()
