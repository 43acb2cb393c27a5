"""The Llama architecture in plain torch, as it is trained: packed rows, document mask, tied embeddings.

Parameter names and the rotary convention (halves, not pairs) are those of `transformers`, so a state dict is written as
it is. Inference never uses this file; `tests/seedling` compares it with `LlamaForCausalLM`.

Legend: B rows, S tokens, D hidden width, H query heads, K key-value heads, E width of a head, V vocabulary.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.attention.flex_attention import BlockMask, flex_attention

_MASK_BLOCK = 128

Mask = BlockMask | Tensor
"""Which positions see which: blocks for FlexAttention, or a boolean [B, 1, S, S]."""


@dataclass(frozen=True)
class Shape:
    """The size of a model."""

    vocabulary: int
    hidden: int
    layers: int
    heads: int
    kv_heads: int
    mlp: int
    head: int = 32
    positions: int = 2048
    theta: float = 10_000.0
    epsilon: float = 1e-5

    def config(self) -> dict[str, object]:
        """config.json for `LlamaForCausalLM`."""
        return {
            "architectures": ["LlamaForCausalLM"],
            "model_type": "llama",
            "vocab_size": self.vocabulary,
            "hidden_size": self.hidden,
            "intermediate_size": self.mlp,
            "num_hidden_layers": self.layers,
            "num_attention_heads": self.heads,
            "num_key_value_heads": self.kv_heads,
            "head_dim": self.head,
            "hidden_act": "silu",
            "max_position_embeddings": self.positions,
            "rms_norm_eps": self.epsilon,
            "rope_parameters": {"rope_type": "default", "rope_theta": self.theta},
            "rope_theta": self.theta,
            "attention_bias": False,
            "mlp_bias": False,
            "tie_word_embeddings": True,
            "bos_token_id": None,
            "eos_token_id": 2,
            "pad_token_id": 0,
            "dtype": "bfloat16",
        }


class RMSNorm(nn.Module):
    def __init__(self, width: int, epsilon: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.epsilon = epsilon

    def forward(self, x: Tensor) -> Tensor:
        return F.rms_norm(x, (x.shape[-1],), self.weight.to(x.dtype), self.epsilon)


class Attention(nn.Module):
    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        self.q_proj = nn.Linear(shape.hidden, shape.heads * shape.head, bias=False)
        self.k_proj = nn.Linear(shape.hidden, shape.kv_heads * shape.head, bias=False)
        self.v_proj = nn.Linear(shape.hidden, shape.kv_heads * shape.head, bias=False)
        self.o_proj = nn.Linear(shape.heads * shape.head, shape.hidden, bias=False)

    def forward(self, x_BSD: Tensor, cos: Tensor, sin: Tensor, mask: Mask) -> Tensor:
        B, S, _ = x_BSD.shape
        q_BHSE = _rotate(self.q_proj(x_BSD).view(B, S, -1, self.shape.head).transpose(1, 2), cos, sin)
        k_BKSE = _rotate(self.k_proj(x_BSD).view(B, S, -1, self.shape.head).transpose(1, 2), cos, sin)
        v_BKSE = self.v_proj(x_BSD).view(B, S, -1, self.shape.head).transpose(1, 2)
        if isinstance(mask, Tensor):
            out = F.scaled_dot_product_attention(q_BHSE, k_BKSE, v_BKSE, attn_mask=mask, enable_gqa=True)
        else:
            out = flex_attention(q_BHSE, k_BKSE, v_BKSE, block_mask=mask, enable_gqa=True)
        projected: Tensor = self.o_proj(out.transpose(1, 2).reshape(B, S, -1))
        return projected


class MLP(nn.Module):
    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.gate_proj = nn.Linear(shape.hidden, shape.mlp, bias=False)
        self.up_proj = nn.Linear(shape.hidden, shape.mlp, bias=False)
        self.down_proj = nn.Linear(shape.mlp, shape.hidden, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        projected: Tensor = self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x))
        return projected


class Layer(nn.Module):
    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.input_layernorm = RMSNorm(shape.hidden, shape.epsilon)
        self.self_attn = Attention(shape)
        self.post_attention_layernorm = RMSNorm(shape.hidden, shape.epsilon)
        self.mlp = MLP(shape)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor, mask: Mask) -> Tensor:
        x = x + self.self_attn(self.input_layernorm(x), cos, sin, mask)
        out: Tensor = x + self.mlp(self.post_attention_layernorm(x))
        return out


class Trunk(nn.Module):
    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.embed_tokens = nn.Embedding(shape.vocabulary, shape.hidden)
        self.layers = nn.ModuleList(Layer(shape) for _ in range(shape.layers))
        self.norm = RMSNorm(shape.hidden, shape.epsilon)


class Llama(nn.Module):
    """A causal language model over packed rows; the output matrix is the embedding."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        self.model = Trunk(shape)
        self._initialise()

    def _initialise(self) -> None:
        """Normal with deviation 0.02 for embeddings, 1/sqrt(fan-in) for matrices, residual outputs scaled by depth."""
        nn.init.normal_(self.model.embed_tokens.weight, std=0.02)
        for name, parameter in self.named_parameters():
            if parameter.ndim == 2 and "embed" not in name:
                scale = (
                    1.0 if not name.endswith(("o_proj.weight", "down_proj.weight")) else (2 * self.shape.layers) ** -0.5
                )
                nn.init.normal_(parameter, std=0.7 * scale / math.sqrt(parameter.shape[1]))

    def forward(self, ids_BS: Tensor, position_BS: Tensor, mask: Mask) -> Tensor:
        """Logits [B, S, V] in the autocast dtype.

        Args:
            ids_BS: int64 token ids.
            position_BS: int64, the position within the conversation.
            mask: what `dense_mask` or `block_mask` makes of the conversations' numbers.
        """
        frequency = self.shape.theta ** (
            -torch.arange(0, self.shape.head, 2, device=ids_BS.device, dtype=torch.float32) / self.shape.head
        )
        angle = position_BS[:, None, :, None].float() * frequency
        cos, sin = angle.cos(), angle.sin()
        x = F.embedding(ids_BS, self.model.embed_tokens.weight)
        if torch.is_autocast_enabled(ids_BS.device.type):
            x = x.to(torch.bfloat16)
        for layer in self.model.layers:
            x = layer(x, cos, sin, mask)
        return F.linear(self.model.norm(x), self.model.embed_tokens.weight)


