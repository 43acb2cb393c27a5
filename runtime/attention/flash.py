"""Which FlashAttention computes long prompt chunks: a package made for this GPU, or the kernel that torch brings.

FlashAttention 3 (Shah et al. 2024) is up to twice as fast on Hopper as the FlashAttention 2 (Dao 2023) inside torch, or
as our own tiles (`kernels/prompt_attention.py`), and comes in packages that are built with different parts left out. So
a package is not believed, it is tried once at the start, on a small random step of the model's own heads, and taken if
it computes what the plain formula gives. What was taken, and why an installed package was not, is logged.

Shapes: T tokens, L slots read, N query heads, K key/value heads, H head_dim.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import inspect
import logging
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor

log = logging.getLogger("ramify.attention")

MAX_HEAD_DIM = 256
"""FlashAttention's own bound, in every version."""

OLDEST_CAPABILITY = (8, 0)

MADE_FOR_HOPPER, MADE_FOR_AMPERE = 192, 1024
"""`Flash.long_chunk` of versions 3 and 4, and of version 2: the faster it computes, the sooner the copy is paid for.

Per position that a token reads, version 3 saves about 20 ps against our tiles on an H200, and the copy costs 2.5 ns.
"""

TRIAL_TOLERANCE = 2e-2
"""Relative error of a right result in bfloat16 is about a fifth of it; a wrong mask or a wrong head is far above."""


class Kernel(Protocol):
    """Causal attention of sequences that lie one behind the other, aligned at their ends."""

    def __call__(
        self, q_TNH: Tensor, k_LKH: Tensor, v_LKH: Tensor, lengths: Lengths, window: int | None, out_TNH: Tensor
    ) -> Tensor:
        """[T, N, H]; with a `window`, of the last `window` positions up to each token's own.

        The result is `out_TNH` where the kernel can write there, else a tensor of its own.
        """
        ...


class Lengths(NamedTuple):
    """Int32 prefix sums of the tokens and of the slots of each sequence, on the device, and the longest of each."""

    ends_q: Tensor
    ends_k: Tensor
    max_q: int
    max_k: int


@dataclass(frozen=True)
class Flash:
    """A FlashAttention that was tried.

    Attributes:
        name: what a report calls it.
        long_chunk: tokens of a chunk, on average over a step, from which it is worth the copy of what they read.
    """

    name: str
    attend: Kernel
    long_chunk: int


class Heads(NamedTuple):
    """What a kernel must support: N, K and H of the model, and whether a layer has a window."""

    num: int
    num_kv: int
    dim: int
    windowed: bool


@dataclass(frozen=True)
class Package:
    """A distribution with a `flash_attn_varlen_func`, or with the operator of version 3, which writes where it is told.

    Attributes:
        module: where the function is; importing it registers the operator.
        majors: compute capabilities it has kernels for, by their first number.
        long_chunk: see `Flash`.
        operators: the namespace of `torch.ops` that has version 3's `fwd`; None takes the function.
        open_end: what the function takes for a window without an end on that side.
    """

    distribution: str
    version: str
    module: str
    majors: tuple[int, ...]
    long_chunk: int
    operators: str | None = None
    open_end: int | None = -1


PACKAGES = (
    Package(
        "flash-attn-3", "FlashAttention 3", "flash_attn_interface", (9,), MADE_FOR_HOPPER, operators="flash_attn_3"
    ),
    Package("fa3-fwd", "FlashAttention 3", "fa3_fwd_interface", (9,), MADE_FOR_HOPPER, operators="fa3_fwd"),
    Package("flash-attn-4", "FlashAttention 4", "flash_attn.cute", (9, 10, 11), MADE_FOR_HOPPER, open_end=None),
    Package("flash-attn", "FlashAttention 2", "flash_attn", (8, 9, 10, 11, 12), MADE_FOR_AMPERE),
)
"""In the order of preference."""


