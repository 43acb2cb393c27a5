"""Products of few rows with a weight matrix, which take as long as their weights take to arrive.

Nothing matters here but how weights are asked for; the arithmetic hides behind it.

    1 row           each program streams a few rows of weights through registers: long runs of memory, many programs
    2 to 64 rows    tiles of weights are the large operand of the matrix unit, brought by the copy engine (Hopper's
                    tensor memory accelerator), several tiles ahead; the rows of activations are padded to 32 or 64
    more rows       the library

A matrix with fewer tiles than the device has multiprocessors is cut along its inputs too; the program that comes last
to a tile adds the parts, always in the same order. Where a kernel cannot be used (see `few_rows_refusal`), the library
computes. Sums are float32, rounded once.

Gate and up of an MLP are one matrix, and what is wanted of them is silu(gate) * up: a program then takes rows of both
halves and writes that, rounded where the plain version rounds.

Shapes: T rows of activations, O outputs, I inputs, S parts of the inputs.
"""

from __future__ import annotations

import logging
from typing import NamedTuple

import torch
import triton
import triton.language as tl
from torch import Tensor
from torch.nn import functional as F
from triton.tools.tensor_descriptor import TensorDescriptor

from .activation import gated_silu
from .overlap import allow_next, overlap, wait_for_previous

log = logging.getLogger("ramify.kernels")

MOST_ROWS = 64
"""Rows up to which a kernel here computes."""

FEWER_ROWS = 32
"""Rows that are padded to no more than this."""

RUN = 2048
"""Inputs a program of `_one_row` reads at once of each of its rows of weights, at most."""

PROGRAM_WEIGHTS = 4096
"""Weights a program of `_one_row` reads at once."""

TILE_INPUTS = 128
"""Inputs of a tile of `_few_rows`."""

MOST_PARTS = 4
"""Parts of the inputs at most: a part is long enough to be worth its addition."""

MULTIPROCESSORS_OF_THE_INTERPRETER = 4


@triton.jit
def _gate(gate, up, dtype: tl.constexpr):
    """silu(gate) * up of float32 sums, rounded as the plain version rounds."""
    gate = gate.to(dtype).to(tl.float32)
    silu = (gate / (1.0 + tl.exp(-gate))).to(dtype).to(tl.float32)
    return silu * up.to(dtype).to(tl.float32)


