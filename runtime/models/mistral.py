"""The Mistral family (Jiang et al. 2023): Llama without biases, whose tokens may see a window of the past only.

The window, where there is one, is that of every layer: after n layers a token has heard of n windows.
"""

from __future__ import annotations

from .config_file import FULL, SLIDING, ConfigFile
from .decoder import DecoderForCausalLM


class MistralFile(ConfigFile, frozen=True, kw_only=True):
    """A file without `sliding_window` means that of Mistral 7B v0.1; null, as in v0.2 and later, means none."""

    num_key_value_heads: int = 8
    sliding_window: int | None = 4096

    def windows(self, where: str) -> tuple[int | None, ...]:
        kind = FULL if self.sliding_window is None else SLIDING
        return self.windows_of_layers([kind] * self.num_hidden_layers, self.sliding_window, where)


class MistralForCausalLM(DecoderForCausalLM):
    config_file = MistralFile
