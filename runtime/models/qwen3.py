"""The dense Qwen3 family (Yang et al. 2025): Qwen2 with a norm on each query and key head in place of the biases."""

from __future__ import annotations

from torch import Tensor

from .config import Biases, ModelConfig
from .decoder import DecoderForCausalLM, GroupedQueryAttention, Making, RMSNorm
from .qwen2 import Qwen2File


class Qwen3File(Qwen2File, frozen=True, kw_only=True):
    """Windows as in Qwen2. A head is 128 wide whatever the model's width, unless the file says otherwise."""

    head_dim: int = 128
    attention_bias: bool = False

    def biases(self) -> Biases:
        return Biases(qkv=self.attention_bias, output=self.attention_bias)


class Qwen3Attention(GroupedQueryAttention):
    """One norm for all query heads and one for all key heads, before the rotation."""

    def __init__(self, config: ModelConfig, layer: int, make: Making) -> None:
        super().__init__(config, layer, make)
        self.q_norm = RMSNorm(config.head_dim, config.rms_norm_eps, make)
        self.k_norm = RMSNorm(config.head_dim, config.rms_norm_eps, make)

    def heads(self, x_TE: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        q_TNH, k_TKH, v_TKH = super().heads(x_TE)
        return self.q_norm(q_TNH), self.k_norm(k_TKH), v_TKH


class Qwen3ForCausalLM(DecoderForCausalLM):
    config_file = Qwen3File
    attention_class = Qwen3Attention
