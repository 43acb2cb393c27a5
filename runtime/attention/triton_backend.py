"""Attention on CUDA: our split-KV kernel for decode rows, FlashAttention for prompt chunks.

`begin` on a batch of decode rows alone asks the host for nothing but their number, so the whole step can be captured in
a CUDA graph and replayed for any rows and lengths. Chunks go through `varlen.py`, or, where no FlashAttention takes
these heads (see `flash.py`), through the plain backend.

Shapes: T tokens, D decode rows, N query heads, K key/value heads, H head_dim.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from ..kernels.decode_attention import DecodeShape, DecodeWorkspace, decode_attention, line_ends
from ..kernels.rotary import rotate_and_write
from . import varlen
from .flash import Flash
from .interface import AttentionBatch
from .kv_pool import KVPool
from .rotation import Rotation
from .torch_backend import TorchAttention, TorchStepAttention

PROGRAMS_PER_MULTIPROCESSOR = 3
"""Decode programs that run at once on one multiprocessor, by the kernel's shared memory."""


BLOCK_BYTES = 32 << 10
"""Keys of one head in one block."""


class TritonAttention:
    """Attention over `pool` for steps of up to `max_rows` decode rows.

    Args:
        heads: N, query heads of the model.
        flash: what computes prompt chunks; None is the plain backend.
        shape: how decode work is cut; by default one program a place on the device.
    """

    def __init__(
        self, pool: KVPool, *, heads: int, max_rows: int, flash: Flash | None, shape: DecodeShape | None = None
    ) -> None:
        device, head_dim = pool.keys_LSKH.device, pool.keys_LSKH.shape[3]
        self._pool = pool
        self._plain = TorchAttention(pool)
        self._flash = flash
        self._workspace = DecodeWorkspace(
            shape or default_shape(pool),
            rows=max_rows,
            heads=heads,
            head_dim=head_dim,
            device=device,
            tiles=max_rows // 2,  # a tile has two rows at least
        )

    def begin(self, batch: AttentionBatch) -> TritonStepAttention:
        return TritonStepAttention(self._pool, self._plain, self._workspace, batch, self._flash)


def default_shape(pool: KVPool) -> DecodeShape:
    """As many programs as run at once on the device; blocks of as many positions as its shared memory holds thrice."""
    keys = pool.keys_LSKH
    places = 1
    if keys.is_cuda:
        places = torch.cuda.get_device_properties(keys.device).multi_processor_count * PROGRAMS_PER_MULTIPROCESSOR
    most = BLOCK_BYTES // (keys.shape[3] * keys.element_size())
    block = max(16, min(128, 1 << (most.bit_length() - 1)))
    return DecodeShape(programs=max(1, places // keys.shape[2]), block=block)


class TritonStepAttention:
    """See `interface.StepAttention`."""

    def __init__(
        self,
        pool: KVPool,
        plain: TorchAttention,
        workspace: DecodeWorkspace,
        batch: AttentionBatch,
        flash: Flash | None,
    ) -> None:
        self._pool = pool
        self._workspace = workspace
        self._batch = batch
        self._chunk_tokens = sum(chunk.count for chunk in batch.chunks)
        self._flash = flash
        self._pieces: dict[int | None, list[varlen.Piece]] = {}
        self._lines: dict[int | None, Tensor] = {}
        self._tile_line: Tensor | None = None
        self._plain: TorchStepAttention | None = None
        if batch.chunks and flash is None:
            none = np.empty(0, dtype=np.int64)
            chunks_only = replace(
                batch, decode_rows=none, rows_D=batch.rows_D[:0], lengths_D=batch.lengths_D[:0], length_bounds=none
            )
            self._plain = plain.begin(chunks_only)

    def rotate_and_write(self, layer: int, q_TNH: Tensor, k_TKH: Tensor, v_TKH: Tensor, rotation: Rotation) -> Tensor:
        keys_SKH, values_SKH = self._pool.keys_LSKH[layer], self._pool.values_LSKH[layer]
        rotate_and_write(
            q_TNH, k_TKH, v_TKH, rotation.cos_TH, rotation.sin_TH, self._batch.slots_T, keys_SKH, values_SKH
        )
        return q_TNH

    def attend(self, layer: int, q_TNH: Tensor, window: int | None = None) -> Tensor:
        out_TNH = torch.empty(q_TNH.shape, dtype=q_TNH.dtype, device=q_TNH.device)
        chunked = self._chunk_tokens
        if self._plain is not None:
            out_TNH[:chunked] = self._plain.attend(layer, q_TNH[:chunked].contiguous(), window)
        elif chunked and self._flash is not None:
            if window not in self._pieces:
                self._pieces[window] = varlen.pieces(self._batch.chunks, self._batch.table_RP, window)
            for piece in self._pieces[window]:
                target_TNH = out_TNH[piece.first : piece.last]
                q_part_TNH = q_TNH[piece.first : piece.last]
                part_TNH = varlen.attend(self._flash, piece, q_part_TNH, self._pool, layer, target_TNH)
                if part_TNH is not target_TNH:
                    if part_TNH.shape[0] == out_TNH.shape[0]:
                        return part_TNH
                    target_TNH.copy_(part_TNH)
        if self._batch.rows_D.shape[0]:
            shared = self._batch.shared if window is None else None
            if window not in self._lines:
                alone_D = self._batch.lengths_D if shared is None else self._batch.lengths_D - shared.lengths_D
                self._lines[window] = line_ends(alone_D, window)
            if shared is not None and self._tile_line is None:
                self._tile_line = line_ends(shared.lengths_T, None)
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
