"""Attention on CUDA: split KV for decode rows, tiles of tokens for prompt chunks, both reading slots where they lie.

`begin` on a batch of decode rows alone asks the host for nothing but their number, so the whole step can be captured in
a CUDA graph and replayed for any rows and lengths. Long chunks may go through a FlashAttention over gathered slots
(`varlen.py`), which wins where there is so much arithmetic that a copy does not count.

Shapes: T tokens, D decode rows, N query heads, K key/value heads, H head_dim.
"""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
import torch
from torch import Tensor

from ..kernels.decode_attention import DecodeShape, DecodeWorkspace, Line, decode_attention
from ..kernels.prefix_attention import PrefixShape
from ..kernels.prompt_attention import PromptShape, PromptTiles, cut_tiles, prompt_attention, tile_tokens
from ..kernels.rotary import rotate_and_write
from . import varlen
from .flash import Flash
from .interface import AttentionBatch
from .kv_pool import KVPool
from .rotation import Rotation

PROGRAMS_PER_MULTIPROCESSOR = 4
"""Decode programs that run at once on one multiprocessor, by the kernel's shared memory and registers."""

DECODE_BLOCK_BYTES = 8 << 10
"""Keys of one head in one block of a decode program; of several sizes the best, or close to it, for 8 to 256 rows."""

PREFIX_PROGRAMS_PER_MULTIPROCESSOR = 1
"""The same of the programs that read shared prefixes."""


class TritonAttention:
    """Attention over `pool` for steps of up to `max_rows` decode rows.

    Args:
        heads: N, query heads of the model.
        flash: computes the chunks of steps whose chunks are long; without one, tiles compute them all.
        windows: those of the model's layers.
        shape: how decode work is cut; by default one program a place on the device.
    """

    def __init__(
        self,
        pool: KVPool,
        *,
        heads: int,
        max_rows: int,
        flash: Flash | None,
        windows: Collection[int | None],
        shape: DecodeShape | None = None,
    ) -> None:
        device, head_dim = pool.keys_LSKH.device, pool.keys_LSKH.shape[3]
        self._pool = pool
        self._flash = flash
        self._windows = frozenset(windows)
        self._workspace = DecodeWorkspace(
            shape or default_shape(pool),
            rows=max_rows,
            heads=heads,
            head_dim=head_dim,
            device=device,
            tiles=max_rows // 2,  # a tile has two rows at least
            prefix_shape=default_prefix_shape(pool),
        )

    def begin(self, batch: AttentionBatch) -> TritonStepAttention:
        return TritonStepAttention(self._pool, self._workspace, batch, windows=self._windows, flash=self._flash)


def default_shape(pool: KVPool) -> DecodeShape:
    """As many programs as run at once on the device, in small blocks."""
    fitting = DECODE_BLOCK_BYTES // _key_bytes(pool)
    block = max(16, min(128, 1 << (fitting.bit_length() - 1)))
    return DecodeShape(programs=_programs(pool, PROGRAMS_PER_MULTIPROCESSOR), block=block, warps=2, stages=3)


def default_prefix_shape(pool: KVPool) -> PrefixShape:
    """The same for shared prefixes."""
    programs = _programs(pool, PREFIX_PROGRAMS_PER_MULTIPROCESSOR)
    return PrefixShape(programs, block=64 if _key_bytes(pool) <= 256 else 16)


def default_prompt_shape(pool: KVPool) -> PromptShape:
    """Tiles and blocks that leave room for two stages in shared memory."""
    size = _key_bytes(pool)
    if size <= 256:
        return PromptShape(rows=128, block=64)
    return PromptShape(rows=64, block=32 if size <= 512 else 16)


def _key_bytes(pool: KVPool) -> int:
    return pool.keys_LSKH.shape[3] * pool.layout.dtype.itemsize


