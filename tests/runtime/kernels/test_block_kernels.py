"""The kernels between the matrix products equal their definitions, written down in torch."""

from __future__ import annotations

import pytest
import torch

pytest.importorskip("triton", reason="Triton cannot be installed here")

from ramify.runtime.kernels.activation import gated_silu
from ramify.runtime.kernels.norm import add_rms_norm, rms_norm
from ramify.runtime.kernels.rotary import rotate_and_write
from ramify.runtime.models.block_ops import ONTO_ROWS, TritonBlockOps
from torch import Tensor
from torch.nn import functional as F

EPS = 1e-5


@pytest.fixture(params=["float32", "half"])
def dtype(request: pytest.FixtureRequest, device: torch.device) -> torch.dtype:
    if request.param == "float32":
        return torch.float32
    return torch.bfloat16 if device.type == "cuda" else torch.float16  # the interpreter's bf16 is not the device's


def _near(actual: Tensor, expected_f64: Tensor) -> None:
    assert actual.isfinite().all()
    tolerance = {torch.float32: 1e-6, torch.float16: 2e-3, torch.bfloat16: 1e-2}[actual.dtype]
    assert float((actual.double() - expected_f64).norm() / expected_f64.norm()) < tolerance


def _norm_f64(x: Tensor, weight: Tensor) -> Tensor:
    return F.rms_norm(x.double(), (x.shape[-1],), weight.double(), EPS)


@pytest.mark.parametrize("size", [48, 64, 300, 1024])
@pytest.mark.parametrize("tokens", [1, 5])
def test_norm(generator: torch.Generator, dtype: torch.dtype, tokens: int, size: int) -> None:
    device = generator.device
    x, residual = (torch.randn(tokens, size, generator=generator, device=device).to(dtype) for _ in range(2))
    weight = torch.rand(size, generator=generator, device=device).to(dtype)
    _near(rms_norm(x, weight, EPS), _norm_f64(x, weight))
    before = residual.clone()
    normed, total = add_rms_norm(x, residual, weight, EPS)
    assert torch.equal(total, x + before)
    _near(normed, _norm_f64(total, weight))


def test_norm_of_each_head_of_a_wider_row(generator: torch.Generator, dtype: torch.dtype) -> None:
    device = generator.device
    qkv = torch.randn(4, 7 * 24, generator=generator, device=device).to(dtype)
    weight = torch.rand(24, generator=generator, device=device).to(dtype)
    heads = qkv[:, 2 * 24 : 5 * 24].view(4, 3, 24)
    normed = rms_norm(heads, weight, EPS)
    assert normed.is_contiguous()
    _near(normed, _norm_f64(heads, weight))


@pytest.mark.parametrize(("tokens", "size"), [(1, 40), (3, 1024), (2, 1500)])
def test_gated_silu(generator: torch.Generator, dtype: torch.dtype, tokens: int, size: int) -> None:
    gate_up = 3 * torch.randn(tokens, 2 * size, generator=generator, device=generator.device)
    gate_up = gate_up.to(dtype)
    gate, up = gate_up.double().chunk(2, dim=1)
    _near(gated_silu(gate_up), F.silu(gate) * up)


@pytest.mark.parametrize(("heads", "kv_heads"), [(4, 4), (9, 3), (8, 1), (17, 9)])
@pytest.mark.parametrize("head_dim", [24, 64])
def test_rotation_and_write(
    generator: torch.Generator, dtype: torch.dtype, heads: int, kv_heads: int, head_dim: int
) -> None:
    device, tokens, slots = generator.device, 3, 11
    qkv = torch.randn(tokens, heads + 2 * kv_heads, head_dim, generator=generator, device=device).to(dtype)
    q, k, v = qkv.split((heads, kv_heads, kv_heads), dim=1)
    angle = 100 * torch.rand(tokens, head_dim // 2, generator=generator, device=device)
    cos, sin = angle.cos().to(dtype), angle.sin().to(dtype)
    keys, values = (torch.full((slots, kv_heads, head_dim), torch.nan, dtype=dtype, device=device) for _ in range(2))
    slots_T = torch.randperm(slots, generator=generator, device=device)[:tokens]

    def turned(x: Tensor) -> Tensor:
        complex_x = torch.complex(*x.double().chunk(2, dim=-1))
        out = complex_x * torch.complex(cos.double(), sin.double()).unsqueeze(1)
        return torch.cat((out.real, out.imag), dim=-1)

    expected_q, expected_k, expected_v = turned(q), turned(k), v.clone()
    rotate_and_write(q, k, v, cos, sin, slots_T, keys, values)
    _near(q, expected_q)
    _near(keys[slots_T], expected_k)
    assert torch.equal(values[slots_T], expected_v)
    others = [slot for slot in range(slots) if slot not in slots_T.tolist()]
    assert keys[others].isnan().all()
    assert values[others].isnan().all()


def test_no_tokens_are_no_work(device: torch.device) -> None:
    weight = torch.ones(8, device=device)
    assert rms_norm(torch.empty(0, 8, device=device), weight, EPS).shape == (0, 8)
    assert gated_silu(torch.empty(0, 16, device=device)).shape == (0, 8)


@pytest.mark.parametrize("tokens", [1, 3, ONTO_ROWS, ONTO_ROWS + 7])
@pytest.mark.parametrize("biased", [False, True])
def test_a_product_onto_the_residual_is_two_terms_of_the_sum(
    generator: torch.Generator, dtype: torch.dtype, tokens: int, biased: bool
) -> None:
    device = generator.device
    sizes = ((tokens, 64), (32, 64), (tokens, 32))
    x, weight, residual = (torch.randn(size, generator=generator, device=device).to(dtype) for size in sizes)
    bias = torch.randn(32, generator=generator, device=device).to(dtype) if biased else None
    expected = F.linear(x.double(), weight.double(), None if bias is None else bias.double()) + residual.double()
    product, rest = TritonBlockOps(device).linear_onto(x, weight, bias, residual)
    assert (product is None) == (tokens >= ONTO_ROWS and not biased)
    _near(rest if product is None else product + rest, expected)
