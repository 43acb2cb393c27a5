"""Products of few rows equal the product in float64, whatever the sizes."""

from __future__ import annotations

import pytest
import torch

pytest.importorskip("triton", reason="Triton cannot be installed here")

from ramify.runtime.kernels.skinny import linear


@pytest.mark.parametrize(("outputs", "inputs"), [(6, 48), (33, 1000), (8, 2048), (5, 4100)])
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("half", [False, True])
def test_one_row(generator: torch.Generator, outputs: int, inputs: int, bias: bool, half: bool) -> None:
    device = generator.device
    # The interpreter's bf16 is not the device's.
    dtype = (torch.bfloat16 if device.type == "cuda" else torch.float16) if half else torch.float32
    x, weight, offset = (
        torch.randn(shape, generator=generator, device=device).to(dtype)
        for shape in ((1, inputs), (outputs, inputs), (outputs,))
    )
    actual = linear(x, weight, offset if bias else None)
    expected = x.double() @ weight.double().t() + (offset.double() if bias else 0.0)
    assert actual.shape == (1, outputs)
    assert actual.dtype == dtype
    tolerance = {torch.float32: 1e-6, torch.float16: 2e-3, torch.bfloat16: 1e-2}[dtype]
    assert float((actual.double() - expected).norm() / expected.norm()) < tolerance


def test_more_rows_go_to_the_library(generator: torch.Generator) -> None:
    x, weight = (torch.randn(shape, generator=generator, device=generator.device) for shape in ((3, 64), (10, 64)))
    assert torch.allclose(linear(x, weight), x @ weight.t(), atol=1e-4)
