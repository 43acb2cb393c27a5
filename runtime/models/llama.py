"""The Llama family (Touvron et al. 2023; Grattafiori et al. 2024): the decoder as it stands in `decoder.py`."""

from __future__ import annotations

from .config import Biases
from .config_file import ConfigFile
from .decoder import DecoderForCausalLM


class LlamaFile(ConfigFile, frozen=True, kw_only=True):
    """Every projection may have a bias; each key turns on those of its half of the block."""

    attention_bias: bool = False
    mlp_bias: bool = False

    def biases(self) -> Biases:
        return Biases(qkv=self.attention_bias, output=self.attention_bias, mlp=self.mlp_bias)


class LlamaForCausalLM(DecoderForCausalLM):
    config_file = LlamaFile
