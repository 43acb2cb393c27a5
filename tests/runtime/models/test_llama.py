"""Our Llama computes what transformers' does, however the tokens are cut into steps."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest
import torch
from ramify.runtime.protocol.tokens import unpack
from reference import SHAPES, SLOTS, OurModel, reference_model
from step_builder import StepBuilder
from torch import Tensor

TOKENS = 75
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


def _decoded(ours: OurModel, ids: list[int]) -> Tensor:
    """A prefix computed in row 0, then a row that has it cached decodes the rest token by token, with a neighbour."""
    prefix, slots = 40, _slots(2 * len(ids) + 9)
    first = StepBuilder(0)
    first.open(0)
    last = first.chunk(0, 0, ids[:prefix], slots[:prefix])
    for index in range(last + 1):
        first.sample(0, index)
    logits = [ours.run(first.plan())]
    neighbour = StepBuilder(1)
    neighbour.open(5)
    neighbour.chunk(5, 0, ids[::-1][:9], slots[-9:])
    ours.run(neighbour.plan())
    for row, token in ((3, ids[prefix]), (5, 4)):
        ours.rows.sampled(np.array([row]), torch.tensor([9 if row == 5 else prefix]), torch.tensor([token]))
    for position in range(prefix, len(ids)):
        step = StepBuilder(position)
        if position == prefix:
            step.open(3, slots=slots[:prefix])
        own = step.decode(3, slots[position])
        step.decode(5, slots[len(ids) + position])
        step.sample(3, own)
        logits.append(ours.run(step.plan()))
        if position + 1 < len(ids):
            ours.rows.sampled(np.array([3]), torch.tensor([position + 1]), torch.tensor([ids[position + 1]]))
    return torch.cat(logits)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["float32", "float64"])
def test_logits_equal_those_of_transformers(shape: str, dtype: torch.dtype, tmp_path: Path) -> None:
    reference = reference_model(shape)
    reference.save_pretrained(tmp_path)
    ids = _ids(reference.config.vocab_size)
    with torch.inference_mode():
        expected = reference.to(dtype)(torch.tensor([ids])).logits[0]
    assert expected.std() > 0.5, "a flat distribution would hide mistakes"
    results = [run(OurModel.load(tmp_path, dtype), ids) for run in (_whole, _chunked, _decoded)]
    for result in results:
        assert result.shape == expected.shape
        assert (result - expected).abs().max() < TOLERANCE[dtype]
    if dtype == torch.float64:
        for result in results[1:]:
            assert (result - results[0]).abs().max() < 1e-9


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=["bfloat16", "float16"])
def test_half_precision_is_near_the_reference(dtype: torch.dtype, tmp_path: Path) -> None:
    reference = reference_model("gqa2_tied")
    reference.save_pretrained(tmp_path)
    ids = _ids(reference.config.vocab_size)
    with torch.inference_mode():
        exact = reference.to(torch.float64)(torch.tensor([ids])).logits[0]
        rounded = reference.to(dtype)(torch.tensor([ids])).logits[0].double()
    ours = _decoded(OurModel.load(tmp_path, dtype), ids).double()
    assert (ours - exact).abs().mean() < 1.5 * (rounded - exact).abs().mean()


def test_siblings_read_what_another_row_computes_in_the_same_step(tmp_path: Path) -> None:
    reference = reference_model("gqa2_tied")
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
