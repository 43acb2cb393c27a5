"""A small random model with the bundled tokenizer: real loading, real forward passes, meaningless text."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from ramify import Engine


@pytest.fixture(scope="session")
def tiny_model(make_random_model: Callable[..., Path]) -> Path:
    return make_random_model(
        hidden_size=64,
        intermediate_size=96,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=1024,
    )


@pytest.fixture(scope="session", params=[0, 1], ids=["depth0", "depth1"])
def engine(request: pytest.FixtureRequest, tiny_model: Path) -> Iterator[Engine]:
    """An engine in this process, at both overlap depths, that proves the ownership of its slots after each step."""
    with Engine(
        str(tiny_model), load_format="dummy", overlap=request.param, slots=4096, check=True, threads=1
    ) as engine:
        yield engine
