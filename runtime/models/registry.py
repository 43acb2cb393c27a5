"""Which class computes which architecture. A new family is one file beside `llama.py` and one line here."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor

from ...errors import UnsupportedModel
from ..attention.interface import StepAttention
from .config import ModelConfig
from .llama import LlamaForCausalLM


class CausalLM(Protocol):
    """What a worker asks of a model: T tokens of any rows in, hidden states out, logits where they are sampled."""

    def __call__(self, ids_T: Tensor, positions_T: Tensor, attention: StepAttention) -> Tensor:
        """int64 [T], int64 [T] -> hidden states [T, hidden_size]."""
        ...

    def logits(self, hidden_SE: Tensor) -> Tensor:
        """[S, hidden_size] -> [S, vocab_size]."""
        ...


MODELS = {"LlamaForCausalLM": LlamaForCausalLM}


def build_model(config: ModelConfig, *, dtype: torch.dtype, device: torch.device, max_length: int) -> LlamaForCausalLM:
    """The model of `config.architecture`, its parameters not yet loaded. Raises UnsupportedModel."""
    family = MODELS.get(config.architecture)
    if family is None:
        raise UnsupportedModel(
            f"the architecture {config.architecture!r} is not implemented",
            where="config.json: $.architectures[0]",
            hint=f"implemented: {', '.join(MODELS)}",
        )
    return family(config, dtype=dtype, device=device, max_length=max_length)
