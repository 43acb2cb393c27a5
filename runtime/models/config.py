"""The shape of a model, as everything behind `config.json` sees it: one frozen `ModelConfig` whatever the family.

It holds what a file asks for after the family's defaults and rules are applied (see `config_file.py`), so no module has
to know where a number came from.
"""

from __future__ import annotations

from typing import Literal, NamedTuple, TypeAlias

import msgspec

DTypeName: TypeAlias = Literal["float32", "float64", "bfloat16", "float16"]


class DefaultRope(msgspec.Struct, frozen=True, tag="default"):
    """Rotary frequencies as published (Su et al. 2021, RoFormer, section 3.2.2)."""


class LinearRope(msgspec.Struct, frozen=True, tag="linear"):
    """Positions divided by `factor` (Chen et al. 2023, Position Interpolation)."""

    factor: float


class Llama3Rope(msgspec.Struct, frozen=True, tag="llama3"):
    """Low frequencies divided by `factor`, high ones kept, those between interpolated (the Llama 3.1 release)."""

    factor: float
    low_freq_factor: float
    high_freq_factor: float
    original_max_position_embeddings: int


RopeScaling: TypeAlias = DefaultRope | LinearRope | Llama3Rope


class Biases(NamedTuple):
    """Which projections add a bias: query, key and value; the output of attention; the three of the MLP."""

    qkv: bool = False
    output: bool = False
    mlp: bool = False


class ModelConfig(msgspec.Struct, frozen=True, kw_only=True):
    """The shape of a decoder-only model.

    Attributes:
        architecture: the name `config.json` gives, a key of `registry.MODELS`.
        head_dim: width of one head; need not be hidden_size / num_heads.
        windows: for each layer, how many positions a token sees, itself the last; None is all of them.
        max_position_embeddings: the model's context in tokens.
        dtype: of the stored weights, None if the file does not say.
        initializer_range: standard deviation of random weights (`load_format="dummy"`).
    """

    architecture: str
    vocab_size: int
    hidden_size: int
    intermediate_size: int
    num_layers: int
    num_heads: int
    num_kv_heads: int
    head_dim: int
    windows: tuple[int | None, ...]
    max_position_embeddings: int
    rms_norm_eps: float
    rope_theta: float
    rope_scaling: RopeScaling
    tie_word_embeddings: bool
    biases: Biases
    dtype: DTypeName | None
    initializer_range: float
