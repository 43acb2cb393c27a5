"""The decoder that the families share, top to bottom, as one reads the papers: norms, rotations, gated MLPs.

A family file derives from these classes where its models differ, and from nothing else; a family that needs another
block brings its own. What is only a matter of numbers (biases, windows, tied heads) is in `ModelConfig`.

A forward computes a flat list of tokens that belong to any rows at any positions; who attends to whom is the business
of the `StepAttention` it is given. Parameter names are those of the published checkpoints. Norms are computed in
float32 at least, like the reference; a float64 model, which exists to measure rounding, is float64 but for the angles.

Shapes: T tokens of the step, S sampled tokens, E hidden_size, F intermediate_size, N query heads, K key/value heads,
H head_dim, V vocab_size.
"""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..attention.interface import StepAttention
from .config import ModelConfig
from .config_file import ConfigFile
from .linear import DenseLinear, LinearFactory
from .rotary import RotaryTable, rotate


class RMSNorm(nn.Module):
    """x / rms(x) * weight (Zhang and Sennrich 2019)."""

    def __init__(self, size: int, eps: float, dtype: torch.dtype, device: torch.device) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(size, dtype=dtype, device=device))
        self._eps = eps
        self._wide = torch.promote_types(dtype, torch.float32)

    def forward(self, x_TE: Tensor) -> Tensor:
        wide_TE = x_TE.to(self._wide)
        scale_T1 = torch.rsqrt(wide_TE.square().mean(-1, keepdim=True) + self._eps)
        return self.weight * (wide_TE * scale_T1).to(x_TE.dtype)


