"""The fused path gives the tokens of the plain one: under Triton's interpreter on a CPU, with graphs on a GPU."""

from __future__ import annotations

import dataclasses
import json
import random
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

pytest.importorskip("triton", reason="Triton cannot be installed here")

from mini_core import MiniCore, Request
from ramify import seedling
from ramify.errors import WorkerError
from ramify.runtime.models.registry import load_config
from ramify.runtime.protocol.plan import StepMasks, StepResult, WorkerReply
from ramify.runtime.protocol.sampling import RowSampling
from ramify.runtime.protocol.tokens import unpack
from ramify.runtime.worker import fast_path, memory, sharing
from ramify.runtime.worker.decode_graphs import ladder
from ramify.runtime.worker.executor import InlineExecutor
from ramify.runtime.worker.options import WorkerOptions
from ramify.runtime.worker.plan_check import PlanCheck
from ramify.runtime.worker.torch_worker import TorchWorker
from small_configs import CONFIG
from step_builder import GREEDY, StepBuilder, masks_of

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
ON_GPU = pytest.mark.skipif(DEVICE == "cpu", reason="needs a CUDA device")


def _requests(sampling: Callable[[int], RowSampling], count: int, vocab_size: int = 97) -> list[Request]:
    rng = random.Random(11)
    prefixes: list[tuple[int, ...]] = [(), tuple(rng.choices(range(vocab_size), k=9))]
    return [
        Request(
            prefix=rng.choice(prefixes),
            suffix=rng.choices(range(vocab_size), k=rng.choice((1, 2, 9, 20))),
            max_tokens=rng.choice((2, 5, 9)),
            sampling=sampling(number),
        )
        for number in range(count)
    ]


def _run(directory: Path, options: WorkerOptions, requests: list[Request]) -> list[list[int]]:
    torch.set_num_threads(1)
    replies: list[WorkerReply] = []
    worker = TorchWorker.load(directory, replies.append, options, executor=InlineExecutor())
    MiniCore(worker, replies, seed=5, chunks=(3, 8, 40)).run(requests)
    worker.close()
    return [request.output for request in requests]


def _greedy(number: int) -> RowSampling:
    return GREEDY


