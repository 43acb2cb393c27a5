"""What tests of several folders start from."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from ramify import seedling
from tokenizers import Tokenizer


@pytest.fixture(scope="session")
def make_random_model(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Makes folders of small models with the bundled tokenizer, for `load_format="dummy"`: real loading, real forward
    passes, meaningless text. Keywords overwrite their config."""

    def make(**config: object) -> Path:
        directory = tmp_path_factory.mktemp("model")
        for name in ("tokenizer.json", "tokenizer_config.json"):
            shutil.copy(seedling.path() / name, directory / name)
        defaults = {
            "architectures": ["LlamaForCausalLM"],
            "model_type": "llama",
            "hidden_size": 32,
            "intermediate_size": 64,
            "num_hidden_layers": 1,
            "num_attention_heads": 2,
            "num_key_value_heads": 1,
            "vocab_size": Tokenizer.from_file(str(directory / "tokenizer.json")).get_vocab_size(),
            "max_position_embeddings": 2048,
            "rms_norm_eps": 1e-5,
            "hidden_act": "silu",
            "tie_word_embeddings": True,
        }
        (directory / "config.json").write_text(json.dumps(defaults | config))
        return directory

    return make
