"""`step_builder` and `mini_core` are modules beside the tests, also for the tests of the models.

On a CPU the kernels run in Triton's interpreter, which must be chosen before Triton is imported.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest
import torch

if not torch.cuda.is_available():
    os.environ["TRITON_INTERPRET"] = "1"

sys.path.insert(0, str(Path(__file__).parent))

CONFIG = {
    "architectures": ["LlamaForCausalLM"],
    "vocab_size": 97,
    "hidden_size": 48,
    "intermediate_size": 80,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 256,
    "initializer_range": 0.3,
}

WINDOWED = {
    **CONFIG,
    "architectures": ["Qwen3ForCausalLM"],
    "head_dim": 12,
    "use_sliding_window": True,
    "sliding_window": 6,
    "layer_types": ["sliding_attention", "full_attention"],
}


@pytest.fixture
def config_directory(tmp_path: Path) -> Path:
    """A directory with a config.json alone, for `load_format="dummy"`."""
    (tmp_path / "config.json").write_text(json.dumps(CONFIG))
    return tmp_path


@pytest.fixture
def windowed_directory(tmp_path: Path) -> Path:
    """The same of a model whose first layer has a window shorter than most prompts."""
    (tmp_path / "config.json").write_text(json.dumps(WINDOWED))
    return tmp_path
