"""An engine without options takes the GPU where there is one, and says how far it runs ahead on it."""

from __future__ import annotations

import pytest
import torch
from ramify.runtime.engine.options import EngineOptions


@pytest.mark.parametrize(
    ("model", "device", "gpu", "expected"),
    [
        ("/a/model", "auto", True, "cuda"),
        ("/a/model", "auto", False, "cpu"),
        ("/a/model", "cpu", True, "cpu"),
        ("/a/model", "cuda:1", False, "cuda:1"),
        ("seedling", "auto", True, "cpu"),
        ("seedling", "cuda", True, "cuda"),
    ],
)
def test_the_device_is_the_gpu_where_there_is_one(
    model: str, device: str, gpu: bool, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: gpu)
    options = EngineOptions(model=model, device=device)
    assert options.device_here() == expected
    assert options.depth(expected) == int(expected != "cpu")


@pytest.mark.parametrize("overlap", [0, 1])
def test_the_depth_can_be_chosen(overlap: int) -> None:
    options = EngineOptions(model="/a/model", overlap=overlap)  # type: ignore[arg-type]
    assert [options.depth("cpu"), options.depth("cuda")] == [overlap, overlap]


def test_no_option_is_needed() -> None:
    assert EngineOptions(model="/a/model").device == "auto"
