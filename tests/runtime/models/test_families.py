"""Each family computes what transformers' own class does, however the tokens are cut into steps."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest
import torch
from mini_core import MiniCore, Request
from ramify.runtime.protocol.plan import WorkerReply
from ramify.runtime.protocol.tokens import unpack
from ramify.runtime.worker.executor import InlineExecutor
from ramify.runtime.worker.options import WorkerOptions
from ramify.runtime.worker.torch_worker import TorchWorker
from reference import SHAPES, SLOTS, TOKENS, OurModel, reference_model
from step_builder import GREEDY, StepBuilder
from torch import Tensor
from transformers import PreTrainedModel

TOLERANCE = {torch.float32: 1e-4, torch.float64: 1e-5}


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(params=sorted(SHAPES))
def shape(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


def _ids(vocab_size: int) -> list[int]:
    return random.Random(3).choices(range(vocab_size), k=TOKENS)


def _slots(count: int) -> list[int]:
    """Slots in no order: nothing may depend on neighbours in the pool."""
    return random.Random(5).sample(range(SLOTS), count)


def _whole(ours: OurModel, ids: list[int]) -> Tensor:
    """Logits of every position, the prompt computed at once."""
    step = StepBuilder(0)
    step.open(1)
    last = step.chunk(1, 0, ids, _slots(len(ids)))
    for index in range(last + 1):
        step.sample(1, index)
    return ours.run(step.plan())


def _chunked(ours: OurModel, ids: list[int]) -> Tensor:
    """The same in uneven chunks, one of them of one token."""
    slots, logits, start = _slots(len(ids)), [], 0
    for number, count in enumerate((7, 1, 30, 2, TOKENS - 40)):
        step = StepBuilder(number)
        if number == 0:
            step.open(2)
        last = step.chunk(2, start, ids[start : start + count], slots[start : start + count])
        for index in range(last + 1):
            step.sample(2, index)
        logits.append(ours.run(step.plan()))
        start += count
    return torch.cat(logits)


def _behind_a_prefix(ours: OurModel, ids: list[int]) -> Tensor:
    """A prefix computed in row 0; a row that has it cached computes a chunk, then decodes, with a neighbour."""
    prefix, chunk, slots = 40, 13, _slots(2 * len(ids) + 9)
    first = StepBuilder(0)
    first.open(0)
    last = first.chunk(0, 0, ids[:prefix], slots[:prefix])
    for index in range(last + 1):
        first.sample(0, index)
    logits = [ours.run(first.plan())]
    second = StepBuilder(1)
    second.open(3, slots=slots[:prefix])
    second.open(5)
    last = second.chunk(3, prefix, ids[prefix : prefix + chunk], slots[prefix : prefix + chunk])
    for index in range(last + 1):
        second.sample(3, index)
    second.chunk(5, 0, ids[::-1][:9], slots[-9:])
    logits.append(ours.run(second.plan()))
    ours.rows.sampled(np.array([5]), torch.tensor([9]), torch.tensor([4]))
    for position in range(prefix + chunk, len(ids)):
        ours.rows.sampled(np.array([3]), torch.tensor([position]), torch.tensor([ids[position]]))
        step = StepBuilder(position)
        own = step.decode(3, slots[position])
        step.decode(5, slots[len(ids) + position])
        step.sample(3, own)
        logits.append(ours.run(step.plan()))
    return torch.cat(logits)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["float32", "float64"])
def test_logits_equal_those_of_transformers(shape: str, dtype: torch.dtype, tmp_path: Path) -> None:
    reference = reference_model(shape)
    reference.save_pretrained(tmp_path)
    ids = _ids(reference.config.vocab_size)
    with torch.inference_mode():
        expected = reference.to(dtype)(torch.tensor([ids])).logits[0]
    assert expected.std() > 0.5, "a flat distribution would hide mistakes"
    results = [run(OurModel.load(tmp_path, dtype), ids) for run in (_whole, _chunked, _behind_a_prefix)]
    for result in results:
        assert result.shape == expected.shape
        assert (result - expected).abs().max() < TOLERANCE[dtype]
    if dtype == torch.float64:
        for result in results[1:]:
            assert (result - results[0]).abs().max() < 1e-9


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=["bfloat16", "float16"])
def test_half_precision_is_near_the_reference(dtype: torch.dtype, tmp_path: Path) -> None:
    reference = reference_model("llama_gqa2_tied")
    reference.save_pretrained(tmp_path)
    ids = _ids(reference.config.vocab_size)
    with torch.inference_mode():
        exact = reference.to(torch.float64)(torch.tensor([ids])).logits[0]
        rounded = reference.to(dtype)(torch.tensor([ids])).logits[0].double()
    ours = _behind_a_prefix(OurModel.load(tmp_path, dtype), ids).double()
    assert (ours - exact).abs().mean() < 1.5 * (rounded - exact).abs().mean()


def test_siblings_read_what_another_row_computes_in_the_same_step(tmp_path: Path) -> None:
    reference = reference_model("llama_gqa2_tied")
    reference.save_pretrained(tmp_path)
    ids = _ids(reference.config.vocab_size)
    slots = _slots(120)
    step = StepBuilder(0)
    step.open(0)
    step.open(1)
    # Row 1 comes first and owns only its suffix; its prefix is row 0's, computed in this very step.
    step.span(1, 0, slots[:50])
    tail = step.chunk(1, 50, ids[50:60], slots[60:70])
    head = step.chunk(0, 0, ids[:50], slots[:50])
    step.sample(1, tail)
    step.sample(0, head)
    plan = step.plan()
    logits = OurModel.load(tmp_path, torch.float64).run(plan)
    with torch.inference_mode():
        expected = reference.to(torch.float64)(torch.tensor([ids[:60]])).logits[0]
    assert unpack(plan.sample_index).tolist() == [9, 59]
    assert (logits[0] - expected[59]).abs().max() < 1e-5
    assert (logits[1] - expected[49]).abs().max() < 1e-5


def _greedy_tokens(reference: PreTrainedModel, prompt: list[int], count: int) -> list[int]:
    """What transformers generates, every step from the whole sequence."""
    ids = list(prompt)
    with torch.inference_mode():
        for _ in range(count):
            ids.append(int(reference(torch.tensor([ids])).logits[0, -1].argmax()))
    return ids[len(prompt) :]


@pytest.mark.parametrize(
    "shape", ["llama", "mistral_window_11", "qwen2_window_behind_a_full_layer", "qwen3_mixed_layers"]
)
def test_a_saved_directory_generates_what_transformers_does(shape: str, tmp_path: Path) -> None:
    reference = reference_model(shape)
    reference.save_pretrained(tmp_path / "one")
    reference.save_pretrained(tmp_path / "shards", max_shard_size="100KB")
    assert len(list((tmp_path / "shards").glob("*.safetensors"))) > 2
    prompts = [_ids(97)[start : start + count] for start, count in ((0, 30), (7, 3), (40, 1))]
    expected = [_greedy_tokens(reference.to(torch.float64), prompt, 12) for prompt in prompts]
    options = WorkerOptions(dtype="float64", slots=SLOTS, max_rows=4, checked=True)
    for directory in ("one", "shards"):
        replies: list[WorkerReply] = []
        worker = TorchWorker.load(tmp_path / directory, replies.append, options, executor=InlineExecutor())
        assert worker.info.vocab_size == 97
        requests = [Request((), prompt, 12, GREEDY) for prompt in prompts]
        MiniCore(worker, replies, seed=3).run(requests)
        assert [request.output for request in requests] == expected
