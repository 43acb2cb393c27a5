"""`config.json` of a model directory, read by our own parser into one frozen `ModelConfig`.

Why not transformers' `AutoConfig`: a config is data and must stay data. What the file asks for and this package does
not compute (another rope, quantised weights, remote code) is refused here by name, before a byte of weights is read;
what it leaves out gets the defaults the family was published with. Here is what the families have in common; each
derives a `ConfigFile` of its own, where its defaults and its rules stand beside its modules.
"""

from __future__ import annotations

from typing import get_args

import msgspec

from ...errors import UnsupportedModel
from .config import Biases, DefaultRope, DTypeName, LinearRope, Llama3Rope, ModelConfig, RopeScaling

DEFAULT_ROPE_THETA = 10_000.0
DTYPE_NAMES: tuple[DTypeName, ...] = get_args(DTypeName)
FULL, SLIDING = "full_attention", "sliding_attention"


class _RopeFields(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`rope_scaling` (transformers 4) and `rope_parameters` (5) in one: 5 puts the base beside the scaling."""

    rope_type: str | None = None
    type: str | None = None
    rope_theta: float | None = None
    factor: float | None = None
    low_freq_factor: float | None = None
    high_freq_factor: float | None = None
    original_max_position_embeddings: int | None = None
    partial_rotary_factor: float | None = None


class ConfigFile(msgspec.Struct, frozen=True, kw_only=True):
    """The keys of `config.json` that mean something here; the rest (token ids, library versions) is not the model's."""

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
    rope_scaling: dict[str, object] | None = None
    rope_parameters: dict[str, object] | None = None
    partial_rotary_factor: float | None = None
    sliding_window: int | None = None
    layer_types: list[str] | None = None
    tie_word_embeddings: bool = False
    initializer_range: float = 0.02
    dtype: str | None = None
    torch_dtype: str | None = None
    auto_map: dict[str, object] | None = None
    quantization_config: dict[str, object] | None = None

    def biases(self) -> Biases:
        """Which projections have one: none, unless the family says otherwise."""
        return Biases()

    def windows(self, where: str) -> tuple[int | None, ...]:
        """`ModelConfig.windows`: none, unless the family says otherwise. Raises UnsupportedModel."""
        if self.sliding_window is not None:
            raise UnsupportedModel("the family has no sliding window", where=f"{where}: $.sliding_window")
        return self.windows_of_layers([FULL] * self.num_hidden_layers, None, where)

    def windows_of_layers(self, kinds: list[str], window: int | None, where: str) -> tuple[int | None, ...]:
        """`window` for each sliding layer of `kinds`, which a `layer_types` of the file must not contradict.

        Raises:
            UnsupportedModel: it does, or names other kinds or too few; or there is no window to slide.
        """
        implemented = len(kinds) == self.num_hidden_layers and {FULL, SLIDING}.issuperset(kinds)
        if not implemented or self.layer_types not in (None, kinds):
            given = self.layer_types or []
            raise UnsupportedModel(
                f"{len(given)} layers of types {sorted(set(given))} are not implemented for this family and "
                f"{self.num_hidden_layers} layers",
                where=f"{where}: $.layer_types",
                hint=f"implemented: {FULL}, {SLIDING}; a family whose layers are all alike cannot mix them",
            )
        if SLIDING in kinds and (window is None or window < 1):
            raise UnsupportedModel(
                f"layers slide over a window of {window} positions", where=f"{where}: $.sliding_window"
            )
        return tuple(window if kind == SLIDING else None for kind in kinds)

    def to_model(self, architecture: str, where: str) -> ModelConfig:
        """The checked shape; `where` names the file in errors. Raises UnsupportedModel."""
        self._refuse_unknown_features(where)
        num_kv_heads = self.num_attention_heads if self.num_key_value_heads is None else self.num_key_value_heads
        sizes = {
            "vocab_size": self.vocab_size,
            "hidden_size": self.hidden_size,
            "intermediate_size": self.intermediate_size,
            "num_hidden_layers": self.num_hidden_layers,
            "num_attention_heads": self.num_attention_heads,
            "num_key_value_heads": num_kv_heads,
            "max_position_embeddings": self.max_position_embeddings,
        }
        for name, size in sizes.items():
            if size < 1:
                raise UnsupportedModel(f"{name} is {size}, not a positive number", where=f"{where}: $.{name}")
        if self.num_attention_heads % num_kv_heads:
            raise UnsupportedModel(
                f"num_attention_heads {self.num_attention_heads} is no multiple of num_key_value_heads {num_kv_heads}",
                where=f"{where}: $.num_key_value_heads",
            )
        theta, scaling = self._rope(where)
        return ModelConfig(
            architecture=architecture,
            vocab_size=self.vocab_size,
            hidden_size=self.hidden_size,
            intermediate_size=self.intermediate_size,
            num_layers=self.num_hidden_layers,
            num_heads=self.num_attention_heads,
            num_kv_heads=num_kv_heads,
            head_dim=self._head_dim(where),
            windows=self.windows(where),
            max_position_embeddings=self.max_position_embeddings,
            rms_norm_eps=self.rms_norm_eps,
            rope_theta=theta,
            rope_scaling=scaling,
            tie_word_embeddings=self.tie_word_embeddings,
            biases=self.biases(),
            dtype=_dtype_name(self.dtype or self.torch_dtype, where),
            initializer_range=self.initializer_range,
        )

    def _refuse_unknown_features(self, where: str) -> None:
        """Raise UnsupportedModel for each key that would change the arithmetic, or run code, and is not implemented."""
        if self.auto_map is not None:
            raise UnsupportedModel(
                "the model wants its own Python code to be run",
                where=f"{where}: $.auto_map",
                hint="remote code is never run; use a model of an implemented architecture",
            )
        if self.quantization_config is not None:
            raise UnsupportedModel(
                "the weights are quantised, which is not implemented",
                where=f"{where}: $.quantization_config",
                hint="use the unquantised checkpoint",
            )
        if self.hidden_act != "silu":
            raise UnsupportedModel(f"hidden_act {self.hidden_act!r} is not implemented", where=f"{where}: $.hidden_act")

    def _head_dim(self, where: str) -> int:
        if self.head_dim is None and self.hidden_size % self.num_attention_heads:
            raise UnsupportedModel(
                f"hidden_size {self.hidden_size} is no multiple of num_attention_heads {self.num_attention_heads}",
                where=f"{where}: $.hidden_size",
                hint="give head_dim",
            )
        head_dim = self.hidden_size // self.num_attention_heads if self.head_dim is None else self.head_dim
        if head_dim < 2 or head_dim % 2:
            raise UnsupportedModel(
                f"head_dim {head_dim} is odd: rotary embeddings turn pairs", where=f"{where}: $.head_dim"
            )
        return head_dim

    def _rope(self, where: str) -> tuple[float, RopeScaling]:
        """Base and scaling; of the two spellings the older wins, as in transformers."""
        name = "rope_scaling" if self.rope_scaling else "rope_parameters"
        root, rope_where = f"{where}: $", f"{where}: $.{name}"
        keys = self.rope_scaling or self.rope_parameters or {}
        # The kind first: a rope that is not implemented is refused by its name, not by a key of its own.
        kind = keys.get("rope_type") or keys.get("type") or "default"
        if kind not in ("default", "linear", "llama3"):
            raise UnsupportedModel(
                f"rope type {kind!r} is not implemented", where=rope_where, hint="implemented: default, linear, llama3"
            )
        try:
            rope = msgspec.convert(keys, _RopeFields, strict=True)
        except msgspec.ValidationError as error:
            raise UnsupportedModel(f"{name} cannot be read: {error}", where=rope_where) from error
        for partial, where_partial in ((rope.partial_rotary_factor, rope_where), (self.partial_rotary_factor, root)):
            if partial is not None and partial != 1.0:
                raise UnsupportedModel(
                    f"partial_rotary_factor {partial} is not implemented",
                    where=f"{where_partial}.partial_rotary_factor",
                )
        if rope.rope_theta is not None:
            theta = _positive(rope.rope_theta, "rope_theta", rope_where)
        else:
            theta = _positive(DEFAULT_ROPE_THETA if self.rope_theta is None else self.rope_theta, "rope_theta", root)
        if kind == "default":
            return theta, DefaultRope()
        factor = _positive(rope.factor, "factor", rope_where)
        if kind == "linear":
            return theta, LinearRope(factor)
        low = _positive(rope.low_freq_factor, "low_freq_factor", rope_where)
        high = _positive(rope.high_freq_factor, "high_freq_factor", rope_where)
        if high <= low:
            raise UnsupportedModel(f"high_freq_factor {high} is not above low_freq_factor {low}", where=rope_where)
        original = rope.original_max_position_embeddings or self.max_position_embeddings
        return theta, Llama3Rope(factor, low, high, original)


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
