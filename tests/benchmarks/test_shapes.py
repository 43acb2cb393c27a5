"""The shapes of the benchmarks are models that load, and their floors count the parameters that are there."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
import torch
from ramify.runtime.attention.kv_pool import KVLayout, KVPool
from ramify.runtime.models.registry import build_model, load_config
from shapes import SHAPES, model_size, write_config
from workloads import VOCAB_HIGH, VOCAB_LOW, ids, vocab_high


@pytest.mark.parametrize("name", SHAPES)
def test_a_shape_counts_the_parameters_of_its_model(name: str, tmp_path: Path) -> None:
    write_config(name, tmp_path)
    config = load_config(tmp_path)
    model = build_model(config, dtype=torch.bfloat16, device=torch.device("meta"), max_length=16)
    products = {key: p.numel() for key, p in model.named_parameters() if "norm" not in key and "embed" not in key}
    head = products.pop("lm_head.weight", config.vocab_size * config.hidden_size)  # else that of the embeddings
    size = model_size(SHAPES[name])
    assert (size.layers, size.head) == (sum(products.values()), head)
    assert size.kv_bytes == KVPool.bytes_per_slot(
        KVLayout(torch.bfloat16), layers=config.num_layers, kv_heads=config.num_kv_heads, head_dim=config.head_dim
    )
    assert config.dtype == "bfloat16"


@pytest.mark.parametrize("name", SHAPES)
def test_random_ids_are_in_the_vocabulary(name: str, tmp_path: Path) -> None:
    write_config(name, tmp_path)
    high = vocab_high(str(tmp_path))
    drawn = ids(random.Random(1), 4000, high)
    assert min(drawn) >= VOCAB_LOW
    assert max(drawn) < min(SHAPES[name]["vocab_size"], VOCAB_HIGH)
    assert max(drawn) > 0.99 * high
