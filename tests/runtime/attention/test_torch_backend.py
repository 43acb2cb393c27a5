"""The torch backend equals attention written down naively, for any mix of chunks and decode rows."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from ramify.runtime.attention.interface import AttentionBatch, Chunk
from ramify.runtime.attention.kv_pool import KVLayout, KVPool
from ramify.runtime.attention.torch_backend import MAX_GATHER, MAX_QUERIES, TorchAttention, length_groups
from torch import Tensor

LAYERS, SLOTS, ROWS, LENGTH, HEAD_DIM = 2, 400, 7, 150, 8


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> None:
    torch.set_num_threads(1)


def _naive(q_NH: NDArray[np.float64], k_LKH: NDArray[np.float64], v_LKH: NDArray[np.float64]) -> NDArray[np.float64]:
    """One token over the positions it may read, head by head."""
    out = np.empty_like(q_NH)
    group = q_NH.shape[0] // k_LKH.shape[1]
    for head in range(q_NH.shape[0]):
        scores = k_LKH[:, head // group] @ q_NH[head] / np.sqrt(q_NH.shape[1])
        weights = np.exp(scores - scores.max())
        out[head] = weights / weights.sum() @ v_LKH[:, head // group]
    return out


def _seen(row_slots: NDArray[np.int32], position: int, window: int | None) -> NDArray[np.int32]:
    """The slots a token at `position` reads: itself and up to `window` - 1 before it."""
    return row_slots[: position + 1][-(window or LENGTH) :]


@pytest.mark.parametrize("windows", [(None, None), (None, 7), (1, 49), (10, 130), (131, 64)])
@pytest.mark.parametrize(("heads", "kv_heads"), [(4, 4), (4, 2), (6, 1)])
def test_a_mixed_step_equals_naive_attention(heads: int, kv_heads: int, windows: tuple[int | None, ...]) -> None:
    rng = np.random.default_rng(heads)
    device = torch.device("cpu")
    pool = KVPool(
        KVLayout(torch.float64), layers=LAYERS, slots=SLOTS, kv_heads=kv_heads, head_dim=HEAD_DIM, device=device
    )
    pool.keys_LSKH.fill_(torch.nan)
    pool.values_LSKH.fill_(torch.nan)
    # Rows 0 and 1 share the slots of their first 40 positions; row 0 computes the last 30 of them in this step.
    chunks = [Chunk(1, 40, 9), Chunk(0, 10, 30), Chunk(2, 0, 5), Chunk(3, 77, 1), Chunk(4, 0, 1)]
    decode_rows, decode_lengths = np.array([6, 5]), np.array([130, 3])
    slots = rng.permutation(SLOTS)
    lengths = {0: 40, 1: 49, 2: 5, 3: 78, 4: 1, 6: 130, 5: 3}
    table, at = np.full((ROWS, LENGTH), SLOTS - 1, np.int32), 0
    for row, length in lengths.items():
        table[row, :length] = slots[at : at + length]
        at += length
    table[1, :40] = table[0, :40]
    tokens = [(chunk.row, chunk.start + i) for chunk in chunks for i in range(chunk.count)]
    tokens += [(row, length - 1) for row, length in zip(decode_rows.tolist(), decode_lengths.tolist(), strict=True)]
    own = np.array([table[token] for token in tokens])
    batch = AttentionBatch(
        table_RP=torch.from_numpy(table),
        slots_T=torch.from_numpy(own).long(),
        chunks=chunks,
        decode_rows=decode_rows,
        rows_D=torch.from_numpy(decode_rows),
        lengths_D=torch.from_numpy(decode_lengths),
        length_bounds=decode_lengths + np.array([4, 0]),  # a bound may be above the length
    )
    step = TorchAttention(pool).begin(batch)
    for layer, window in enumerate(windows):
        # What no window reaches stays NaN: it must not be read, not even to be hidden.
        reached = np.concatenate([_seen(table[row], position, window) for row, position in tokens])
        past = np.setdiff1d(reached, own)
        k_SKH, v_SKH = (rng.normal(0, 1, (SLOTS, kv_heads, HEAD_DIM)) for _ in range(2))
        pool.keys_LSKH[layer, past] = torch.from_numpy(k_SKH[past])
        pool.values_LSKH[layer, past] = torch.from_numpy(v_SKH[past])
        step.write(layer, torch.from_numpy(k_SKH[own]), torch.from_numpy(v_SKH[own]))
        q_TNH = rng.normal(0, 1, (len(tokens), heads, HEAD_DIM))
        mixed: Tensor = step.attend(layer, torch.from_numpy(q_TNH), window)
        for t, (row, position) in enumerate(tokens):
            seen = _seen(table[row], position, window)
            np.testing.assert_allclose(mixed[t].numpy(), _naive(q_TNH[t], k_SKH[seen], v_SKH[seen]), atol=1e-12)


@pytest.mark.parametrize("window", [None, 1, 2, MAX_QUERIES - 1, MAX_QUERIES, MAX_QUERIES + 1, 3 * MAX_QUERIES])
@pytest.mark.parametrize("start", [0, 3])
def test_a_long_chunk_in_pieces_equals_naive_attention(start: int, window: int | None) -> None:
    rng = np.random.default_rng(0)
    count = 2 * MAX_QUERIES + 1  # the last piece is one token
    slots = rng.permutation(start + count)
    pool = KVPool(
        KVLayout(torch.float64), layers=1, slots=start + count, kv_heads=1, head_dim=4, device=torch.device("cpu")
    )
    k_SKH, v_SKH, q_TNH = (rng.normal(0, 1, (start + count, 1, 4)) for _ in range(3))
    pool.keys_LSKH[0], pool.values_LSKH[0] = torch.from_numpy(k_SKH), torch.from_numpy(v_SKH)
    batch = AttentionBatch(
        table_RP=torch.from_numpy(slots.astype(np.int32)[None]),
        slots_T=torch.from_numpy(slots[start:]),
        chunks=[Chunk(0, start, count)],
        decode_rows=np.empty(0, np.int64),
        rows_D=torch.empty(0, dtype=torch.int64),
        lengths_D=torch.empty(0, dtype=torch.int64),
        length_bounds=np.empty(0, np.int64),
    )
    mixed = TorchAttention(pool).begin(batch).attend(0, torch.from_numpy(q_TNH[start:]), window)
    for t in (0, 1, MAX_QUERIES - 1, MAX_QUERIES, MAX_QUERIES + 1, 2 * MAX_QUERIES - 1, 2 * MAX_QUERIES):
        seen = slots[: start + t + 1][-(window or len(slots)) :]
        np.testing.assert_allclose(mixed[t], _naive(q_TNH[start + t], k_SKH[seen], v_SKH[seen]), atol=1e-12)


def test_layers_of_different_windows_share_a_step_in_any_order() -> None:
    rng = np.random.default_rng(1)
    pool = KVPool(KVLayout(torch.float64), layers=1, slots=9, kv_heads=1, head_dim=2, device=torch.device("cpu"))
    k_SKH, v_SKH, q_TNH = (rng.normal(0, 1, (9, 1, 2)) for _ in range(3))
    pool.keys_LSKH[0], pool.values_LSKH[0] = torch.from_numpy(k_SKH), torch.from_numpy(v_SKH)
    batch = AttentionBatch(
        table_RP=torch.arange(9, dtype=torch.int32)[None],
        slots_T=torch.arange(9),
        chunks=[Chunk(0, 0, 9)],
        decode_rows=np.empty(0, np.int64),
        rows_D=torch.empty(0, dtype=torch.int64),
        lengths_D=torch.empty(0, dtype=torch.int64),
        length_bounds=np.empty(0, np.int64),
    )
    step = TorchAttention(pool).begin(batch)
    for window in (3, None, 2, 3, 9):
        mixed = step.attend(0, torch.from_numpy(q_TNH), window)
        for t in range(9):
            seen = _seen(np.arange(9, dtype=np.int32), t, window)
            np.testing.assert_allclose(mixed[t].numpy(), _naive(q_TNH[t], k_SKH[seen], v_SKH[seen]), atol=1e-12)


def test_a_layer_leaves_the_others_alone() -> None:
    pool = KVPool(KVLayout(torch.float32), layers=2, slots=5, kv_heads=1, head_dim=2, device=torch.device("cpu"))
    pool.keys_LSKH.zero_()
    pool.values_LSKH.zero_()
    batch = AttentionBatch(
        table_RP=torch.tensor([[3, 1, 0]], dtype=torch.int32),
        slots_T=torch.tensor([3, 1]),
        chunks=[Chunk(0, 0, 2)],
        decode_rows=np.empty(0, np.int64),
        rows_D=torch.empty(0, dtype=torch.int64),
        lengths_D=torch.empty(0, dtype=torch.int64),
        length_bounds=np.empty(0, np.int64),
    )
    TorchAttention(pool).begin(batch).write(1, torch.ones(2, 1, 2), 2 * torch.ones(2, 1, 2))
    assert pool.keys_LSKH.sum(dim=(2, 3)).tolist() == [[0.0] * 5, [0.0, 2.0, 0.0, 2.0, 0.0]]
    assert pool.values_LSKH.sum(dim=(2, 3)).tolist() == [[0.0] * 5, [0.0, 4.0, 0.0, 4.0, 0.0]]


def test_bytes_per_slot_are_those_of_the_pool() -> None:
    layout = KVLayout(torch.bfloat16)
    pool = KVPool(layout, layers=3, slots=11, kv_heads=2, head_dim=16, device=torch.device("cpu"))
    expected = pool.keys_LSKH.nbytes + pool.values_LSKH.nbytes
    assert KVPool.bytes_per_slot(layout, layers=3, kv_heads=2, head_dim=16) * 11 == expected


@pytest.mark.parametrize("seed", range(5))
def test_length_groups_cover_every_row_once_and_bound_the_padding(seed: int) -> None:
    bounds = (2 ** np.random.default_rng(seed).uniform(0, 17, 60)).astype(np.int64)
    groups = length_groups(bounds)
    assert sorted(np.concatenate(groups).tolist()) == list(range(60))
    for group in groups:
        lengths = bounds[group]
        assert lengths.max() == lengths[-1]
        assert lengths[-1] <= max(64, 2 * lengths.min())
        assert len(group) == 1 or lengths[-1] * len(group) <= MAX_GATHER


def test_no_rows_are_no_groups() -> None:
    assert length_groups(np.empty(0, np.int64)) == []
