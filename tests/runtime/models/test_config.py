"""A config is read as transformers reads it, and what is not implemented is refused by name."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from ramify.errors import ModelNotFound, UnsupportedModel
from ramify.runtime.models.config import (
    DefaultRope,
    LinearRope,
    Llama3Rope,
    ModelConfig,
    RopeScaling,
    load_config,
    parse_config,
)
from ramify.runtime.models.registry import build_model
from ramify.runtime.models.rotary import inverse_frequencies
from reference import SHAPES, reference_model

BASE: dict[str, object] = {
    "architectures": ["LlamaForCausalLM"],
    "vocab_size": 100,
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "max_position_embeddings": 512,
}
LLAMA3 = {
    "rope_type": "llama3",
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 128,
}


def _parse(**changes: object) -> ModelConfig:
    return parse_config(json.dumps({**BASE, **changes}).encode())


@pytest.mark.parametrize("shape", sorted(SHAPES))
def test_every_field_equals_that_of_transformers(shape: str, tmp_path: Path) -> None:
    theirs = reference_model(shape)
    theirs.save_pretrained(tmp_path)
    config = theirs.config
    ours = load_config(tmp_path)
    assert ours.num_kv_heads == config.num_key_value_heads
    assert ours.rope_theta == config.rope_parameters["rope_theta"]
    for name in (
        "vocab_size",
        "hidden_size",
        "intermediate_size",
        "head_dim",
        "max_position_embeddings",
        "rms_norm_eps",
        "tie_word_embeddings",
        "attention_bias",
        "mlp_bias",
        "initializer_range",
    ):
        assert getattr(ours, name) == getattr(config, name), name
    frequencies = inverse_frequencies(ours.head_dim, ours.rope_theta, ours.rope_scaling)
    torch.testing.assert_close(frequencies, theirs.model.rotary_emb.inv_freq, rtol=1e-6, atol=0)


def test_defaults_are_those_of_the_family() -> None:
    config = _parse()
    assert (config.num_kv_heads, config.head_dim, config.rope_theta) == (4, 16, 10_000.0)
    assert config.rope_scaling == DefaultRope()
    assert config.dtype is None


@pytest.mark.parametrize(
    ("changes", "scaling", "theta"),
    [
        ({"rope_theta": 7.0, "rope_scaling": None}, DefaultRope(), 7.0),
        ({"rope_scaling": {"type": "linear", "factor": 2}}, LinearRope(2.0), 10_000.0),
        ({"rope_parameters": {"rope_type": "linear", "factor": 2, "rope_theta": 9}}, LinearRope(2.0), 9.0),
        ({"rope_scaling": LLAMA3, "rope_theta": 5e5}, Llama3Rope(8.0, 1.0, 4.0, 128), 5e5),
    ],
)
def test_rope_is_read_in_both_spellings(changes: dict[str, object], scaling: RopeScaling, theta: float) -> None:
    config = _parse(**changes)
    assert (config.rope_scaling, config.rope_theta) == (scaling, theta)


def test_the_stored_dtype_is_read_in_both_spellings() -> None:
    assert _parse(dtype="bfloat16").dtype == _parse(torch_dtype="bfloat16").dtype == "bfloat16"


@pytest.mark.parametrize(
    ("changes", "text", "where"),
    [
        ({"auto_map": {"AutoModel": "evil.Model"}}, "its own Python code", "$.auto_map"),
        ({"architectures": []}, "expected one architecture", "$.architectures"),
        ({"architectures": ["A", "B"]}, "expected one architecture", "$.architectures"),
        ({"quantization_config": {"bits": 4}}, "quantised", "$.quantization_config"),
        ({"sliding_window": 4096}, "sliding window", "$.sliding_window"),
        ({"hidden_act": "gelu"}, "hidden_act 'gelu'", "$.hidden_act"),
        ({"vocab_size": 0}, "vocab_size is 0", "$.vocab_size"),
        ({"num_key_value_heads": -1}, "num_key_value_heads is -1", "$.num_key_value_heads"),
        ({"num_key_value_heads": 3}, "no multiple of num_key_value_heads 3", "$.num_key_value_heads"),
        ({"hidden_size": 66}, "hidden_size 66 is no multiple", "$.hidden_size"),
        ({"head_dim": 15}, "head_dim 15 is odd", "$.head_dim"),
        ({"rope_theta": 0}, "rope_theta is 0", "$.rope_theta"),
        ({"dtype": "float8_e4m3fn"}, "'float8_e4m3fn'", "$.dtype"),
        ({"rope_scaling": {"rope_type": "yarn", "factor": 4.0}}, "rope type 'yarn'", "$.rope_scaling"),
        ({"rope_parameters": {"rope_type": "dynamic"}}, "rope type 'dynamic'", "$.rope_parameters"),
        ({"rope_scaling": {"type": "linear"}}, "factor is None", "$.rope_scaling.factor"),
        ({"rope_scaling": {**LLAMA3, "high_freq_factor": 1.0}}, "is not above", "$.rope_scaling"),
        ({"partial_rotary_factor": 0.5}, "partial_rotary_factor 0.5", "$.rope_scaling"),
        ({"rope_parameters": {"partial_rotary_factor": 0.25}}, "partial_rotary_factor 0.25", "$.rope_parameters"),
        ({"hidden_size": "64"}, "Expected `int`, got `str` - at `$.hidden_size`", "config.json"),
        ({"hidden_size": None}, "Expected `int`, got `null` - at `$.hidden_size`", "config.json"),
    ],
)
def test_what_is_not_implemented_is_refused_by_name(changes: dict[str, object], text: str, where: str) -> None:
    with pytest.raises(UnsupportedModel) as caught:
        _parse(**changes)
    assert text in caught.value.what
    assert where in caught.value.where


def test_a_missing_key_and_broken_json_are_named() -> None:
    with pytest.raises(UnsupportedModel, match="missing required field `vocab_size`"):
        parse_config(b'{"architectures": ["LlamaForCausalLM"]}')
    with pytest.raises(UnsupportedModel, match="cannot be read"):
        parse_config(b'{"architectures": ["Llama')


def test_an_unknown_architecture_is_refused_with_the_known_ones() -> None:
    config = _parse(architectures=["MambaForCausalLM"])
    with pytest.raises(UnsupportedModel) as caught:
        build_model(config, dtype=torch.float32, device=torch.device("cpu"), max_length=8)
    assert "MambaForCausalLM" in caught.value.what
    assert "LlamaForCausalLM" in caught.value.hint


def test_missing_files_and_oversized_ones_are_named(tmp_path: Path) -> None:
    with pytest.raises(ModelNotFound, match="directory does not exist"):
        load_config(tmp_path / "absent")
    with pytest.raises(ModelNotFound, match=r"no config\.json"):
        load_config(tmp_path)
    (tmp_path / "config.json").write_bytes(b" " * ((1 << 20) + 1))
    with pytest.raises(UnsupportedModel, match="larger than"):
        load_config(tmp_path)
