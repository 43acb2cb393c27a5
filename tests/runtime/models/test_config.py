"""A config is read as transformers reads it, and what is not implemented is refused by name."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from ramify.errors import ModelNotFound, UnsupportedModel
from ramify.runtime.models.config import DefaultRope, LinearRope, Llama3Rope, ModelConfig, RopeScaling
from ramify.runtime.models.registry import MODELS, load_config, parse_config
from ramify.runtime.models.rotary import inverse_frequencies
from reference import CONFIGS, SHAPES, reference_model
from transformers import PreTrainedConfig

BASE: dict[str, object] = {
    "architectures": ["LlamaForCausalLM"],
    "vocab_size": 100,
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "max_position_embeddings": 512,
}
MISTRAL: dict[str, object] = {"architectures": ["MistralForCausalLM"], "num_key_value_heads": 2}
QWEN2: dict[str, object] = {"architectures": ["Qwen2ForCausalLM"], "num_key_value_heads": 2}
LLAMA3 = {
    "rope_type": "llama3",
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 128,
}


def _parse(**changes: object) -> ModelConfig:
    return parse_config(json.dumps({**BASE, **changes}).encode())


def _family(name: str) -> str:
    """The architecture of transformers' family `name`."""
    return {"llama": "Llama", "mistral": "Mistral", "qwen2": "Qwen2", "qwen3": "Qwen3"}[name] + "ForCausalLM"


def _their_windows(config: PreTrainedConfig) -> tuple[int | None, ...]:
    """The windows that transformers' layers have: Mistral's is every layer's, Qwen's those of the sliding ones."""
    window = getattr(config, "sliding_window", None)
    kinds = getattr(config, "layer_types", None) or ["sliding_attention"] * config.num_hidden_layers
    return tuple(window if kind == "sliding_attention" else None for kind in kinds)