class GroupedQueryAttention(nn.Module):
    """N / K query heads read each key/value head (Ainslie et al. 2023), over the layer's window of the past."""

    def __init__(
        self, config: ModelConfig, layer: int, linear: LinearFactory, dtype: torch.dtype, device: torch.device
    ) -> None:
        super().__init__()
        self._layer = layer
        self._window = config.windows[layer]
        self._num_heads = config.num_heads
        self._num_kv_heads = config.num_kv_heads
        self._head_dim = config.head_dim
        name = f"model.layers.{layer}.self_attn"
        query_size = config.num_heads * config.head_dim
        kv_size = config.num_kv_heads * config.head_dim
        bias = config.biases.qkv
        self.q_proj = linear(f"{name}.q_proj", config.hidden_size, query_size, bias=bias)
        self.k_proj = linear(f"{name}.k_proj", config.hidden_size, kv_size, bias=bias)
        self.v_proj = linear(f"{name}.v_proj", config.hidden_size, kv_size, bias=bias)
        self.o_proj = linear(f"{name}.o_proj", query_size, config.hidden_size, bias=config.biases.output)

    def heads(self, x_TE: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Queries [T, N, H], keys and values [T, K, H] of the tokens, not yet rotated."""
        return (
            self.q_proj(x_TE).view(-1, self._num_heads, self._head_dim),
            self.k_proj(x_TE).view(-1, self._num_kv_heads, self._head_dim),
            self.v_proj(x_TE).view(-1, self._num_kv_heads, self._head_dim),
        )

    def forward(self, x_TE: Tensor, rotation: tuple[Tensor, Tensor], attention: StepAttention) -> Tensor:
        q_TNH, k_TKH, v_TKH = self.heads(x_TE)
        # All of the step's KV first: a row may read what another row computes in this very step.
        attention.write(self._layer, rotate(k_TKH, rotation), v_TKH)
        mixed_TNH = attention.attend(self._layer, rotate(q_TNH, rotation), self._window)
        output: Tensor = self.o_proj(mixed_TNH.flatten(1))
        return output


class GatedMLP(nn.Module):
    """SwiGLU (Shazeer 2020)."""

    def __init__(self, config: ModelConfig, layer: int, linear: LinearFactory) -> None:
        super().__init__()
        name = f"model.layers.{layer}.mlp"
        E, F_, bias = config.hidden_size, config.intermediate_size, config.biases.mlp
        self.gate_proj = linear(f"{name}.gate_proj", E, F_, bias=bias)
        self.up_proj = linear(f"{name}.up_proj", E, F_, bias=bias)
        self.down_proj = linear(f"{name}.down_proj", F_, E, bias=bias)

    def forward(self, x_TE: Tensor) -> Tensor:
        gated_TF = F.silu(self.gate_proj(x_TE)) * self.up_proj(x_TE)
        output: Tensor = self.down_proj(gated_TF)
        return output


class DecoderBlock(nn.Module):
    """Attention and MLP, each behind a norm and added to the residual stream."""

    def __init__(
        self,
        config: ModelConfig,
        layer: int,
        linear: LinearFactory,
        attention: type[GroupedQueryAttention],
        dtype: torch.dtype,
        device: torch.device,
    ) -> None:
        super().__init__()
        self.input_layernorm = RMSNorm(config.hidden_size, config.rms_norm_eps, dtype, device)
        self.self_attn = attention(config, layer, linear, dtype, device)
        self.post_attention_layernorm = RMSNorm(config.hidden_size, config.rms_norm_eps, dtype, device)
        self.mlp = GatedMLP(config, layer, linear)

    def forward(self, x_TE: Tensor, rotation: tuple[Tensor, Tensor], attention: StepAttention) -> Tensor:
        x_TE = x_TE + self.self_attn(self.input_layernorm(x_TE), rotation, attention)
        x_TE = x_TE + self.mlp(self.post_attention_layernorm(x_TE))
        return x_TE


class Decoder(nn.Module):
    """Embeddings, blocks and the last norm."""

    def __init__(
        self,
        config: ModelConfig,
        linear: LinearFactory,
        attention: type[GroupedQueryAttention],
        dtype: torch.dtype,
        device: torch.device,
        max_length: int,
    ) -> None:
        super().__init__()
        embedding = nn.Embedding(config.vocab_size, config.hidden_size, dtype=dtype, device="meta")
        self.embed_tokens = embedding.to_empty(device=device)
        self.layers = nn.ModuleList(
            DecoderBlock(config, layer, linear, attention, dtype, device) for layer in range(config.num_layers)
        )
        self.norm = RMSNorm(config.hidden_size, config.rms_norm_eps, dtype, device)
        self._rotary = RotaryTable(config, max_length, dtype, device)

    def forward(self, ids_T: Tensor, positions_T: Tensor, attention: StepAttention) -> Tensor:
        x_TE: Tensor = self.embed_tokens(ids_T)
        rotation = self._rotary.at(positions_T)
        for block in self.layers:
            x_TE = block(x_TE, rotation, attention)
        return x_TE


class DecoderForCausalLM(nn.Module):
    """The model with its head. Parameters hold garbage until `loader.load_weights` fills them.

    A family derives from it and says how its `config.json` is read and, if it has its own, how a layer attends.

    Args:
        max_length: positions a row can have; the rotary table's length.
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
    ) -> None:
        super().__init__()
        linear = linear or DenseLinear(dtype, device)
        self.model = Decoder(config, linear, self.attention_class, dtype, device, max_length)
        if not config.tie_word_embeddings:
            self.lm_head = linear("lm_head", config.hidden_size, config.vocab_size, bias=False)
        self._tied = config.tie_word_embeddings

    def forward(self, ids_T: Tensor, positions_T: Tensor, attention: StepAttention) -> Tensor:
        """Hidden states [T, E] of the tokens `ids_T` (int64 [T]) at `positions_T` (int64 [T]), before the last norm."""
        hidden_TE: Tensor = self.model(ids_T, positions_T, attention)
        return hidden_TE

    def logits(self, hidden_SE: Tensor) -> Tensor:
        """Logits [S, V] in the model's dtype: the last norm and the head, for the sampled tokens alone."""
        normed_SE = self.model.norm(hidden_SE)
        if self._tied:
            return F.linear(normed_SE, self.model.embed_tokens.weight)
        logits_SV: Tensor = self.lm_head(normed_SE)
        return logits_SV
