"""Every bound of a gen is checked, after defaults as before, and named in the error."""

from __future__ import annotations

import math

import pytest
from ramify.errors import InvalidRequest
from ramify.runtime.protocol.graph import Gen
from ramify.runtime.protocol.sampling import RowSampling, SamplingParams
from ramify.runtime.protocol.validate import check_gen, check_sampling, fill


def gen(**fields: object) -> Gen:
    return Gen(stream=0, node=0, name="x", path="prog/x[0]", **fields)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("temperature", -0.1),
        ("temperature", math.nan),
        ("temperature", math.inf),
        ("top_p", 0.0),
        ("top_p", 1.01),
        ("top_k", -1),
        ("min_p", 1.5),
        ("presence_penalty", 2.5),
        ("frequency_penalty", -2.5),
        ("repetition_penalty", 0.0),
    ],
)
def test_sampling_out_of_bounds(name: str, value: float) -> None:
    with pytest.raises(InvalidRequest) as caught:
        check_gen(gen(sampling=SamplingParams(**{name: value})))
    assert name in caught.value.what
    assert caught.value.where == "prog/x[0]"
    assert "[" in caught.value.hint or "(" in caught.value.hint


@pytest.mark.parametrize(
    "fields",
    [
        {"max_tokens": 0},
        {"stop": ("",)},
        {"stop": ("x" * 257,)},
        {"stop": ("x",) * 17},
        {"stop_ids": tuple(range(17))},
        {"logprobs": 21},
        {"logprobs": -2},
        {"seed": -1},
        {"seed": 1 << 64},
    ],
)
def test_gen_out_of_bounds(fields: dict[str, object]) -> None:
    with pytest.raises(InvalidRequest):
        check_gen(gen(**fields))


def test_bounds_themselves_are_allowed() -> None:
    check_sampling(SamplingParams(0.0, 0, 1.0, 0.0, 2.0, -2.0, 100.0))
    check_gen(gen(max_tokens=1, stop=("a" * 256,), logprobs=20, seed=(1 << 64) - 1))


def test_fill_takes_the_request_then_the_model_then_neutral_values() -> None:
    filled = fill(SamplingParams(top_k=5), SamplingParams(temperature=0.0, top_k=9), seed=3, logprobs=2)
    assert filled == RowSampling(temperature=0.0, top_k=5, seed=3, logprobs=2)