def choose(device: torch.device, dtype: torch.dtype, heads: Heads) -> Flash | None:
    """The first that works and is worth it; None, with the reason in the log, if tiles of our own compute all."""
    reason = _refusal(device, dtype, heads.dim)
    if reason is None:
        reason = "is not there or does not work"
        # On an H200, version 2 needs 1.2 to 2.6 times as long as our tiles for heads of 128, in chunks of any length.
        hopper = torch.cuda.get_device_capability(device)[0] >= 9 and heads.dim <= 128
        for flash in working(device, dtype, heads):
            if hopper and flash.long_chunk == MADE_FOR_AMPERE:
                reason = "2 is slower on this GPU"
                continue
            log.info("prompts: %s in chunks of %d tokens or more, else tiles of our own", flash.name, flash.long_chunk)
            return flash
    log.info("prompts: tiles of our own; FlashAttention %s", reason)
    return None


def working(device: torch.device, dtype: torch.dtype, heads: Heads) -> Iterator[Flash]:
    """Each of `PACKAGES` and torch's own that computes such heads right on this CUDA device, in order of preference."""
    major = torch.cuda.get_device_capability(device)[0]
    found: list[tuple[str, Callable[[], Kernel], int]] = []
    for package in PACKAGES:
        installed = _installed(package)
        if installed is None:
            continue
        name = f"{package.version} of {package.distribution} {installed}"
        if major in package.majors:
            load = _load_function if package.operators is None else _load_operator
            found.append((name, partial(load, package), package.long_chunk))
        else:
            log.info("prompts: not by %s, which has no kernels for compute capability %d", name, major)
    found.append((f"FlashAttention 2 of torch {torch.__version__}", _load_torch, MADE_FOR_AMPERE))
    for name, make, long_chunk in found:
        kernel = _tried(name, make, device, dtype, heads)
        if kernel is not None:
            yield Flash(name, kernel, long_chunk)


def _refusal(device: torch.device, dtype: torch.dtype, head_dim: int) -> str | None:
    """Why no FlashAttention computes this."""
    if device.type != "cuda":
        return f"does not run on {device}"
    if torch.cuda.get_device_capability(device) < OLDEST_CAPABILITY:
        return f"needs compute capability 8.0: {torch.cuda.get_device_name(device)} is older"
    if dtype not in (torch.bfloat16, torch.float16):
        return f"has no {dtype}"
    if head_dim % 8 or head_dim > MAX_HEAD_DIM:
        return f"has no heads of {head_dim}"
    return None


def _installed(package: Package) -> str | None:
    """The version of the distribution, None if it is not installed."""
    try:
        return importlib.metadata.version(package.distribution)
    except importlib.metadata.PackageNotFoundError:
        return None


def _tried(
    name: str, load: Callable[[], Kernel], device: torch.device, dtype: torch.dtype, heads: Heads
) -> Kernel | None:
    """The kernel, if it computes a small step right; a warning with the reason, and None, if not."""
    try:
        kernel = load()
        error = trial_error(kernel, device, dtype, heads)
    except Exception as failure:  # whatever a package raises, prompts have another way
        reason = f"{type(failure).__name__}: {str(failure).strip().partition(chr(10))[0]}"
    else:
        if error < TRIAL_TOLERANCE:
            return kernel
        reason = f"its result is wrong by {error:.3f}"
    log.warning("prompts: not by %s: %s", name, reason)
    return None


def trial_error(kernel: Kernel, device: torch.device, dtype: torch.dtype, heads: Heads) -> float:
    """Relative error of `kernel` on two random sequences, one of which has a prefix, against the formula in float32.

    With windowed heads the worse of a step with a window and one without.
    """
    counts, lengths, window = (5, 33), (70, 33), 20
    generator = torch.Generator(device).manual_seed(0)

    def random(tokens: int, num: int) -> Tensor:
        return torch.randn((tokens, num, heads.dim), generator=generator, device=device).to(dtype)

    q, k, v = random(sum(counts), heads.num), random(sum(lengths), heads.num_kv), random(sum(lengths), heads.num_kv)
    ends_q, ends_k = (
        torch.tensor([0, first, first + second], dtype=torch.int32, device=device)
        for first, second in (counts, lengths)
    )
    errors = []
    for used in (None, window) if heads.windowed else (None,):
        out = kernel(q, k, v, Lengths(ends_q, ends_k, max(counts), max(lengths)), used, torch.full_like(q, torch.nan))
        expected = torch.cat([
            _formula(q_part, k_part, v_part, used)
            for q_part, k_part, v_part in zip(
                    q.split_with_sizes(counts), k.split_with_sizes(lengths), v.split_with_sizes(lengths), strict=True
                )
        ])  # fmt: skip
        error = float((out.float() - expected).norm() / expected.norm())
        errors.append(error if math.isfinite(error) else math.inf)
    return max(errors)


