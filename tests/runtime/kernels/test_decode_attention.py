"""Decode attention equals softmax attention written down in float64, however the positions fall on the programs."""

from __future__ import annotations

import math

import pytest
import torch

pytest.importorskip("triton", reason="Triton cannot be installed here")

from ramify.runtime.kernels.decode_attention import (
    DecodeShape,
    DecodeWorkspace,
    decode_attention,
)
from ramify.runtime.kernels.prefix_attention import PrefixShape
from ramify.runtime.kernels.prefixes import TILE_ROWS, SharedPrefixes
from torch import Tensor

TOLERANCE = {torch.float32: 1e-5, torch.float16: 2e-3, torch.bfloat16: 2e-2}


def _expected(q_NH: Tensor, k_LKH: Tensor, v_LKH: Tensor) -> Tensor:
    """One token over the positions it may read, float64."""
    groups = q_NH.shape[0] // k_LKH.shape[1]
    k_LNH, v_LNH = (x.double().repeat_interleave(groups, dim=1) for x in (k_LKH, v_LKH))
    weights_NL = (torch.einsum("nh,lnh->nl", q_NH.double(), k_LNH) / math.sqrt(q_NH.shape[1])).softmax(-1)
    return torch.einsum("nl,lnh->nh", weights_NL, v_LNH)


def _check(
    generator: torch.Generator,
    *,
    heads: int,
    kv_heads: int,
    head_dim: int,
    lengths: list[int],
    window: int | None = None,
    programs: int = 5,
    dtype: torch.dtype = torch.float32,
) -> None:
    device = generator.device
    rows, most = len(lengths), max(lengths)
    slots = 2 * sum(lengths) + 8

    def random(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator, device=device).to(dtype)

    keys, values = (torch.full((slots, kv_heads, head_dim), torch.nan, dtype=dtype, device=device) for _ in range(2))
    order = torch.randperm(slots, generator=generator, device=device)
    table = torch.full((rows + 3, most + 2), int(order[-1]), dtype=torch.int32, device=device)  # a slot that holds NaN
    rows_D = torch.randperm(rows + 3, generator=generator, device=device)[:rows]
    read, at = [], 0
    for row, length in zip(rows_D.tolist(), lengths, strict=True):
        mine = order[at : at + length]
        at += length
        table[row, :length] = mine.int()
        read.append(mine if window is None else mine[-window:])
        keys[read[-1]], values[read[-1]] = random(len(read[-1]), kv_heads, head_dim), random(*keys[read[-1]].shape)
    lengths_D = torch.tensor(lengths, device=device)
    qkv = random(rows, heads + 3, head_dim)  # the token's stride is not that of a dense tensor
    out = torch.full((rows, heads, head_dim), torch.nan, dtype=dtype, device=device)
    shape = DecodeShape(programs=programs, block=16)
    workspace = DecodeWorkspace(shape, rows=rows, heads=heads, head_dim=head_dim, device=device)
    workspace.mean_CNH.fill_(torch.nan)
    workspace.weight_CN.fill_(torch.nan)
    line = workspace.lay_out(lengths_D, window)
    decode_attention(qkv[:, :heads], keys, values, table, rows_D, lengths_D, line, workspace, out)
    for i, slots_L in enumerate(read):
        expected = _expected(qkv[i, :heads], keys[slots_L], values[slots_L])
        if not lengths[i]:
            expected = torch.zeros_like(expected)
        error = (out[i].double() - expected).norm() / max(float(expected.norm()), 1e-9)
        assert float(error) < TOLERANCE[dtype], (i, lengths)


@pytest.mark.parametrize(("heads", "kv_heads"), [(3, 3), (8, 2), (8, 1), (6, 1)], ids=["mha", "gqa4", "mqa8", "mqa6"])
@pytest.mark.parametrize("head_dim", [64, 128])
def test_every_grouping_of_heads(generator: torch.Generator, heads: int, kv_heads: int, head_dim: int) -> None:
    _check(generator, heads=heads, kv_heads=kv_heads, head_dim=head_dim, lengths=[17, 1, 40])


@pytest.mark.parametrize("head_dim", [80, 96, 256])
def test_every_head_size(generator: torch.Generator, head_dim: int) -> None:
    _check(generator, heads=4, kv_heads=2, head_dim=head_dim, lengths=[33, 5])


@pytest.mark.parametrize("window", [1, 7, 16, 40, 1000])
def test_a_window_hides_what_is_older(generator: torch.Generator, window: int) -> None:
    _check(generator, heads=4, kv_heads=2, head_dim=64, lengths=[3, 40, 41, 90], window=window)


@pytest.mark.parametrize(
    ("lengths", "programs"),
    [
        ([1], 1),
        ([1], 9),
        ([160], 1),
        ([160], 10),
        ([161], 10),
        ([700], 40),  # more segments of one row than the merge reads at once
        ([1] * 20, 3),
        ([16] * 6, 6),
        ([0, 5, 0, 0, 30, 0], 4),
        ([0, 0], 2),
        ([1, 300, 1, 1, 40], 7),
    ],
)
def test_any_lengths_on_any_number_of_programs(generator: torch.Generator, lengths: list[int], programs: int) -> None:
    _check(generator, heads=2, kv_heads=1, head_dim=64, lengths=lengths, programs=programs)


