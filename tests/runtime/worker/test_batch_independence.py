"""A request's tokens do not depend on its company: 64 mixed requests give what each gives alone."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import torch
from mini_core import MiniCore, Request
from ramify.runtime.protocol.plan import WorkerReply
from ramify.runtime.protocol.sampling import RowSampling
from ramify.runtime.worker.executor import InlineExecutor
from ramify.runtime.worker.options import WorkerOptions
from ramify.runtime.worker.torch_worker import TorchWorker

OPTIONS = WorkerOptions(
    dtype="float64", slots=2600, max_rows=20, max_length=160, load_format="dummy", seed=4, checked=True
)


def _requests(sampling: Callable[[int], RowSampling]) -> list[Request]:
    rng = random.Random(11)
    prefixes: list[tuple[int, ...]] = [(), *(tuple(rng.choices(range(97), k=size)) for size in (5, 33, 70))]
    return [
        Request(
            prefix=rng.choice(prefixes),
            suffix=rng.choices(range(97), k=rng.choice((1, 2, 9, 30, 55))),
            max_tokens=rng.choice((1, 2, 5, 12)),
            sampling=sampling(number),
        )
        for number in range(64)
    ]


def _core(directory: Path, seed: int, device: str = "cpu", chunks: Sequence[int] = (1, 3, 8, 40)) -> MiniCore:
    replies: list[WorkerReply] = []
    options = dataclasses.replace(OPTIONS, device=device)
    worker = TorchWorker.load(directory, replies.append, options, executor=InlineExecutor())
    return MiniCore(worker, replies, seed, chunks)


def _greedy(number: int) -> RowSampling:
    return RowSampling(temperature=0.0)


def _mixed(number: int) -> RowSampling:
    """Every feature on some rows, in every combination with every other."""
    return RowSampling(
        temperature=(0.0, 0.7, 1.3)[number % 3],
        top_k=(0, 5, 40, 0)[number % 4],
        top_p=(1.0, 0.9, 0.6)[number // 3 % 3],
        min_p=(0.0, 0.05)[number // 2 % 2],
        presence_penalty=(0.0, 0.5)[number // 5 % 2],
        frequency_penalty=(0.0, 0.3)[number // 7 % 2],
        repetition_penalty=(1.0, 1.2)[number // 11 % 2],
        seed=number * 0x9E3779B97F4A7C15 % 2**64,
        logprobs=(-1, 3)[number // 13 % 2],
    )


CASES = [("config_directory", _greedy), ("config_directory", _mixed), ("windowed_directory", _mixed)]


@pytest.fixture
def directory(request: pytest.FixtureRequest) -> Path:
    """The fixture that the test's parameter names."""
    path: Path = request.getfixturevalue(request.param)
    return path


@pytest.mark.parametrize(("directory", "sampling"), CASES, indirect=["directory"])
def test_mixed_requests_give_the_tokens_each_gives_alone(
    sampling: Callable[[int], RowSampling], directory: Path
) -> None:
    torch.set_num_threads(1)
    together, again, alone = _requests(sampling), _requests(sampling), _requests(sampling)
    core = _core(directory, seed=1)
    core.run(together)
    assert core.steps > 30
    assert all(len(request.output) == request.max_tokens for request in together)
    assert len({tuple(request.output[:2]) for request in together}) > 20, "the model repeats itself: nothing is tested"
    _core(directory, seed=2).run(again)
    assert [request.output for request in again] == [request.output for request in together]
    one_by_one = _core(directory, seed=3, chunks=(1000,))  # whole prompts
    for request, expected in zip(alone, together, strict=True):
        one_by_one.run([request])
        assert request.output == expected.output


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize(("directory", "sampling"), CASES, indirect=["directory"])
def test_cuda_gives_the_tokens_of_the_cpu(sampling: Callable[[int], RowSampling], directory: Path) -> None:
    on_cpu, on_cuda = _requests(sampling), _requests(sampling)
    _core(directory, seed=1).run(on_cpu)
    _core(directory, seed=2, device="cuda").run(on_cuda)
    assert [request.output for request in on_cuda] == [request.output for request in on_cpu]
