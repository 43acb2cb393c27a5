"""Products of few rows equal the product in float64, whatever the sizes."""

from __future__ import annotations

import pytest
import torch

pytest.importorskip("triton", reason="Triton cannot be installed here")

from ramify.runtime.kernels.skinny import MOST_ROWS, SkinnyProducts
from torch import Tensor
from torch.nn import functional as F


def _half(device: torch.device) -> torch.dtype:
    return torch.bfloat16 if device.type == "cuda" else torch.float16  # the interpreter's bf16 is not the device's


def _check(
    generator: torch.Generator, rows: int, outputs: int, inputs: int, *, bias: bool, dtype: torch.dtype, times: int = 1
) -> None:
    products = SkinnyProducts(generator.device)

    def random(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator, device=generator.device).to(dtype)

    for _ in range(times):
        x, weight, offset = random(rows, inputs), random(outputs, inputs), random(outputs)
        assert rows == 1 or dtype == torch.float32 or products.few_rows_refusal(x, weight) is None
        actual = products.linear(x, weight, offset if bias else None)
        expected = x.double() @ weight.double().t() + (offset.double() if bias else 0.0)
        assert actual.shape == (rows, outputs)
        assert actual.dtype == dtype
        tolerance = {torch.float32: 1e-6, torch.float16: 2e-3, torch.bfloat16: 1e-2}[dtype]
        assert float((actual.double() - expected).norm() / expected.norm()) < tolerance


@pytest.mark.parametrize(("outputs", "inputs"), [(6, 48), (33, 1000), (8, 2048), (5, 4100)])
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("half", [False, True])
def test_one_row(generator: torch.Generator, outputs: int, inputs: int, bias: bool, half: bool) -> None:
    dtype = _half(generator.device) if half else torch.float32
    _check(generator, 1, outputs, inputs, bias=bias, dtype=dtype)


@pytest.mark.parametrize("rows", [2, 16, 17, MOST_ROWS])
@pytest.mark.parametrize(
    ("outputs", "inputs"),
    [
        (40, 72),  # less than a tile of each
        (64, 512),  # one tile, cut into four parts of its inputs
        (130, 392),  # a part that is not whole tiles
        (520, 256),  # tiles of 128 rows, the last of which is not full
    ],
)
def test_few_rows(generator: torch.Generator, rows: int, outputs: int, inputs: int) -> None:
    _check(generator, rows, outputs, inputs, bias=rows == 16, dtype=_half(generator.device))


def test_the_parts_of_one_product_do_not_reach_the_next(generator: torch.Generator) -> None:
    _check(generator, 5, 100, 640, bias=False, dtype=_half(generator.device), times=3)


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize(
    ("rows", "outputs", "inputs"),
    [
        (1, 34, 96),
        (1, 9, 4100),  # a program's rows are not whole
        (3, 50, 200),  # too few for a program of both halves
        (3, 300, 136),  # more than the device in tiles of 128 rows, the last of which is not full
        (64, 256, 128),
        (MOST_ROWS + 1, 20, 64),
    ],
)
@pytest.mark.parametrize("half", [False, True])
def test_gate_and_up(generator: torch.Generator, rows: int, outputs: int, inputs: int, bias: bool, half: bool) -> None:
    device = generator.device
    dtype = _half(device) if half else torch.float32
    x, weight, offset = (
        torch.randn(shape, generator=generator, device=device).to(dtype)
        for shape in ((rows, inputs), (2 * outputs, inputs), (2 * outputs,))
    )
    actual = SkinnyProducts(device).linear(x, weight, offset if bias else None, gated=True)
    gate, up = (x.double() @ weight.double().t() + (offset.double() if bias else 0.0)).chunk(2, dim=1)
    expected = F.silu(gate) * up
    assert actual.shape == (rows, outputs)
    assert float((actual.double() - expected).norm() / expected.norm()) < (1e-2 if half else 1e-6)


@pytest.mark.parametrize(("rows", "half"), [(3, False), (MOST_ROWS + 1, True)])
def test_the_library_computes_the_rest(generator: torch.Generator, rows: int, half: bool) -> None:
    _check(generator, rows, 40, 64, bias=True, dtype=_half(generator.device) if half else torch.float32)


def test_rows_that_are_not_dense_go_to_the_library(generator: torch.Generator) -> None:
    wide = torch.randn((3, 200), generator=generator, device=generator.device).to(_half(generator.device))
    weight = torch.randn((10, 96), generator=generator, device=generator.device).to(wide.dtype)
    products = SkinnyProducts(generator.device)
    for rows in (1, 3):
        x = wide[:rows, 100:196]
        actual = products.linear(x, weight)
        assert float((actual.double() - x.double() @ weight.double().t()).norm()) < 0.5