def test_half_precision(generator: torch.Generator, device: torch.device) -> None:
    dtype = torch.bfloat16 if device.type == "cuda" else torch.float16  # the interpreter's bf16 is not the device's
    _check(generator, heads=8, kv_heads=2, head_dim=128, lengths=[50, 3], dtype=dtype)


@pytest.mark.parametrize("window", [None, 4])
def test_a_line_gives_each_row_its_positions_and_each_program_its_first_row(
    generator: torch.Generator, window: int | None
) -> None:
    device, rows = generator.device, 37
    lengths = torch.randint(0, 60, (rows,), generator=generator, device=device)
    shape = DecodeShape(programs=11, block=16)
    workspace = DecodeWorkspace(shape, rows=rows + 5, heads=1, head_dim=16, device=device)
    ends, starts = workspace.lay_out(lengths, window)
    read = lengths.tolist() if window is None else [min(length, window) for length in lengths.tolist()]
    expected = [sum(read[:d]) for d in range(rows + 1)]
    assert ends.tolist() == expected
    blocks = math.ceil(math.ceil(expected[-1] / shape.programs) / shape.block)
    for program, start in enumerate(starts.tolist()):
        at = program * blocks * shape.block
        if at < expected[-1]:
            assert expected[start] <= at < expected[start + 1]


@pytest.mark.parametrize(
    ("heads", "kv_heads", "programs", "part"), [(8, 2, 3, 128), (3, 3, 1, 16), (6, 1, 7, 64), (8, 1, 2, 16)]
)
def test_a_prefix_read_together_gives_what_each_row_reads_alone(
    generator: torch.Generator, heads: int, kv_heads: int, programs: int, part: int
) -> None:
    device, head_dim = generator.device, 64
    # Three groups of rows: their prefix, and what each row has behind it. The first needs two tiles.
    groups = [(50, [3 + i % 19 for i in range(TILE_ROWS + 3)]), (0, [7, 1]), (33, [1, 30])]
    rows = sum(len(tails) for _, tails in groups)
    order = torch.randperm(900, generator=generator, device=device)
    keys, values = (torch.full((900, kv_heads, head_dim), torch.nan, device=device) for _ in range(2))
    table = torch.zeros((rows + 2, 100), dtype=torch.int32, device=device)
    rows_D = torch.randperm(rows + 2, generator=generator, device=device)[:rows]
    place_of = torch.randperm(rows, generator=generator, device=device).tolist()  # members stand anywhere in the step
    lengths_D, prefix_D = (torch.zeros(rows, dtype=torch.int64, device=device) for _ in range(2))
    place_D = torch.full((rows,), -1, dtype=torch.int32, device=device)
    tiles, at, number = list[tuple[int, int, list[int]]](), 0, 0
    for prefix, tails in groups:
        shared_slots, at = order[at : at + prefix], at + prefix
        members = list[int]()
        for tail in tails:
            d = place_of[number]
            number += 1
            slots = torch.cat((shared_slots, order[at : at + tail]))
            at += tail
            table[rows_D[d], : len(slots)] = slots.int()
            keys[slots] = torch.randn(len(slots), kv_heads, head_dim, generator=generator, device=device)
            values[slots] = torch.randn(len(slots), kv_heads, head_dim, generator=generator, device=device)
            lengths_D[d] = len(slots)
            if prefix:
                prefix_D[d] = prefix
                members.append(d)
        for first in range(0, len(members), TILE_ROWS):
            tiles.append((int(rows_D[members[0]]), prefix, members[first : first + TILE_ROWS]))
    tiles.append((0, 0, []))  # a tile that is not used
    members_TM = torch.full((len(tiles), TILE_ROWS), -1, dtype=torch.int32, device=device)
    for t, (_, _, members) in enumerate(tiles):
        for j, d in enumerate(members):
            members_TM[t, j] = d
            place_D[d] = t * TILE_ROWS + j
    shared = SharedPrefixes(
        rows_T=torch.tensor([row for row, _, _ in tiles], device=device),
        lengths_T=torch.tensor([length for _, length, _ in tiles], device=device),
        members_TM=members_TM,
        place_D=place_D,
        lengths_D=prefix_D,
    )
    shape = DecodeShape(programs=programs, block=16)
    q = torch.randn(rows, heads, head_dim, generator=generator, device=device)
    outs = []
    for use in (None, shared):
        workspace = DecodeWorkspace(
            shape, rows=rows, heads=heads, head_dim=head_dim, device=device, tiles=len(tiles),
            prefix_shape=PrefixShape(programs + 1, rows=part, block=16, warps=4),
        )  # fmt: skip
        workspace.mean_CNH.fill_(torch.nan)
        workspace.weight_CN.fill_(torch.nan)
        workspace.tile_mean_CNH.fill_(torch.nan)
        workspace.tile_weight_CN.fill_(torch.nan)
        out = torch.full_like(q, torch.nan)
        line, tile_line = workspace.lay_out(lengths_D, None), None
        if use is not None:
            tile_line, line = workspace.lay_out_tiles(use.lengths_T), workspace.lay_out(lengths_D - prefix_D, None)
        decode_attention(q, keys, values, table, rows_D, lengths_D, line, workspace, out, use, tile_line)
        outs.append(out)
    for d in range(rows):
        slots = table[rows_D[d], : lengths_D[d]].long()
        expected = _expected(q[d], keys[slots], values[slots])
        for out in outs:
            assert float((out[d].double() - expected).norm() / expected.norm()) < 1e-5
