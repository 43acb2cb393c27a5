"""A FlashAttention is taken if it is right: wrong kernels are told from right ones, and packages fall back by name."""

from __future__ import annotations

import importlib.metadata
import logging
import sys
from collections.abc import Callable
from types import ModuleType, SimpleNamespace

import pytest
import torch
from ramify.runtime.attention import flash
from ramify.runtime.attention.flash import Heads, Lengths
from torch import Tensor
from torch.nn import functional as F

CPU = torch.device("cpu")
HEADS = Heads(num=8, num_kv=2, dim=64, windowed=True)
ON_GPU = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")


def _attention(
    q_TNH: Tensor,
    k_LKH: Tensor,
    v_LKH: Tensor,
    lengths: Lengths,
    window: int | None,
    out_TNH: Tensor | None = None,
    *,
    own: int = 0,
) -> Tensor:
    """torch's attention of one sequence after the other; `own` moves each token's own position."""
    outs, ends_q, ends_k = [], lengths.ends_q.tolist(), lengths.ends_k.tolist()
    for i in range(len(ends_q) - 1):
        q, k, v = (
            x[first:last].transpose(0, 1)
            for x, first, last in (
                (q_TNH, ends_q[i], ends_q[i + 1]),
                (k_LKH, ends_k[i], ends_k[i + 1]),
                (v_LKH, ends_k[i], ends_k[i + 1]),
            )
        )
        behind = torch.arange(k.shape[1]) - (torch.arange(k.shape[1])[-q.shape[1] :] + own).unsqueeze(1)
        seen = behind <= 0 if window is None else (behind <= 0) & (behind > -window)
        outs.append(F.scaled_dot_product_attention(q, k, v, attn_mask=seen, enable_gqa=True).transpose(0, 1))
    return torch.cat(outs)


def _all_see_all(q: Tensor, k: Tensor, v: Tensor, lengths: Lengths, window: int | None, out: Tensor) -> Tensor:
    return _attention(q, k, v, lengths, None, own=1000)


def _aligned_at_the_start(q: Tensor, k: Tensor, v: Tensor, lengths: Lengths, window: int | None, out: Tensor) -> Tensor:
    """The other meaning of causal, which old versions had: the first token sees the first position."""
    second = _attention(q, k, v, lengths, window)[5:]
    prompt = _attention(q[:5], k[:5], v[:5], Lengths(lengths.ends_q[:2], lengths.ends_q[:2], 5, 5), window)
    return torch.cat((prompt, second))


def _one_too_many(q: Tensor, k: Tensor, v: Tensor, lengths: Lengths, window: int | None, out: Tensor) -> Tensor:
    return _attention(q, k, v, lengths, None if window is None else window + 1)


def _heads_in_another_order(
    q: Tensor, k: Tensor, v: Tensor, lengths: Lengths, window: int | None, out: Tensor
) -> Tensor:
    return _attention(q, k.flip(1), v.flip(1), lengths, window)


def _unwritten(q: Tensor, k: Tensor, v: Tensor, lengths: Lengths, window: int | None, out: Tensor) -> Tensor:
    """All but the last token."""
    out[:-1] = _attention(q, k, v, lengths, window)[:-1]
    return out


def test_a_right_kernel_passes_the_trial() -> None:
    assert flash.trial_error(_attention, CPU, torch.float32, HEADS) < 1e-5
    assert flash.trial_error(_attention, CPU, torch.bfloat16, HEADS) < flash.TRIAL_TOLERANCE / 2


@pytest.mark.parametrize(
    "kernel", [_all_see_all, _aligned_at_the_start, _one_too_many, _heads_in_another_order, _unwritten]
)
def test_a_wrong_kernel_fails_the_trial(kernel: flash.Kernel) -> None:
    assert flash.trial_error(kernel, CPU, torch.bfloat16, HEADS) > 2 * flash.TRIAL_TOLERANCE


def test_a_window_is_tried_only_where_the_model_has_one() -> None:
    assert flash.trial_error(_one_too_many, CPU, torch.float32, HEADS._replace(windowed=False)) < 1e-5


Installed = Callable[..., None]


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> Installed:
    """Gives the process a Hopper GPU's name, and the packages that a test puts into it."""
    versions: dict[str, str] = {}

    def version(distribution: str) -> str:
        if distribution not in versions:
            raise importlib.metadata.PackageNotFoundError(distribution)
        return versions[distribution]

    def install(distribution: str, module: str, function: Callable[..., object]) -> None:
        versions[distribution] = "7.0"
        fake = ModuleType(module)
        fake.flash_attn_varlen_func = function  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, module, fake)
        for package in flash.PACKAGES:
            if package.distribution == distribution and package.operators is not None:
                monkeypatch.setattr(torch.ops, package.operators, SimpleNamespace(fwd=function), raising=False)

    monkeypatch.setattr(importlib.metadata, "version", version)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (9, 0))
    return install


def _packaged(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    *,
    cu_seqlens_q: Tensor,
    cu_seqlens_k: Tensor,
    max_seqlen_q: int,
    max_seqlen_k: int,
    causal: bool,
    window_size: tuple[int | None, int | None],
) -> tuple[Tensor, Tensor]:
    """The packages' interface, as FlashAttention 2 and 3 have it: both ends of an open window are -1."""
    assert causal
    left, right = window_size
    assert left is not None
    assert right in (-1, 0)
    assert (max_seqlen_q, max_seqlen_k) == (33, 70)
    lengths = Lengths(cu_seqlens_q, cu_seqlens_k, max_seqlen_q, max_seqlen_k)
    return _attention(q, k, v, lengths, None if left == -1 else left + 1), q