def _assert_equal(ours: ModelConfig, theirs: PreTrainedConfig) -> None:
    assert ours.num_layers == theirs.num_hidden_layers
    assert ours.num_heads == theirs.num_attention_heads
    assert ours.num_kv_heads == theirs.num_key_value_heads
    assert ours.head_dim == getattr(theirs, "head_dim", theirs.hidden_size // theirs.num_attention_heads)
    assert ours.rope_theta == theirs.rope_parameters["rope_theta"]
    assert ours.windows == _their_windows(theirs)
    for name in (
        "vocab_size",
        "hidden_size",
        "intermediate_size",
        "max_position_embeddings",
        "rms_norm_eps",
        "tie_word_embeddings",
        "initializer_range",
    ):
        assert getattr(ours, name) == getattr(theirs, name), name


@pytest.mark.parametrize("shape", sorted(SHAPES))
def test_every_field_equals_that_of_transformers(shape: str, tmp_path: Path) -> None:
    theirs = reference_model(shape)
    theirs.save_pretrained(tmp_path)
    ours = load_config(tmp_path)
    _assert_equal(ours, theirs.config)
    attention, mlp = theirs.model.layers[0].self_attn, theirs.model.layers[0].mlp
    assert ours.biases.qkv == (attention.q_proj.bias is not None) == (attention.v_proj.bias is not None)
    assert ours.biases.output == (attention.o_proj.bias is not None)
    assert ours.biases.mlp == (mlp.up_proj.bias is not None)
    frequencies = inverse_frequencies(ours.head_dim, ours.rope_theta, ours.rope_scaling)
    torch.testing.assert_close(frequencies, theirs.model.rotary_emb.inv_freq, rtol=1e-6, atol=0)


SLIDING = {"use_sliding_window": True, "sliding_window": 17}
COMMON: list[dict[str, object]] = [
    {},
    {"tie_word_embeddings": True, "rms_norm_eps": 1e-5, "num_key_value_heads": 4, "head_dim": 16},
    {"rope_theta": 9e5, "rope_scaling": None},
    {"rope_theta": 9e5, "rope_scaling": {"type": "linear", "factor": 3.0}},
    {"rope_scaling": {"rope_type": "linear", "factor": 3.0}, "rope_parameters": {"rope_theta": 7.0}},
    {"rope_parameters": {"rope_type": "default", "rope_theta": 3e5}, "rope_theta": 5.0},
]
QWEN: list[dict[str, object]] = [
    {"num_key_value_heads": None},
    {"sliding_window": None},
    {"sliding_window": 512},
    {"sliding_window": 512, "use_sliding_window": False, "max_window_layers": 0},
    {"use_sliding_window": True},
    {**SLIDING, "max_window_layers": 5},
    {**SLIDING, "max_window_layers": 0},
    {**SLIDING, "max_window_layers": 32},
    {**SLIDING, "layer_types": ["full_attention", *["sliding_attention"] * 31]},
    {**SLIDING, "sliding_window": None, "max_window_layers": 0},
]
FILES = [(family, keys) for family in CONFIGS for keys in COMMON]
FILES += [(family, keys) for family in ("qwen2", "qwen3") for keys in QWEN]
FILES += [("mistral", {"sliding_window": window}) for window in (None, 512)]
FILES += [("llama", {"num_key_value_heads": None})]


@pytest.mark.parametrize(("family", "keys"), FILES)
def test_what_a_file_leaves_out_is_filled_in_as_transformers_does(family: str, keys: dict[str, object]) -> None:
    file = {**BASE, "num_attention_heads": 32, "num_hidden_layers": 32, "hidden_size": 2048, **keys}
    ours = parse_config(json.dumps({**file, "architectures": [_family(family)]}).encode())
    theirs = CONFIGS[family].from_dict(json.loads(json.dumps({**file, "model_type": family})))
    _assert_equal(ours, theirs)
    assert isinstance(ours.rope_scaling, LinearRope) == (theirs.rope_parameters["rope_type"] == "linear")


def test_every_family_is_compared_with_transformers() -> None:
    assert {_family(shape.partition("_")[0]) for shape in SHAPES} == set(MODELS)


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
        ({"sliding_window": 4096}, "no sliding window", "$.sliding_window"),
        ({"layer_types": ["full_attention", "sliding_attention"]}, "['full_attention', 's", "$.layer_types"),
        ({**MISTRAL, "sliding_window": 0}, "window of 0 positions", "$.sliding_window"),
        ({**MISTRAL, "layer_types": ["sliding_attention", "full_attention"]}, "this family", "$.layer_types"),
        ({**MISTRAL, "layer_types": ["full_attention", "full_attention"]}, "this family", "$.layer_types"),
        ({**MISTRAL, "num_key_value_heads": None}, "got `null` - at `$.num_key_value_heads`", "config.json"),
        ({**QWEN2, "layer_types": ["full_attention", "linear_attention"]}, "linear_attention", "$.layer_types"),
        ({**QWEN2, "layer_types": ["full_attention"]}, "1 layers of types", "$.layer_types"),
        ({**QWEN2, "layer_types": ["full_attention", "sliding_attention"]}, "window of None", "$.sliding_window"),
        ({**QWEN2, "use_sliding_window": True, "sliding_window": -1, "max_window_layers": 0}, "window of -1", "$.slid"),
        ({**QWEN2, "use_sliding_window": 1}, "got `int` - at `$.use_sliding_window`", "config.json"),
        ({"architectures": ["Qwen3ForCausalLM"], "head_dim": None}, "got `null` - at `$.head_dim`", "config.json"),
        ({"architectures": ["Qwen3MoeForCausalLM"]}, "'Qwen3MoeForCausalLM' is not", "$.architectures[0]"),
        ({"architectures": ["MixtralForCausalLM"]}, "'MixtralForCausalLM' is not", "$.architectures[0]"),
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
        ({"rope_scaling": {"type": "mrope", "mrope_section": [2, 3, 3]}}, "rope type 'mrope'", "$.rope_scaling"),
        ({"rope_scaling": {"type": "default", "mrope_section": [2]}}, "field `mrope_section`", "$.rope_scaling"),
        ({"rope_parameters": {"full_attention": {"factor": 2}}}, "field `full_attention`", "$.rope_parameters"),
        ({"rope_parameters": {"factor": "2"}}, "got `str` - at `$.factor`", "$.rope_parameters"),
        ({"rope_parameters": {"rope_theta": -1.0}}, "rope_theta is -1.0", "$.rope_parameters.rope_theta"),
        ({"partial_rotary_factor": 0.5}, "partial_rotary_factor 0.5", "$.partial_rotary_factor"),
        ({"rope_parameters": {"partial_rotary_factor": 0.25}}, "factor 0.25", "$.rope_parameters.partial"),
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
    """Before the other keys, which may be spelt otherwise there."""
    with pytest.raises(UnsupportedModel) as caught:
        parse_config(b'{"architectures": ["MambaForCausalLM"], "d_model": 64}')
    assert "MambaForCausalLM" in caught.value.what
    assert all(name in caught.value.hint for name in MODELS)


def test_missing_files_and_oversized_ones_are_named(tmp_path: Path) -> None:
    with pytest.raises(ModelNotFound, match="directory does not exist"):
        load_config(tmp_path / "absent")
    with pytest.raises(ModelNotFound, match=r"no config\.json"):
        load_config(tmp_path)
    (tmp_path / "config.json").write_bytes(b" " * ((1 << 20) + 1))
    with pytest.raises(UnsupportedModel, match="larger than"):
        load_config(tmp_path)