@triton.jit
def _one_row(
    x_ptr, weight_ptr, bias_ptr, out_ptr, outputs,
    INPUTS: tl.constexpr, ROWS: tl.constexpr, BLOCK: tl.constexpr, EVEN: tl.constexpr, BIAS: tl.constexpr,
    GATED: tl.constexpr, OVERLAP: tl.constexpr,
):  # fmt: skip
    """`outputs` of x; GATED, there are twice as many rows of weights, and half of a program's are of each kind."""
    allow_next(OVERLAP)
    i = tl.arange(0, BLOCK)
    if GATED:
        o = tl.program_id(0) * (ROWS // 2) + tl.arange(0, ROWS) % (ROWS // 2)
    else:
        o = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    # The last rows are read again instead of rows that do not exist.
    row = o if EVEN else tl.minimum(o, outputs - 1)
    if GATED:
        row += tl.where(tl.arange(0, ROWS) < ROWS // 2, 0, outputs)
    weights = weight_ptr + row.to(tl.int64)[:, None] * INPUTS + i[None, :]
    # Weights never change, so they need not wait for the kernel in front.
    ahead = tl.load(weights, mask=(i < INPUTS)[None, :], other=0.0, eviction_policy="evict_first")
    wait_for_previous(OVERLAP)
    total = tl.zeros((ROWS, BLOCK), tl.float32)
    for begin in tl.range(0, INPUTS, BLOCK, num_stages=1):
        here = ahead
        inside = begin + BLOCK + i < INPUTS
        ahead = tl.load(weights + begin + BLOCK, mask=inside[None, :], other=0.0, eviction_policy="evict_first")
        x = tl.load(x_ptr + begin + i, mask=begin + i < INPUTS, other=0.0).to(tl.float32)
        total += here.to(tl.float32) * x[None, :]
    out = tl.sum(total, axis=1)
    if BIAS:
        out += tl.load(bias_ptr + row).to(tl.float32)
    if GATED:
        halves = tl.reshape(out, (2, ROWS // 2))
        kind = tl.arange(0, 2)[:, None]
        gate = tl.sum(tl.where(kind == 0, halves, 0.0), axis=0)
        up = tl.sum(tl.where(kind == 1, halves, 0.0), axis=0)
        out = _gate(gate, up, out_ptr.dtype.element_ty)
        o = tl.program_id(0) * (ROWS // 2) + tl.arange(0, ROWS // 2)
    tl.store(out_ptr + o, out.to(out_ptr.dtype.element_ty), mask=o < outputs)


@triton.jit(do_not_specialize=["tokens"])
def _few_rows(
    weight, x, bias_ptr, out_ptr, part_ptr, arrived_ptr, tokens, outputs, inputs, span,
    ROWS: tl.constexpr, TOKENS: tl.constexpr, BLOCK: tl.constexpr, STAGES: tl.constexpr, PARTS: tl.constexpr,
    BIAS: tl.constexpr, GATED: tl.constexpr, OVERLAP: tl.constexpr,
):  # fmt: skip
    """A tile of `outputs` of x; GATED, and then not cut, it needs the same rows of both halves of the weights."""
    allow_next(OVERLAP)
    wait_for_previous(OVERLAP)
    tile = tl.program_id(0)
    part = tl.program_id(1)
    begin = part * span
    total = tl.zeros((ROWS, TOKENS), tl.float32)
    up = total
    for i in tl.range(begin, tl.minimum(begin + span, inputs), BLOCK, num_stages=STAGES):
        x_t = x.load([0, i]).T
        total = tl.dot(weight.load([tile * ROWS, i]), x_t, total)
        if GATED:
            up = tl.dot(weight.load([outputs + tile * ROWS, i]), x_t, up)
    r = tl.arange(0, ROWS)
    t = tl.arange(0, TOKENS)
    o = tile * ROWS + r
    last = True
    if PARTS > 1:
        parts = part_ptr + tile.to(tl.int64) * (PARTS * ROWS * TOKENS) + r[:, None] * TOKENS + t[None, :]
        tl.store(parts + part * (ROWS * TOKENS), total)
        # The whole program has written its part before one of its threads counts it.
        tl.debug_barrier()
        last = tl.atomic_add(arrived_ptr + tile, 1, sem="acq_rel") == PARTS - 1
        if last:
            tl.store(arrived_ptr + tile, 0)
            total = tl.zeros((ROWS, TOKENS), tl.float32)
            for p in tl.static_range(PARTS):
                # Other programs wrote these just now: not from this multiprocessor's own cache.
                total += tl.load(parts + p * (ROWS * TOKENS), cache_modifier=".cg")
    if last:
        if BIAS:
            total += tl.load(bias_ptr + o, mask=o < outputs, other=0.0).to(tl.float32)[:, None]
            if GATED:
                up += tl.load(bias_ptr + outputs + o, mask=o < outputs, other=0.0).to(tl.float32)[:, None]
        if GATED:
            total = _gate(total, up, out_ptr.dtype.element_ty)
        out = out_ptr + t.to(tl.int64)[None, :] * outputs + o[:, None]
        tl.store(out, total.to(out_ptr.dtype.element_ty), mask=(t < tokens)[None, :] & (o < outputs)[:, None])


class Cut(NamedTuple):
    """How a product of few rows is cut: rows of weights of a tile, inputs read at once, how far ahead, parts."""

    rows: int
    block: int
    stages: int
    parts: int


def cut(outputs: int, inputs: int, tokens: int, multiprocessors: int) -> Cut:
    """Tiles of 128 rows of weights where they fill the device, else of 64, in parts where those do not fill it either.

    Args:
        tokens: padded.
    """
    if outputs >= 128 * multiprocessors:
        return Cut(128, TILE_INPUTS, 4, 1)
    parts = max(1, min(MOST_PARTS, multiprocessors // triton.cdiv(outputs, 64), triton.cdiv(inputs, TILE_INPUTS)))
    return Cut(64, TILE_INPUTS, 5 if tokens <= FEWER_ROWS else 4, parts)


class SkinnyProducts:
    """Products on `device`, with the memory for their parts; they run one after the other.

    x @ weight.T + bias, [T, O]; `gated`, silu of the first half of that times the second half, [T, O / 2].
    """

    def __init__(self, device: torch.device) -> None:
        self._multiprocessors = MULTIPROCESSORS_OF_THE_INTERPRETER
        self._copy_engine = True
        if device.type == "cuda":
            self._multiprocessors = torch.cuda.get_device_properties(device).multi_processor_count
            self._copy_engine = torch.cuda.get_device_capability(device) >= (9, 0)
            if not self._copy_engine:
                name = torch.cuda.get_device_name(device)
                log.warning("%s has no tensor memory accelerator: the library computes 2 to %d rows", name, MOST_ROWS)
        # Parts are made only of tiles of 64 rows of weights, and no more of them than there are multiprocessors.
        self._parts = torch.empty(self._multiprocessors * 64 * MOST_ROWS, dtype=torch.float32, device=device)
        self._arrived = torch.zeros(self._multiprocessors, dtype=torch.int32, device=device)

    def linear(self, x_TI: Tensor, weight_OI: Tensor, bias_O: Tensor | None = None, *, gated: bool = False) -> Tensor:
        tokens = x_TI.shape[0] if x_TI.dim() == 2 else 0
        if tokens == 1 and x_TI.is_contiguous() and weight_OI.is_contiguous():
            return self._one_row(x_TI, weight_OI, bias_O, gated)
        few = 1 < tokens <= MOST_ROWS and self.few_rows_refusal(x_TI, weight_OI) is None
        if few and (not gated or weight_OI.shape[0] >= 128 * self._multiprocessors):
            return self._few_rows(x_TI, weight_OI, bias_O, gated)
        out_TO = self._few_rows(x_TI, weight_OI, bias_O, False) if few else F.linear(x_TI, weight_OI, bias_O)
        return gated_silu(out_TO) if gated else out_TO

    def few_rows_refusal(self, x_TI: Tensor, weight_OI: Tensor) -> str | None:
        """Why the kernel for 2 rows and more cannot compute this product; None if it can."""
        if not self._copy_engine:
            return "the device has no tensor memory accelerator"
        if weight_OI.element_size() != 2:
            return "its tiles are of 16 bits"
        if not x_TI.is_contiguous() or not weight_OI.is_contiguous():
            return "rows are not dense"
        if weight_OI.shape[1] % 8 or weight_OI.data_ptr() % 16 or x_TI.data_ptr() % 16:
            return "rows must begin at multiples of 16 bytes"
        return None

    def _one_row(self, x_TI: Tensor, weight_OI: Tensor, bias_O: Tensor | None, gated: bool) -> Tensor:
        outputs, inputs = weight_OI.shape[0] // (1 + gated), weight_OI.shape[1]
        out_TO = torch.empty((1, outputs), dtype=x_TI.dtype, device=x_TI.device)
        block = min(RUN, triton.next_power_of_2(inputs))
        rows = PROGRAM_WEIGHTS // block
        each = rows // (1 + gated)
        _one_row[(triton.cdiv(outputs, each),)](
            x_TI, weight_OI, weight_OI if bias_O is None else bias_O, out_TO, outputs,
            INPUTS=inputs, ROWS=rows, BLOCK=block, EVEN=outputs % each == 0, BIAS=bias_O is not None,
            GATED=gated, num_warps=4, **overlap(x_TI.device),
        )  # fmt: skip
        return out_TO

    def _few_rows(self, x_TI: Tensor, weight_OI: Tensor, bias_O: Tensor | None, gated: bool) -> Tensor:
        (tokens, inputs), outputs = x_TI.shape, weight_OI.shape[0]
        padded = FEWER_ROWS if tokens <= FEWER_ROWS else MOST_ROWS
        rows, block, stages, parts = cut(outputs, inputs, padded, self._multiprocessors)
        tiles = triton.cdiv(outputs, rows)
        span = triton.cdiv(triton.cdiv(inputs, parts), block) * block
        parts = triton.cdiv(inputs, span)
        if gated:
            outputs, rows = outputs // 2, rows // 2
        out_TO = torch.empty((tokens, outputs), dtype=x_TI.dtype, device=x_TI.device)
        _few_rows[(tiles, parts)](
            TensorDescriptor.from_tensor(weight_OI, [rows, block]),
            TensorDescriptor.from_tensor(x_TI, [padded, block]),
            weight_OI if bias_O is None else bias_O, out_TO, self._parts, self._arrived,
            tokens, outputs, inputs, span,
            ROWS=rows, TOKENS=padded, BLOCK=block, STAGES=stages, PARTS=parts,
            BIAS=bias_O is not None, GATED=gated, num_warps=4, **overlap(x_TI.device),
        )  # fmt: skip
        return out_TO