def _mixed(number: int) -> RowSampling:
    """Plain rows, which the kernel draws, beside rows that need the general path."""
    return RowSampling(
        temperature=(0.0, 0.7, 1.3)[number % 3],
        top_p=(1.0, 0.9)[number % 2],
        repetition_penalty=(1.0, 1.2)[number // 3 % 2],
        seed=number * 0x9E3779B97F4A7C15 % 2**64,
        logprobs=(-1, 2)[number // 2 % 2],
    )


@pytest.mark.parametrize(
    ("directory", "sampling"),
    [("config_directory", _greedy), ("config_directory", _mixed), ("windowed_directory", _mixed)],
)
def test_the_kernels_give_the_tokens_of_plain_torch(
    directory: str, sampling: Callable[[int], RowSampling], request: pytest.FixtureRequest
) -> None:
    path: Path = request.getfixturevalue(directory)
    plain = WorkerOptions(dtype="float32", slots=600, max_rows=5, max_length=64, load_format="dummy", checked=True)
    fused = WorkerOptions(
        dtype="float32", slots=600, max_rows=5, max_length=64, load_format="dummy", checked=True,
        device=DEVICE, kernels="triton", step_tokens=64,
    )  # fmt: skip
    count = 24 if DEVICE == "cuda" else 4
    expected = _run(path, plain, _requests(sampling, count))
    assert _run(path, fused, _requests(sampling, count)) == expected


SHAPES = {
    "mha": {"num_key_value_heads": 4, "head_dim": 64},
    "gqa 8": {"num_attention_heads": 8, "num_key_value_heads": 1, "head_dim": 96},
    "qwen2, biases": {"architectures": ["Qwen2ForCausalLM"], "head_dim": 80},
    "qwen3, norms on heads": {"architectures": ["Qwen3ForCausalLM"], "head_dim": 128, "tie_word_embeddings": True},
    "mistral, a window": {"architectures": ["MistralForCausalLM"], "sliding_window": 5, "head_dim": 256},
}


@ON_GPU
@pytest.mark.parametrize("shape", SHAPES)
def test_every_family_on_a_gpu_says_what_it_says_on_a_cpu(shape: str, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({**CONFIG, **SHAPES[shape]}))
    cpu = WorkerOptions(dtype="float32", slots=600, max_rows=8, max_length=64, load_format="dummy")
    gpu = dataclasses.replace(cpu, device="cuda", step_tokens=64, checked=True)
    expected = _run(tmp_path, cpu, _requests(_greedy, 24))
    assert _run(tmp_path, gpu, _requests(_greedy, 24)) == expected


@ON_GPU
@pytest.mark.parametrize("sampling", [_greedy, _mixed])
def test_rows_that_share_a_prefix_read_it_together(
    sampling: Callable[[int], RowSampling], config_directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sharing, "SHORTEST", 4)
    monkeypatch.setattr(sharing, "WORTH", 1)
    found = list[bool]()
    tiles = sharing.PrefixSharing.tiles

    def counted(self: sharing.PrefixSharing, rows: NDArray[np.int64]) -> sharing.Tiles | None:
        found.append(tiles(self, rows) is not None)
        return tiles(self, rows)

    monkeypatch.setattr(sharing.PrefixSharing, "tiles", counted)
    plain = WorkerOptions(dtype="float32", slots=2000, max_rows=20, max_length=64, load_format="dummy")
    fused = WorkerOptions(
        dtype="float32", slots=2000, max_rows=20, max_length=64, load_format="dummy", device="cuda", step_tokens=64
    )
    expected = _run(config_directory, plain, _requests(sampling, 60))
    assert _run(config_directory, fused, _requests(sampling, 60)) == expected
    assert sum(found) > 5


def test_masked_and_void_samples(config_directory: Path) -> None:
    options = WorkerOptions(
        dtype="float32", slots=100, max_rows=4, max_length=32, load_format="dummy", checked=True,
        device=DEVICE, kernels="triton", step_tokens=32,
    )  # fmt: skip
    replies: list[WorkerReply] = []
    worker = TorchWorker.load(config_directory, replies.append, options, executor=InlineExecutor())

    def ids(plan_step: StepBuilder, masks: StepMasks) -> list[int]:
        worker.submit(plan_step.plan())
        worker.submit(masks)
        reply = replies.pop()
        assert isinstance(reply, StepResult), reply
        out: list[int] = unpack(reply.ids).tolist()
        return out

    first = StepBuilder(0)
    samplings = [GREEDY, RowSampling(temperature=0.9, seed=3), RowSampling(temperature=0.9, top_k=5, seed=4), GREEDY]
    for row, sampling in enumerate(samplings):
        first.open(row, 1, sampling=sampling)
        first.sample(row, first.chunk(row, 0, [5, 80, 33], range(row * 20, row * 20 + 3)))
    allowed = {0: [96], 1: [3, 64], 2: [50], 3: list[int]()}
    drawn = ids(first, masks_of(0, allowed, 97))
    assert (drawn[0], drawn[2], drawn[3]) == (96, 50, -2)
    assert drawn[1] in (3, 64)
    second = StepBuilder(1)
    for row in (2, 0, 1):
        second.sample(row, second.decode(row, row * 20 + 3))
    drawn = ids(second, masks_of(1, {0: [7], 1: [8], 2: [9, 10]}, 97, void=[1]))
    assert (drawn[0], drawn[1]) == (7, -1)
    assert drawn[2] in (9, 10)


def _distribution(worker: TorchWorker, replies: list[WorkerReply], step: int, ids: list[int]) -> dict[int, float]:
    """Log probability of every token behind `ids`, by a prefill of its own."""
    builder = StepBuilder(step)
    if step:
        builder.close(0)
    builder.open(0, step + 1, sampling=RowSampling(temperature=0.0, logprobs=worker.info.vocab_size))
    builder.sample(0, builder.chunk(0, 0, ids, range(len(ids))))
    worker.submit(builder.plan())
    worker.submit(StepMasks(step))
    reply = replies.pop()
    assert isinstance(reply, StepResult), reply
    assert reply.logprobs is not None
    values = np.frombuffer(reply.logprobs.top_logprobs, "<f4").tolist()
    return dict(zip(unpack(reply.logprobs.top_ids).tolist(), values, strict=True))


@ON_GPU
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_seedling_on_a_gpu_says_what_it_says_on_a_cpu(dtype: str) -> None:
    """Equal tokens in float32; in bfloat16 a text may part where the CPU finds both tokens about equally likely."""
    directory = seedling.path()
    vocab_size = load_config(directory).vocab_size
    cpu = WorkerOptions(dtype="float32", slots=4000, max_rows=16, max_length=256)
    gpu = WorkerOptions(
        dtype=dtype,
        slots=4000,
        max_rows=16,
        max_length=256,
        device="cuda",
        step_tokens=512,  # type: ignore[arg-type]
    )
    expected = _run(directory, cpu, _requests(_greedy, 32, vocab_size))
    requests = _requests(_greedy, 32, vocab_size)
    actual = _run(directory, gpu, requests)
    if dtype == "float32":
        assert actual == expected
        return
    replies: list[WorkerReply] = []
    reference = TorchWorker.load(directory, replies.append, cpu, executor=InlineExecutor())
    parted = 0
    for request, ours, theirs in zip(requests, actual, expected, strict=True):
        same = next((i for i, pair in enumerate(zip(ours, theirs, strict=True)) if pair[0] != pair[1]), None)
        if same is not None:
            logprobs = _distribution(reference, replies, parted, [*request.prompt, *theirs[:same]])
            assert logprobs[theirs[same]] - logprobs[ours[same]] < 0.1
            parted += 1
    assert parted < len(requests) // 2


def test_a_ladder_ends_at_the_batch_and_pads_little() -> None:
    for most in (1, 2, 3, 5, 8, 64, 100, 256, 300, 512):
        sizes = ladder(most)
        assert sizes[-1] == most
        for rows in range(1, most + 1):
            size = next(size for size in sizes if size >= rows)
            assert size - rows < (8 if rows <= 256 else 16)


@pytest.mark.parametrize(("rows", "tokens", "slots"), [(5, 64, 100), (5, 3, 100), (5, 64, 20), (1, 7, 7), (1, 90, 100)])
def test_the_largest_steps_are_valid_plans(rows: int, tokens: int, slots: int, config_directory: Path) -> None:
    options = WorkerOptions(slots=max(slots, 16), max_rows=rows, max_length=64, load_format="dummy")
    worker = TorchWorker.load(config_directory, [].append, options, executor=InlineExecutor())
    wide = memory.wide_plan(rows, 64, tokens, slots)
    PlanCheck(worker.info).apply(wide)
    most = min(tokens, slots, rows * 64)
    assert most - rows < len(unpack(wide.chunk_ids)) <= most
    checked = PlanCheck(worker.info)
    checked._step = 0
    checked.apply(memory.long_plan(64, slots))


def test_kernels_that_cannot_run_are_refused_by_name(config_directory: Path) -> None:
    config = load_config(config_directory)
    assert fast_path.refusal(config, torch.device("cpu"), torch.float64) == "they have no float64"
    assert fast_path.refusal(config, torch.device("cpu"), torch.float32) is None
    wide = msgspec.structs.replace(config, head_dim=512)
    assert "heads of 512" in (fast_path.refusal(wide, torch.device("cpu"), torch.float32) or "")
    options = WorkerOptions(dtype="float64", slots=100, load_format="dummy", kernels="triton")
    with pytest.raises(WorkerError, match="have no float64"):
        TorchWorker.load(config_directory, [].append, options, executor=InlineExecutor())


@pytest.mark.parametrize(
    ("capability", "installed", "reason"),
    [
        ((7, 5), True, "Old GPU has compute capability 7.5, and they need 8.0"),
        ((9, 0), False, "the package triton is not installed"),
    ],
)
def test_a_gpu_without_the_kernels_computes_in_plain_torch_and_says_so(
    capability: tuple[int, int],
    installed: bool,
    reason: str,
    config_directory: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "Old GPU")
    if not installed:
        monkeypatch.setattr(fast_path.importlib.util, "find_spec", lambda name: None)
    config, device = load_config(config_directory), torch.device("cuda")
    assert not fast_path.uses_kernels(WorkerOptions(), config, device, torch.float16)
    assert f"plain torch computes on cuda, several times slower than the kernels: {reason}" in caplog.text
    with pytest.raises(WorkerError, match=reason):
        fast_path.uses_kernels(WorkerOptions(kernels="triton"), config, device, torch.float16)