def _rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    first, second = x.float().chunk(2, dim=-1)
    return torch.cat((first * cos - second * sin, second * cos + first * sin), dim=-1).to(x.dtype)


def documents(starts_BS: Tensor) -> tuple[Tensor, Tensor]:
    """From the marks of first tokens: the conversation's number and the position in it, both [B, S]."""
    document_BS = starts_BS.cumsum(1, dtype=torch.int32)
    at = torch.arange(starts_BS.shape[1], device=starts_BS.device)
    first_BS = torch.where(starts_BS.bool(), at, 0).cummax(1).values
    return document_BS, at - first_BS


def dense_mask(document_BS: Tensor) -> Tensor:
    """Causal within each conversation, as a boolean [B, 1, S, S]."""
    S = document_BS.shape[1]
    causal = torch.ones(S, S, dtype=torch.bool, device=document_BS.device).tril()
    return (causal & (document_BS[:, :, None] == document_BS[:, None, :]))[:, None]


def block_mask(document_BS: Tensor) -> BlockMask:
    """The same for FlexAttention. Conversations are contiguous, so the first and last number of a block settle it."""
    B, S = document_BS.shape
    blocks = document_BS.view(B, S // _MASK_BLOCK, _MASK_BLOCK)
    first, last = blocks[..., 0], blocks[..., -1]
    index = torch.arange(S // _MASK_BLOCK, device=document_BS.device)
    needed = (index[:, None] >= index[None, :]) & (last[:, None, :] >= first[:, :, None])
    count = needed.sum(-1, dtype=torch.int32)[:, None]
    order = needed.to(torch.int32).argsort(dim=-1, descending=True, stable=True).to(torch.int32)[:, None]

    def allowed(b: Tensor, h: Tensor, q: Tensor, k: Tensor) -> Tensor:
        return (q >= k) & (document_BS[b, q] == document_BS[b, k])

    return BlockMask.from_kv_blocks(count, order, BLOCK_SIZE=_MASK_BLOCK, mask_mod=allowed, seq_lengths=(S, S))
