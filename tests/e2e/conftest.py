"""A small random model with the bundled tokenizer: real loading, real forward passes, meaningless text."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from ramify import Engine, seedling
from tokenizers import Tokenizer


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("tiny")
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(seedling.path() / name, directory / name)
    vocab_size = Tokenizer.from_file(str(directory / "tokenizer.json")).get_vocab_size()
    config = {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_size": 64,
        "intermediate_size": 96,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "vocab_size": vocab_size,
        "max_position_embeddings": 1024,
        "rms_norm_eps": 1e-5,
        "rope_theta": 10000.0,
        "tie_word_embeddings": True,
        "hidden_act": "silu",
    }
    (directory / "config.json").write_text(json.dumps(config))
    return directory


@pytest.fixture(scope="session", params=[0, 1], ids=["depth0", "depth1"])
def engine(request: pytest.FixtureRequest, tiny_model: Path) -> Iterator[Engine]:
    """An engine in this process, at both overlap depths, that proves the ownership of its slots after each step."""
    with Engine(
        str(tiny_model), load_format="dummy", overlap=request.param, slots=4096, check=True, threads=1
    ) as engine:
        yield engine