def _operator(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    *,
    out: Tensor,
    cu_seqlens_q: Tensor,
    cu_seqlens_k: Tensor,
    max_seqlen_q: int,
    max_seqlen_k: int,
    softmax_scale: float,
    is_causal: bool,
    window_size_left: int,
    window_size_right: int,
    num_splits: int,
) -> tuple[Tensor, Tensor]:
    """The operator of FlashAttention 3 with the names of its schema; writes into `out`."""
    assert softmax_scale == 64**-0.5
    sides = (window_size_left, window_size_right)
    out.copy_(
        _packaged(
            q, k, v, cu_seqlens_q=cu_seqlens_q, cu_seqlens_k=cu_seqlens_k, max_seqlen_q=max_seqlen_q,
            max_seqlen_k=max_seqlen_k, causal=is_causal, window_size=sides,
        )[0]
    )  # fmt: skip
    return out, q


def _choices() -> list[str]:
    return [found.name for found in flash.working(CPU, torch.bfloat16, HEADS)]


def test_the_preferred_package_comes_first(installed: Installed) -> None:
    installed("flash-attn", "flash_attn", _packaged)
    installed("flash-attn-3", "flash_attn_interface", _operator)
    assert _choices()[:2] == ["FlashAttention 3 of flash-attn-3 7.0", "FlashAttention 2 of flash-attn 7.0"]


@pytest.mark.parametrize("broken", ["raises", "wrong"])
def test_a_package_that_does_not_work_is_named_and_left_out(
    installed: Installed, broken: str, caplog: pytest.LogCaptureFixture
) -> None:
    def function(q: Tensor, k: Tensor, v: Tensor, *, out: Tensor, **options: object) -> Tensor:
        if broken == "raises":
            raise RuntimeError("This flash attention build does not support local attention.\nmore")
        return out.copy_(q)

    installed("fa3-fwd", "fa3_fwd_interface", function)
    installed("flash-attn", "flash_attn", _packaged)
    assert _choices()[0] == "FlashAttention 2 of flash-attn 7.0"
    reason = "RuntimeError: This flash attention build does not support local attention." if broken == "raises" else ""
    assert f"prompts: not by FlashAttention 3 of fa3-fwd 7.0: {reason}" in caplog.text
    assert "wrong by" in caplog.text or broken == "raises"
    assert "more" not in caplog.text


def test_a_package_without_kernels_for_the_gpu_is_not_imported(
    installed: Installed, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    installed("flash-attn-3", "flash_attn_interface", _operator)
    installed("flash-attn", "flash_attn", _packaged)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (8, 0))
    assert _choices()[0] == "FlashAttention 2 of flash-attn 7.0"
    assert "flash-attn-3 7.0, which has no kernels for compute capability 8" in caplog.text


@pytest.mark.parametrize(
    ("capability", "dim", "chosen"), [((8, 0), 64, True), ((9, 0), 64, False), ((9, 0), 256, True)]
)
def test_version_2_is_not_taken_where_our_tiles_are_faster(
    capability: tuple[int, int],
    dim: int,
    chosen: bool,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
    second = flash.Flash("FlashAttention 2", _attention, flash.MADE_FOR_AMPERE)
    monkeypatch.setattr(flash, "working", lambda device, dtype, heads: iter([second]))
    taken = flash.choose(torch.device("cuda"), torch.bfloat16, HEADS._replace(dim=dim))
    assert (taken is second) == chosen
    assert ("FlashAttention 2 is slower on this GPU" in caplog.text) != chosen


@pytest.mark.parametrize(
    ("device", "capability", "dtype", "dim", "reason"),
    [
        ("cpu", (9, 0), torch.bfloat16, 64, "does not run on cpu"),
        ("cuda", (7, 5), torch.float16, 64, "needs compute capability 8.0: Old GPU is older"),
        ("cuda", (9, 0), torch.float32, 64, "has no torch.float32"),
        ("cuda", (9, 0), torch.bfloat16, 512, "has no heads of 512"),
        ("cuda", (9, 0), torch.bfloat16, 36, "has no heads of 36"),
    ],
)
def test_what_no_flash_attention_computes_falls_back_with_the_reason(
    device: str,
    capability: tuple[int, int],
    dtype: torch.dtype,
    dim: int,
    reason: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "Old GPU")
    caplog.set_level(logging.INFO)
    assert flash.choose(torch.device(device), dtype, HEADS._replace(dim=dim)) is None
    assert f"prompts: tiles of our own; FlashAttention {reason}" in caplog.text


@ON_GPU
@pytest.mark.parametrize("dim", [64, 80, 96, 128, 256])
@pytest.mark.parametrize("windowed", [False, True])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_a_modern_gpu_has_one_for_every_head_size(dim: int, windowed: bool, dtype: torch.dtype) -> None:
    heads = HEADS._replace(dim=dim, windowed=windowed)
    assert next(flash.working(torch.device("cuda"), dtype, heads), None) is not None
