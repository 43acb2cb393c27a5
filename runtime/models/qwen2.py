"""The Qwen2 and Qwen2.5 families (Yang et al. 2024): Llama with biases on query, key and value.

A window, which few checkpoints turn on, is that of some layers: those from `max_window_layers` on, or those that
`layer_types` calls sliding.
"""

from __future__ import annotations

from .config import Biases
from .config_file import FULL, SLIDING, ConfigFile
from .decoder import DecoderForCausalLM


class Qwen2File(ConfigFile, frozen=True, kw_only=True):
    """`sliding_window` counts only with `use_sliding_window`: checkpoints give one that they do not use."""

    num_key_value_heads: int | None = 32
    use_sliding_window: bool = False
    sliding_window: int | None = 4096
    max_window_layers: int = 28

    def biases(self) -> Biases:
        return Biases(qkv=True)

    def windows(self, where: str) -> tuple[int | None, ...]:
        window = self.sliding_window if self.use_sliding_window else None
        kinds = self.layer_types
        if kinds is None:
            full = self.num_hidden_layers if window is None else self.max_window_layers
            kinds = [FULL if layer < full else SLIDING for layer in range(self.num_hidden_layers)]
        return self.windows_of_layers(kinds, window, where)


class Qwen2ForCausalLM(DecoderForCausalLM):
    config_file = Qwen2File
