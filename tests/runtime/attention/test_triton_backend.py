"""The CUDA backend gives what the plain one gives: chunks, decode rows and both, windows, shared slots."""

from __future__ import annotations

import numpy as np
import pytest
import torch

pytest.importorskip("triton", reason="Triton cannot be installed here")

from ramify.runtime.attention.flash import Heads, choose
from ramify.runtime.attention.interface import AttentionBatch, Chunk, StepAttention
from ramify.runtime.attention.kv_pool import KVLayout, KVPool
from ramify.runtime.attention.rotation import Rotation
from ramify.runtime.attention.torch_backend import TorchAttention
from ramify.runtime.attention.triton_backend import TritonAttention
from torch import Tensor

DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
LAYERS, SLOTS, ROWS, LENGTH = 2, 400, 7, 150
# Row -> its length after the step. Rows 0 and 1 share their first 40 slots.
LENGTHS = {0: 40, 1: 49, 2: 5, 3: 78, 4: 1, 5: 3, 6: 130}
CHUNKS = [Chunk(1, 40, 9), Chunk(0, 10, 30), Chunk(2, 0, 5), Chunk(3, 77, 1), Chunk(4, 0, 1)]
DECODES = [6, 5]
# Query heads, key/value heads, size of a head: each head its own, 4 and 8 to one, one for all. Compiled, all of them;
# in the interpreter, which takes seconds a case, some.
GROUPINGS = [(4, 4), (8, 2), (16, 2), (6, 1)]
HEADS = [(*grouping, size) for grouping in GROUPINGS for size in (64, 80, 96, 128, 256)]
DTYPES = [torch.float32, torch.bfloat16, torch.float16]
if DEVICE.type == "cpu":
    HEADS = [(4, 4, 64), (8, 2, 64), (6, 1, 80), (4, 1, 128)]
    DTYPES = [torch.float32, torch.float16]  # the interpreter's bf16 is not the device's
TOLERANCE = {torch.float32: 1e-5, torch.bfloat16: 1e-2, torch.float16: 4e-3}


def _batch(rng: np.random.Generator, chunks: list[Chunk], decodes: list[int]) -> AttentionBatch:
    table = np.full((ROWS, LENGTH), SLOTS - 1, np.int32)
    slots, at = rng.permutation(SLOTS - 1).astype(np.int32), 0
    for row, length in LENGTHS.items():
        table[row, :length] = slots[at : at + length]
        at += length
    table[1, :40] = table[0, :40]
    tokens = [(chunk.row, chunk.start + i) for chunk in chunks for i in range(chunk.count)]
    tokens += [(row, LENGTHS[row] - 1) for row in decodes]
    rows = np.array(decodes, dtype=np.int64)
    lengths = np.array([LENGTHS[row] for row in decodes], dtype=np.int64)
    return AttentionBatch(
        table_RP=torch.from_numpy(table).to(DEVICE),
        slots_T=torch.tensor([int(table[token]) for token in tokens], device=DEVICE),
        chunks=chunks,
        decode_rows=rows,
        rows_D=torch.from_numpy(rows).to(DEVICE),
        lengths_D=torch.from_numpy(lengths).to(DEVICE),
        length_bounds=lengths,
    )


@pytest.mark.parametrize(("heads", "kv_heads", "head_dim"), HEADS)
@pytest.mark.parametrize(
    ("chunks", "decodes"), [(CHUNKS, DECODES), (CHUNKS, []), ([], DECODES)], ids=["mixed", "chunks", "decode"]
)
@pytest.mark.parametrize("dtype", DTYPES)
def test_a_step_equals_the_plain_backend(
    heads: int, kv_heads: int, head_dim: int, chunks: list[Chunk], decodes: list[int], dtype: torch.dtype
) -> None:
    rng = np.random.default_rng()
    batch = _batch(rng, chunks, decodes)
    pools = [
        KVPool(KVLayout(dtype), layers=LAYERS, slots=SLOTS, kv_heads=kv_heads, head_dim=head_dim, device=DEVICE)
        for _ in range(2)
    ]
    past = torch.randn(2, *pools[0].keys_LSKH.shape).to(DEVICE, dtype)
    for pool in pools:
        pool.keys_LSKH.copy_(past[0])
        pool.values_LSKH.copy_(past[1])
        pool.keys_LSKH[:, SLOTS - 1] = torch.nan  # a free slot
        pool.values_LSKH[:, SLOTS - 1] = torch.nan
    plain = TorchAttention(pools[0]).begin(batch)
    flash = choose(DEVICE, dtype, Heads(heads, kv_heads, head_dim, windowed=True))
    windows = (None, 7, 120)
    fused = TritonAttention(pools[1], heads=heads, max_rows=4, flash=flash, windows=windows).begin(batch)
    tokens = batch.slots_T.shape[0]
    for layer, window in ((0, None), (1, 7), (1, 120)):
        qkv = torch.randn(tokens, heads + 2 * kv_heads, head_dim).to(DEVICE, dtype)
        q, k, v = qkv.split((heads, kv_heads, kv_heads), dim=1)
        angle = torch.rand(tokens, head_dim // 2) * 6
        rotation = Rotation(angle.cos().to(DEVICE, dtype), angle.sin().to(DEVICE, dtype))
        expected = _run(plain, layer, q.clone(), k, v, rotation, window)
        actual = _run(fused, layer, q, k, v, rotation, window)
        assert actual.isfinite().all()
        error = (actual.double() - expected.double()).norm() / expected.double().norm()
        assert float(error) < TOLERANCE[dtype]


def _run(
    step: StepAttention, layer: int, q: Tensor, k: Tensor, v: Tensor, rotation: Rotation, window: int | None
) -> Tensor:
    turned = step.rotate_and_write(layer, q, k, v, rotation)
    return step.attend(layer, turned, window)