def _programs(pool: KVPool, places: int) -> int:
    """Programs a key/value head that fill the device."""
    keys = pool.keys_LSKH
    if keys.is_cuda:
        places *= torch.cuda.get_device_properties(keys.device).multi_processor_count
    return max(1, places // keys.shape[2])


class TritonStepAttention:
    """See `interface.StepAttention`."""

    def __init__(
        self,
        pool: KVPool,
        workspace: DecodeWorkspace,
        batch: AttentionBatch,
        *,
        windows: frozenset[int | None],
        flash: Flash | None,
    ) -> None:
        self._pool = pool
        self._workspace = workspace
        self._batch = batch
        self._chunk_tokens = sum(chunk.count for chunk in batch.chunks)
        worth = flash is not None and self._chunk_tokens >= flash.long_chunk * len(batch.chunks)
        self._flash = flash if worth else None
        self._pieces: dict[int | None, list[varlen.Piece]] = {}
        self._prompt_shape = default_prompt_shape(pool)
        self._tiles: PromptTiles | None = None
        self._lines: dict[int | None, Line] = {}
        self._tile_line: Line | None = None
        # Here and not in the first layer: no kernel of a layer should wait for these.
        if batch.rows_D.shape[0]:
            for window in windows:
                if batch.shared is not None and window is None:
                    self._tile_line = workspace.lay_out_tiles(batch.shared.lengths_T)
                    self._lines[None] = workspace.lay_out(batch.lengths_D - batch.shared.lengths_D, None)
                else:
                    self._lines[window] = workspace.lay_out(batch.lengths_D, window)

    def rotate_and_write(self, layer: int, q_TNH: Tensor, k_TKH: Tensor, v_TKH: Tensor, rotation: Rotation) -> Tensor:
        keys_SKH, values_SKH = self._pool.keys_LSKH[layer], self._pool.values_LSKH[layer]
        rotate_and_write(
            q_TNH, k_TKH, v_TKH, rotation.cos_TH, rotation.sin_TH, self._batch.slots_T, keys_SKH, values_SKH
        )
        return q_TNH

    def attend(self, layer: int, q_TNH: Tensor, window: int | None = None) -> Tensor:
        out_TNH = torch.empty(q_TNH.shape, dtype=q_TNH.dtype, device=q_TNH.device)
        chunked = self._chunk_tokens
        if chunked:
            self._attend_chunks(layer, q_TNH, out_TNH, window)
        if self._batch.rows_D.shape[0]:
            shared = self._batch.shared if window is None else None
            decode_attention(
                q_TNH[chunked:],
                self._pool.keys_LSKH[layer],
                self._pool.values_LSKH[layer],
                self._batch.table_RP,
                self._batch.rows_D,
                self._batch.lengths_D,
                self._lines[window],
                self._workspace,
                out_TNH[chunked:],
                shared,
                None if shared is None else self._tile_line,
            )
        return out_TNH

    def _attend_chunks(self, layer: int, q_TNH: Tensor, out_TNH: Tensor, window: int | None) -> None:
        batch, pool = self._batch, self._pool
        if self._flash is not None:
            if window not in self._pieces:
                self._pieces[window] = varlen.pieces(batch.chunks, batch.table_RP, window)
            for piece in self._pieces[window]:
                target_TNH = out_TNH[piece.first : piece.last]
                q_part_TNH = q_TNH[piece.first : piece.last]
                part_TNH = varlen.attend(self._flash, piece, q_part_TNH, pool, layer, target_TNH)
                if part_TNH is not target_TNH:
                    target_TNH.copy_(part_TNH)
            return
        if self._tiles is None:
            rows, starts, counts = np.array([(c.row, c.start, c.count) for c in batch.chunks], dtype=np.int64).T
            tokens = tile_tokens(self._prompt_shape, q_TNH.shape[1], pool.keys_LSKH.shape[2])
            self._tiles = cut_tiles(rows, starts, counts, tokens, q_TNH.device)
        prompt_attention(
            q_TNH, pool.keys_LSKH[layer], pool.values_LSKH[layer], batch.table_RP, self._tiles, out_TNH,
            shape=self._prompt_shape, window=window,
        )  # fmt: skip
