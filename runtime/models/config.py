"""`config.json` of a model directory, read by our own parser into one frozen `ModelConfig`.

Why not transformers' `AutoConfig`: a config is data and must stay data. What the file asks for and this package does
not compute (another rope, quantised weights, remote code) is refused here by name, before a byte of weights is read;
what it leaves out gets the defaults the family was published with.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal, TypeAlias

import msgspec

from ...errors import ModelNotFound, UnsupportedModel

MAX_CONFIG_BYTES = 1 << 20
DTYPE_NAMES = ("float32", "float64", "bfloat16", "float16")

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


class ModelConfig(msgspec.Struct, frozen=True, kw_only=True):
    """The shape of a decoder-only model.

    Attributes:
        architecture: the name `config.json` gives, a key of `registry.MODELS`.
        head_dim: width of one head; need not be hidden_size / num_heads.
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
    max_position_embeddings: int
    rms_norm_eps: float = 1e-6
    rope_theta: float = 10_000.0
    rope_scaling: RopeScaling = DefaultRope()
    tie_word_embeddings: bool = False
    attention_bias: bool = False
    mlp_bias: bool = False
    dtype: DTypeName | None = None
    initializer_range: float = 0.02


class _RopeFields(msgspec.Struct, frozen=True):
    """`rope_scaling` (transformers 4) and `rope_parameters` (5) in one: 5 puts the base beside the scaling."""

    rope_type: str | None = None
    type: str | None = None
    rope_theta: float | None = None
    factor: float | None = None
    low_freq_factor: float | None = None
    high_freq_factor: float | None = None
    original_max_position_embeddings: int | None = None
    partial_rotary_factor: float | None = None


class _ConfigFile(msgspec.Struct, frozen=True):
    """The keys of `config.json` that mean something here; the rest (token ids, library versions) is not the model's."""

    architectures: list[str]
    vocab_size: int
    hidden_size: int
    intermediate_size: int
    num_hidden_layers: int
    num_attention_heads: int
    max_position_embeddings: int
    num_key_value_heads: int | None = None
    head_dim: int | None = None
    hidden_act: str = "silu"
    rms_norm_eps: float = 1e-6
    rope_theta: float | None = None
    rope_scaling: _RopeFields | None = None
    rope_parameters: _RopeFields | None = None
    partial_rotary_factor: float | None = None
    tie_word_embeddings: bool = False
    attention_bias: bool = False
    mlp_bias: bool = False
    initializer_range: float = 0.02
    dtype: str | None = None
    torch_dtype: str | None = None
    auto_map: dict[str, object] | None = None
    quantization_config: dict[str, object] | None = None
    sliding_window: int | None = None


def load_config(directory: Path) -> ModelConfig:
    """Read `directory/config.json`.

    Raises:
        ModelNotFound: the directory or the file does not exist.
        UnsupportedModel: the file is no config, or asks for something that is not implemented.
    """
    if not directory.is_dir():
        raise ModelNotFound("the model directory does not exist", where=str(directory), hint="check the path")
    path = directory / "config.json"
    if not path.is_file():
        raise ModelNotFound("the model directory has no config.json", where=str(path), hint="download the whole model")
    if path.stat().st_size > MAX_CONFIG_BYTES:
        raise UnsupportedModel(f"config.json is larger than {MAX_CONFIG_BYTES} bytes", where=str(path))
    return parse_config(path.read_bytes(), where=str(path))