def _formula(q_TNH: Tensor, k_LKH: Tensor, v_LKH: Tensor, window: int | None) -> Tensor:
    """softmax(q k / sqrt(H)) v of the last T of L positions, in float32."""
    groups = q_TNH.shape[1] // k_LKH.shape[1]
    k_LNH, v_LNH = (x.float().repeat_interleave(groups, dim=1) for x in (k_LKH, v_LKH))
    scores_NTL = torch.einsum("tnh,lnh->ntl", q_TNH.float(), k_LNH) * q_TNH.shape[2] ** -0.5
    position_L = torch.arange(k_LKH.shape[0], device=q_TNH.device)
    own_T1 = position_L[-q_TNH.shape[0] :].unsqueeze(1)
    hidden_TL = position_L > own_T1
    if window is not None:
        hidden_TL |= position_L <= own_T1 - window
    return torch.einsum("ntl,lnh->tnh", scores_NTL.masked_fill(hidden_TL, -torch.inf).softmax(-1), v_LNH)


def _load_operator(package: Package) -> Kernel:
    importlib.import_module(package.module)
    forward = getattr(torch.ops, package.operators or "").fwd

    def attend(
        q_TNH: Tensor, k_LKH: Tensor, v_LKH: Tensor, lengths: Lengths, window: int | None, out_TNH: Tensor
    ) -> Tensor:
        forward(
            q_TNH, k_LKH, v_LKH, out=out_TNH,
            cu_seqlens_q=lengths.ends_q, cu_seqlens_k=lengths.ends_k,
            max_seqlen_q=lengths.max_q, max_seqlen_k=lengths.max_k,
            softmax_scale=q_TNH.shape[2] ** -0.5,
            is_causal=True, window_size_left=-1 if window is None else window - 1,
            window_size_right=-1 if window is None else 0,
            num_splits=1,
        )  # fmt: skip
        return out_TNH

    return attend


def _load_function(package: Package) -> Kernel:
    function = importlib.import_module(package.module).flash_attn_varlen_func

    def attend(
        q_TNH: Tensor, k_LKH: Tensor, v_LKH: Tensor, lengths: Lengths, window: int | None, out_TNH: Tensor
    ) -> Tensor:
        sides = (package.open_end, package.open_end) if window is None else (window - 1, 0)
        out = function(
            q_TNH, k_LKH, v_LKH,
            cu_seqlens_q=lengths.ends_q, cu_seqlens_k=lengths.ends_k,
            max_seqlen_q=lengths.max_q, max_seqlen_k=lengths.max_k,
            causal=True, window_size=sides,
        )  # fmt: skip
        # Some versions return the log-sum-exp beside it.
        attended: Tensor = out[0] if isinstance(out, tuple) else out
        return attended

    return attend


def _load_torch() -> Kernel:
    if not torch.backends.cuda.is_flash_attention_available():
        raise ImportError("this torch was built without FlashAttention")
    varlen_attn: Any = importlib.import_module("torch.nn.attention.varlen").varlen_attn
    # torch 2.11 takes fewer key/value heads as they come; later versions want to be told.
    options = {"enable_gqa": True} if "enable_gqa" in inspect.signature(varlen_attn).parameters else {}

    def attend(
        q_TNH: Tensor, k_LKH: Tensor, v_LKH: Tensor, lengths: Lengths, window: int | None, out_TNH: Tensor
    ) -> Tensor:
        left = -1 if window is None else window - 1
        out: Tensor = varlen_attn(q_TNH, k_LKH, v_LKH, *lengths, window_size=(left, 0), **options)
        return out

    return attend
