"""The decoder that the families share, top to bottom, as one reads the papers: norms, rotations, gated MLPs.

A family file derives from these classes where its models differ, and from nothing else; a family that needs another
block brings its own. What is only a matter of numbers (biases, windows, tied heads) is in `ModelConfig`.

A forward computes a flat list of tokens that belong to any rows at any positions; who attends to whom is the business
of the `StepAttention` it is given. Projections of one input are merged into one product; otherwise parameter names are
those of the published checkpoints (`linear.checkpoint_tensors` says which is where). Norms are computed in float32 at
least, like the reference; a float64 model, which exists to measure rounding, is float64 but for the angles.

Shapes: T tokens of the step, S sampled tokens, E hidden_size, F intermediate_size, N query heads, K key/value heads,
H head_dim, V vocab_size.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from ..attention.interface import StepAttention
from ..attention.rotation import Rotation
from .block_ops import BlockOps, TorchBlockOps
from .config import ModelConfig
from .config_file import ConfigFile
from .linear import DenseLinear, LinearFactory
from .rotary import RotaryTable


@dataclass(frozen=True)
class Making:
    """What every part of a model is made of and with."""

    dtype: torch.dtype
    device: torch.device
    linear: LinearFactory
    ops: BlockOps


class RMSNorm(nn.Module):
    """x / rms(x) * weight (Zhang and Sennrich 2019)."""

    def __init__(self, size: int, eps: float, make: Making) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(size, dtype=make.dtype, device=make.device))
        self._eps = eps
        self._ops = make.ops

    def forward(self, x: Tensor) -> Tensor:
        return self._ops.norm(x, self.weight, self._eps)

    def behind(self, x_TE: Tensor | None, residual_TE: Tensor) -> tuple[Tensor, Tensor]:
        """(norm of x + residual, x + residual); None is a term that has been added."""
        if x_TE is None:
            return self.forward(residual_TE), residual_TE
        return self._ops.add_norm(x_TE, residual_TE, self.weight, self._eps)


class GroupedQueryAttention(nn.Module):
    """N / K query heads read each key/value head (Ainslie et al. 2023), over the layer's window of the past."""

    def __init__(self, config: ModelConfig, layer: int, make: Making) -> None:
        super().__init__()
        self._layer = layer
        self._window = config.windows[layer]
        self._num_heads = config.num_heads
        self._num_kv_heads = config.num_kv_heads
        self._head_dim = config.head_dim
        name = f"model.layers.{layer}.self_attn"
        query_size = config.num_heads * config.head_dim
        kv_size = config.num_kv_heads * config.head_dim
        self._sizes = (query_size, kv_size, kv_size)
        parts = {f"{name}.q_proj": query_size, f"{name}.k_proj": kv_size, f"{name}.v_proj": kv_size}
        self.qkv_proj = make.linear.merged(parts, config.hidden_size, bias=config.biases.qkv)
        self.o_proj = make.linear(f"{name}.o_proj", query_size, config.hidden_size, bias=config.biases.output)

    def heads(self, x_TE: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Queries [T, N, H], keys and values [T, K, H] of the tokens, not yet rotated; views of one tensor."""
        q, k, v = self.qkv_proj(x_TE).split_with_sizes(self._sizes, dim=1)
        N, K, H = self._num_heads, self._num_kv_heads, self._head_dim
        return q.view(-1, N, H), k.view(-1, K, H), v.view(-1, K, H)

    def forward(
        self, x_TE: Tensor, rotation: Rotation, attention: StepAttention, residual_TE: Tensor
    ) -> tuple[Tensor | None, Tensor]:
        """Two terms of the output plus `residual_TE`, the first of which may have been added already."""
        # All of the step's KV first: a row may read what another row computes in this very step.
        q_TNH = attention.rotate_and_write(self._layer, *self.heads(x_TE), rotation)
        mixed_TNH = attention.attend(self._layer, q_TNH, self._window)
        return self.o_proj.onto(mixed_TNH.flatten(1), residual_TE)


class GatedMLP(nn.Module):
    """SwiGLU (Shazeer 2020)."""

    def __init__(self, config: ModelConfig, layer: int, make: Making) -> None:
        super().__init__()
        name = f"model.layers.{layer}.mlp"
        E, F_, bias = config.hidden_size, config.intermediate_size, config.biases.mlp
        self.gate_up_proj = make.linear.gated({f"{name}.gate_proj": F_, f"{name}.up_proj": F_}, E, bias=bias)
        self.down_proj = make.linear(f"{name}.down_proj", F_, E, bias=bias)

    def forward(self, x_TE: Tensor, residual_TE: Tensor) -> tuple[Tensor | None, Tensor]:
        """Two terms of the output plus `residual_TE`, the first of which may have been added already."""
        return self.down_proj.onto(self.gate_up_proj(x_TE), residual_TE)


class DecoderBlock(nn.Module):
    """Attention and MLP, each behind a norm and added to the residual stream.

    A part's output is added by its last product or by the norm of the part behind it, whichever is faster, so a block
    takes and returns a sum in two terms.
    """

    def __init__(self, config: ModelConfig, layer: int, attention: type[GroupedQueryAttention], make: Making) -> None:
        super().__init__()
        self.input_layernorm = RMSNorm(config.hidden_size, config.rms_norm_eps, make)
        self.self_attn = attention(config, layer, make)
        self.post_attention_layernorm = RMSNorm(config.hidden_size, config.rms_norm_eps, make)
        self.mlp = GatedMLP(config, layer, make)

    def forward(
        self, x_TE: Tensor | None, residual_TE: Tensor, rotation: Rotation, attention: StepAttention
    ) -> tuple[Tensor | None, Tensor]:
        normed_TE, residual_TE = self.input_layernorm.behind(x_TE, residual_TE)
        mixed_TE, residual_TE = self.self_attn(normed_TE, rotation, attention, residual_TE)
        normed_TE, residual_TE = self.post_attention_layernorm.behind(mixed_TE, residual_TE)
        terms: tuple[Tensor | None, Tensor] = self.mlp(normed_TE, residual_TE)
        return terms


class LoadedEmbedding(nn.Embedding):
    """Its parameters hold garbage until they are loaded."""

    def reset_parameters(self) -> None:
        """Leave the parameters as they are."""


class Decoder(nn.Module):
    """Embeddings, blocks and the last norm."""

    def __init__(
        self, config: ModelConfig, attention: type[GroupedQueryAttention], make: Making, max_length: int
    ) -> None:
        super().__init__()
        self.embed_tokens = LoadedEmbedding(config.vocab_size, config.hidden_size, dtype=make.dtype, device=make.device)
        self.layers = nn.ModuleList(DecoderBlock(config, layer, attention, make) for layer in range(config.num_layers))
        self.norm = RMSNorm(config.hidden_size, config.rms_norm_eps, make)
        self._rotary = RotaryTable(config, max_length, make.dtype, make.device)

    def forward(self, ids_T: Tensor, positions_T: Tensor, attention: StepAttention) -> Tensor:
        x_TE: Tensor | None = None
        residual_TE: Tensor = self.embed_tokens(ids_T)
        rotation = self._rotary.at(positions_T)
        for block in self.layers:
            x_TE, residual_TE = block(x_TE, residual_TE, rotation, attention)
        return residual_TE if x_TE is None else residual_TE + x_TE


class DecoderForCausalLM(nn.Module):
    """The model with its head. Parameters hold garbage until `loader.load_weights` fills them.

    A family derives from it and says how its `config.json` is read and, if it has its own, how a layer attends.

    Args:
        max_length: positions a row can have; the rotary table's length.
        linear: makes the projections; plain dense ones by default.
        ops: what is computed between them; plain torch by default.
    """

    config_file: ClassVar[type[ConfigFile]]
    attention_class: ClassVar[type[GroupedQueryAttention]] = GroupedQueryAttention

    def __init__(
        self,
        config: ModelConfig,
        *,
        dtype: torch.dtype,
        device: torch.device,
        max_length: int,
        linear: LinearFactory | None = None,
        ops: BlockOps | None = None,
    ) -> None:
        super().__init__()
        ops = ops or TorchBlockOps()
        make = Making(dtype, device, linear or DenseLinear(dtype, device, ops), ops)
        self.model = Decoder(config, self.attention_class, make, max_length)
        if not config.tie_word_embeddings:
            self.lm_head = make.linear("lm_head", config.hidden_size, config.vocab_size, bias=False)
        self._tied = config.tie_word_embeddings
        self._ops = ops

    def forward(self, ids_T: Tensor, positions_T: Tensor, attention: StepAttention) -> Tensor:
        """Hidden states [T, E] of the tokens `ids_T` (int64 [T]) at `positions_T` (int64 [T]), before the last norm."""
        hidden_TE: Tensor = self.model(ids_T, positions_T, attention)
        return hidden_TE

    def logits(self, hidden_SE: Tensor) -> Tensor:
        """Logits [S, V] in the model's dtype: the last norm and the head, for the sampled tokens alone."""
        normed_SE = self.model.norm(hidden_SE)
        if self._tied:
            return self._ops.linear(normed_SE, self.model.embed_tokens.weight)
        logits_SV: Tensor = self.lm_head(normed_SE)
        return logits_SV