def parse_config(data: bytes, *, where: str = "config.json") -> ModelConfig:
    """`data` (the JSON text) as a `ModelConfig`; `where` names it in errors. Raises UnsupportedModel."""
    try:
        file = msgspec.json.decode(data, type=_ConfigFile, strict=True)
    except msgspec.DecodeError as error:
        raise UnsupportedModel(f"config.json cannot be read: {error}", where=where) from error
    _refuse_unknown_features(file, where)
    num_kv_heads = file.num_attention_heads if file.num_key_value_heads is None else file.num_key_value_heads
    sizes = {
        "vocab_size": file.vocab_size,
        "hidden_size": file.hidden_size,
        "intermediate_size": file.intermediate_size,
        "num_hidden_layers": file.num_hidden_layers,
        "num_attention_heads": file.num_attention_heads,
        "num_key_value_heads": num_kv_heads,
        "max_position_embeddings": file.max_position_embeddings,
    }
    for name, size in sizes.items():
        if size < 1:
            raise UnsupportedModel(f"{name} is {size}, not a positive number", where=f"{where}: $.{name}")
    head_dim = file.hidden_size // file.num_attention_heads if file.head_dim is None else file.head_dim
    if file.head_dim is None and file.hidden_size % file.num_attention_heads:
        raise UnsupportedModel(
            f"hidden_size {file.hidden_size} is no multiple of num_attention_heads {file.num_attention_heads}",
            where=f"{where}: $.hidden_size",
            hint="give head_dim",
        )
    if head_dim < 2 or head_dim % 2:
        raise UnsupportedModel(
            f"head_dim {head_dim} is odd: rotary embeddings turn pairs", where=f"{where}: $.head_dim"
        )
    if file.num_attention_heads % num_kv_heads:
        raise UnsupportedModel(
            f"num_attention_heads {file.num_attention_heads} is no multiple of num_key_value_heads {num_kv_heads}",
            where=f"{where}: $.num_key_value_heads",
        )
    rope = file.rope_parameters or file.rope_scaling or _RopeFields()
    theta = next(theta for theta in (rope.rope_theta, file.rope_theta, 10_000.0) if theta is not None)
    return ModelConfig(
        architecture=file.architectures[0],
        vocab_size=file.vocab_size,
        hidden_size=file.hidden_size,
        intermediate_size=file.intermediate_size,
        num_layers=file.num_hidden_layers,
        num_heads=file.num_attention_heads,
        num_kv_heads=num_kv_heads,
        head_dim=head_dim,
        max_position_embeddings=file.max_position_embeddings,
        rms_norm_eps=file.rms_norm_eps,
        rope_theta=_positive(theta, "rope_theta", f"{where}: $"),
        rope_scaling=_rope_scaling(rope, file, where),
        tie_word_embeddings=file.tie_word_embeddings,
        attention_bias=file.attention_bias,
        mlp_bias=file.mlp_bias,
        dtype=_dtype_name(file.dtype or file.torch_dtype, where),
        initializer_range=file.initializer_range,
    )


def _refuse_unknown_features(file: _ConfigFile, where: str) -> None:
    """Raise UnsupportedModel for each key that would change the arithmetic, or run code, and is not implemented."""
    if file.auto_map is not None:
        raise UnsupportedModel(
            "the model wants its own Python code to be run",
            where=f"{where}: $.auto_map",
            hint="remote code is never run; use a model of an implemented architecture",
        )
    if len(file.architectures) != 1:
        raise UnsupportedModel(
            f"expected one architecture, got {file.architectures}", where=f"{where}: $.architectures"
        )
    if file.quantization_config is not None:
        raise UnsupportedModel(
            "the weights are quantised, which is not implemented",
            where=f"{where}: $.quantization_config",
            hint="use the unquantised checkpoint",
        )
    if file.sliding_window is not None:
        raise UnsupportedModel("sliding window attention is not implemented", where=f"{where}: $.sliding_window")
    if file.hidden_act != "silu":
        raise UnsupportedModel(f"hidden_act {file.hidden_act!r} is not implemented", where=f"{where}: $.hidden_act")


def _rope_scaling(rope: _RopeFields, file: _ConfigFile, where: str) -> RopeScaling:
    where = f"{where}: $.{'rope_parameters' if file.rope_parameters else 'rope_scaling'}"
    for partial in (rope.partial_rotary_factor, file.partial_rotary_factor):
        if partial is not None and partial != 1.0:
            raise UnsupportedModel(f"partial_rotary_factor {partial} is not implemented", where=where)
    kind = rope.rope_type or rope.type or "default"
    if kind == "default":
        return DefaultRope()
    if kind not in ("linear", "llama3"):
        raise UnsupportedModel(
            f"rope type {kind!r} is not implemented", where=where, hint="implemented: default, linear, llama3"
        )
    factor = _positive(rope.factor, "factor", where)
    if kind == "linear":
        return LinearRope(factor)
    original = rope.original_max_position_embeddings or file.max_position_embeddings
    low = _positive(rope.low_freq_factor, "low_freq_factor", where)
    high = _positive(rope.high_freq_factor, "high_freq_factor", where)
    if high <= low:
        raise UnsupportedModel(f"high_freq_factor {high} is not above low_freq_factor {low}", where=where)
    return Llama3Rope(factor, low, high, original)


def _positive(value: float | None, name: str, where: str) -> float:
    if value is None or value <= 0:
        raise UnsupportedModel(f"{name} is {value}, not a positive number", where=f"{where}.{name}")
    return value


def _dtype_name(name: str | None, where: str) -> DTypeName | None:
    match name:
        case None:
            return None
        case "float32" | "float64" | "bfloat16" | "float16":
            return name
        case _:
            raise UnsupportedModel(
                f"weights of type {name!r} are not implemented",
                where=f"{where}: $.dtype",
                hint=f"implemented: {', '.join(DTYPE_NAMES)}",
            )
