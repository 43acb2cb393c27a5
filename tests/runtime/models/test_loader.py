"""Weights come in whole or not at all: single file, shards, and each way in which they can be wrong."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from ramify.errors import ModelNotFound, UnsupportedModel
from ramify.runtime.models.config import ModelConfig
from ramify.runtime.models.linear import checkpoint_tensors
from ramify.runtime.models.loader import fill_random, load_weights
from ramify.runtime.models.registry import build_model, load_config
from reference import reference_model
from safetensors.torch import load_file, save_file
from torch import Tensor, nn


def _build(directory: Path, dtype: torch.dtype = torch.float32) -> tuple[nn.Module, ModelConfig]:
    config = load_config(directory)
    return build_model(config, dtype=dtype, device=torch.device("cpu"), max_length=16), config


def _load(directory: Path, dtype: torch.dtype = torch.float32) -> dict[str, Tensor]:
    model, config = _build(directory, dtype)
    load_weights(model, config, directory)
    return checkpoint_tensors(model)


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    reference_model("llama").save_pretrained(tmp_path)
    return tmp_path


def _edit(directory: Path, change: dict[str, Tensor | None]) -> None:
    """Replace, add or (None) remove tensors of the single file."""
    path = directory / "model.safetensors"
    tensors: dict[str, Tensor] = {name: tensor.clone() for name, tensor in load_file(path).items()}
    for name, tensor in change.items():
        if tensor is None:
            del tensors[name]
        else:
            tensors[name] = tensor
    save_file(tensors, path)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.float16])
def test_every_parameter_equals_the_stored_one(directory: Path, dtype: torch.dtype) -> None:
    stored, loaded = load_file(directory / "model.safetensors"), _load(directory, dtype)
    assert set(loaded) == set(stored)
    for name, tensor in stored.items():
        assert loaded[name].dtype == dtype
        assert torch.equal(loaded[name], tensor.to(dtype)), name


def test_shards_load_like_one_file(tmp_path: Path) -> None:
    model = reference_model("llama_gqa4_bias")
    model.save_pretrained(tmp_path / "one")
    model.save_pretrained(tmp_path / "many", max_shard_size="50KB")
    assert not (tmp_path / "many" / "model.safetensors").exists()
    assert len(list((tmp_path / "many").glob("*.safetensors"))) > 2
    one, many = _load(tmp_path / "one"), _load(tmp_path / "many")
    assert set(one) == set(many)
    assert all(torch.equal(one[name], many[name]) for name in one)


def test_a_tied_head_may_be_stored_twice_and_old_buffers_are_skipped(tmp_path: Path) -> None:
    reference_model("llama_gqa2_tied").save_pretrained(tmp_path)
    before = _load(tmp_path)
    assert "lm_head.weight" not in before
    _edit(
        tmp_path,
        {"lm_head.weight": torch.zeros(97, 64), "model.layers.0.self_attn.rotary_emb.inv_freq": torch.zeros(8)},
    )
    assert all(torch.equal(tensor, before[name]) for name, tensor in _load(tmp_path).items())


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"model.norm.weight": None}, "lack 1 tensors of the model: model.norm.weight"),
        ({"lm_head.weight": None}, "lack 1 tensors of the model: lm_head.weight"),
        ({"model.layers.0.q_norm.weight": torch.ones(4)}, "have 1 tensors the model does not: model.layers.0.q_norm"),
        ({"model.layers.0.self_attn.q_proj.bias": torch.ones(64)}, "have 1 tensors the model does not"),
        ({"model.norm.weight": torch.ones(63)}, "'model.norm.weight' has shape [63], the model expects [64]"),
        ({"model.norm.weight": torch.ones(64, dtype=torch.int8)}, "stored as torch.int8"),
        ({"model.norm.weight": torch.ones(64).to(torch.float8_e4m3fn)}, "stored as torch.float8_e4m3fn"),
    ],
)
def test_tensors_that_are_not_the_models_are_named(
    directory: Path, change: dict[str, Tensor | None], text: str
) -> None:
    _edit(directory, change)
    with pytest.raises(UnsupportedModel) as caught:
        _load(directory)
    assert text in caught.value.what
    assert str(directory) in caught.value.where


def test_many_missing_tensors_are_counted_and_a_few_are_named(directory: Path) -> None:
    names = [name for name in load_file(directory / "model.safetensors") if ".layers.1." in name]
    _edit(directory, dict.fromkeys(names))
    with pytest.raises(UnsupportedModel) as caught:
        _load(directory)
    assert f"lack {len(names)} tensors" in caught.value.what
    assert caught.value.what.endswith(", ...")
    assert caught.value.what.count("model.layers.1.") == 5


@pytest.mark.parametrize("keep", [0, 4, 100, 5000])
def test_a_truncated_file_is_refused(directory: Path, keep: int) -> None:
    path = directory / "model.safetensors"
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(UnsupportedModel, match="not a whole safetensors file"):
        _load(directory)


def test_a_header_whose_offsets_lie_is_refused(directory: Path) -> None:
    header = json.dumps({"model.norm.weight": {"dtype": "F32", "shape": [64], "data_offsets": [0, 9999]}}).encode()
    (directory / "model.safetensors").write_bytes(len(header).to_bytes(8, "little") + header + bytes(256))
    with pytest.raises(UnsupportedModel, match="not a whole safetensors file"):
        _load(directory)


def test_missing_weights_and_pickles_are_told_apart(directory: Path) -> None:
    (directory / "model.safetensors").unlink()
    with pytest.raises(ModelNotFound, match=r"neither model\.safetensors nor"):
        _load(directory)
    (directory / "pytorch_model.bin").write_bytes(b"\x80\x02")
    with pytest.raises(UnsupportedModel, match="pickles") as caught:
        _load(directory)
    assert "safetensors" in caught.value.hint


@pytest.mark.parametrize("name", ["../model.safetensors", "/etc/model.safetensors", "weights.bin", ""])
def test_an_index_that_points_elsewhere_is_refused(directory: Path, name: str) -> None:
    (directory / "model.safetensors").rename(directory / "hidden.safetensors")
    index = {"weight_map": {"model.norm.weight": name}}
    (directory / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(UnsupportedModel, match="no safetensors file beside it"):
        _load(directory)


def test_an_index_may_be_broken_or_incomplete(directory: Path) -> None:
    (directory / "model.safetensors").unlink()
    index = directory / "model.safetensors.index.json"
    index.write_text('{"weight_map": {"model.norm.weight": "gone.safetensors"}}')
    with pytest.raises(ModelNotFound, match=r"'gone\.safetensors', which does not exist"):
        _load(directory)
    index.write_text('{"weight_map": 3}')
    with pytest.raises(UnsupportedModel, match="the index cannot be read"):
        _load(directory)


def test_a_tensor_stored_twice_is_refused(directory: Path) -> None:
    whole = load_file(directory / "model.safetensors")
    (directory / "model.safetensors").unlink()
    save_file(whole, directory / "a.safetensors")
    save_file({"model.norm.weight": torch.ones(64)}, directory / "b.safetensors")
    weight_map = {**dict.fromkeys(whole, "a.safetensors"), "extra": "b.safetensors"}
    (directory / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))
    with pytest.raises(UnsupportedModel, match=r"'model\.norm\.weight' is stored twice"):
        _load(directory)


def test_random_weights_come_from_the_seed_and_have_the_configs_scale(directory: Path) -> None:
    weights = []
    for dtype, seed in ((torch.float32, 7), (torch.float64, 7), (torch.float32, 8)):
        model, config = _build(directory, dtype)
        fill_random(model, config, seed)
        weights.append({name: tensor.float() for name, tensor in checkpoint_tensors(model).items()})
    name = "model.layers.2.mlp.up_proj.weight"
    assert torch.equal(weights[0][name], weights[1][name])
    assert not torch.equal(weights[0][name], weights[2][name])
    assert weights[0][name].std().item() == pytest.approx(0.15, rel=0.05)
    assert torch.equal(weights[0]["model.norm.weight"], torch.ones(64))
