"""A model, a pool or a step that a GPU has no memory for is a named error with the numbers, and leaves nothing behind.

The device is filled up, so these tests want it for themselves.
"""

from __future__ import annotations

import gc
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from ramify.errors import WorkerError
from ramify.runtime.worker.executor import InlineExecutor
from ramify.runtime.worker.memory import RESERVE
from ramify.runtime.worker.options import WorkerOptions
from ramify.runtime.worker.torch_worker import TorchWorker
from small_configs import CONFIG

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")

MIB, GIB = 1 << 20, 1 << 30
SLOT_BYTES = 2 * 2 * 2 * 64 * 2  # layers, keys and values, key/value heads, head size, bytes
SIZES = {
    "hidden_size": 512,
    "intermediate_size": 1024,
    "num_attention_heads": 8,
    "vocab_size": 32_000,
    "max_position_embeddings": 16_384,
}


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """A small model whose heads the kernels take."""
    (tmp_path / "config.json").write_text(json.dumps({**CONFIG, **SIZES, "torch_dtype": "bfloat16"}))
    return tmp_path


@contextmanager
def crowded(left: int) -> Iterator[None]:
    """Somebody else has all of the device but `left` bytes."""
    gc.collect()
    torch.cuda.empty_cache()
    taken = torch.empty(torch.cuda.mem_get_info()[0] - left, dtype=torch.uint8, device="cuda")
    yield
    del taken
    torch.cuda.empty_cache()


def _refusal(directory: Path, **options: object) -> str:
    """What loading raises; no memory stays taken."""
    torch.cuda.empty_cache()
    free = torch.cuda.mem_get_info()[0]
    fields = {"device": "cuda", "load_format": "dummy", "max_rows": 8, **options}
    with pytest.raises(WorkerError) as caught:
        TorchWorker.load(directory, [].append, WorkerOptions(**fields), executor=InlineExecutor())  # type: ignore[arg-type]
    message = str(caught.value)
    del caught
    gc.collect()  # the frames that the exception holds hold the model
    torch.cuda.empty_cache()
    assert torch.cuda.mem_get_info()[0] > free - 256 * MIB
    return message


def test_a_model_that_does_not_fit(tmp_path: Path) -> None:
    # 32 layers of 16 GiB each: 4 * 16384^2 in attention and 3 * 16384 * 163840 in the MLP, at 2 bytes.
    sizes = {
        "hidden_size": 16_384, "intermediate_size": 163_840, "num_hidden_layers": 32,
        "num_attention_heads": 128, "num_key_value_heads": 128, "torch_dtype": "bfloat16",
    }  # fmt: skip
    (tmp_path / "config.json").write_text(json.dumps({**CONFIG, **sizes}))
    message = _refusal(tmp_path)
    assert "the model does not fit on cuda" in message
    weights = 32 * 2 * (4 * 16_384**2 + 3 * 16_384 * 163_840) / GIB
    assert f"{weights:.0f}." in message.partition(" GiB of weights")[0][-8:]
    total = torch.cuda.mem_get_info()[1] / GIB
    assert f"{total:.2f} GiB in all" in message


def test_a_pool_that_does_not_fit(directory: Path) -> None:
    message = _refusal(directory, slots=1 << 30)
    assert "a KV pool of 1073741824 slots (" in message
    assert "GiB in all" in message


def test_a_step_that_does_not_fit_beside_the_pool(directory: Path) -> None:
    with crowded(8 * GIB):
        message = _refusal(directory, slots=(8 * GIB - 600 * MIB) // SLOT_BYTES, step_tokens=1 << 17)
    assert "the captured steps do not fit beside a KV pool of" in message  # the widest step is the first of them
    assert "GiB of weights" in message
    assert "fewer step_tokens" in message


def test_a_step_that_does_not_fit_at_all(directory: Path) -> None:
    with crowded(800 * MIB):
        message = _refusal(directory, step_tokens=1 << 17)
    assert "a step of 131072 tokens does not fit beside the model" in message
    assert "GiB in all" in message


def test_a_device_with_no_memory_left_for_a_pool(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The device says that next to nothing is free when the pool is to be sized."""
    free, total = torch.cuda.mem_get_info()
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device=None: (total // 40, total))
    with pytest.raises(WorkerError, match="no memory is left for the KV pool on cuda") as caught:
        options = WorkerOptions(device="cuda", load_format="dummy", max_rows=8)
        TorchWorker.load(directory, [].append, options, executor=InlineExecutor())
    for part in ("GiB in all", "of weights", "for the largest step", "computing", "of graphs", "to gather a prefix"):
        assert part in str(caught.value)
    assert free < total


def test_a_pool_is_sized_by_what_is_left(directory: Path) -> None:
    """What is free, less the step and the reserve, goes into the pool; the proof has run over it."""
    total = torch.cuda.mem_get_info()[1]
    left = int(RESERVE * total) + GIB
    with crowded(left):
        options = WorkerOptions(device="cuda", load_format="dummy", max_rows=8, step_tokens=256)
        worker = TorchWorker.load(directory, [].append, options, executor=InlineExecutor())
        pool = worker.info.slots * worker.info.cache[0].bytes_per_slot
        worker.close()
    assert GIB // 4 < pool < GIB - 200 * MIB
