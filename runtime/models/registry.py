"""Which class computes which architecture, and the way from a directory to a model.

A new family is one file beside `llama.py` and one line here.
"""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import msgspec
import torch
from torch import Tensor

from ...errors import ModelNotFound, UnsupportedModel
from ..attention.interface import StepAttention
from .block_ops import TritonBlockOps
from .config import ModelConfig
from .decoder import DecoderForCausalLM
from .llama import LlamaForCausalLM
from .mistral import MistralForCausalLM
from .qwen2 import Qwen2ForCausalLM
from .qwen3 import Qwen3ForCausalLM

MAX_CONFIG_BYTES = 1 << 20

MODELS: dict[str, type[DecoderForCausalLM]] = {
    "LlamaForCausalLM": LlamaForCausalLM,
    "MistralForCausalLM": MistralForCausalLM,
    "Qwen2ForCausalLM": Qwen2ForCausalLM,
    "Qwen3ForCausalLM": Qwen3ForCausalLM,
}


class CausalLM(Protocol):
    """What a worker asks of a model: T tokens of any rows in, hidden states out, logits where they are sampled."""

    def __call__(self, ids_T: Tensor, positions_T: Tensor, attention: StepAttention) -> Tensor:
        """int64 [T], int64 [T] -> hidden states [T, hidden_size]."""
        ...

    def logits(self, hidden_SE: Tensor) -> Tensor:
        """[S, hidden_size] -> [S, vocab_size]."""
        ...


class _Header(msgspec.Struct, frozen=True):
    """The one key that says how to read the others."""

    architectures: list[str]


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
    """`data` (the JSON text) as its architecture's family reads it; `where` names it in errors.

    Raises:
        UnsupportedModel: see `load_config`.
    """
    try:
        architectures = msgspec.json.decode(data, type=_Header).architectures
        if len(architectures) != 1:
            raise UnsupportedModel(f"expected one architecture, got {architectures}", where=f"{where}: $.architectures")
        (architecture,) = architectures
        file = msgspec.json.decode(data, type=_family(architecture, where).config_file)
    except msgspec.DecodeError as error:
        raise UnsupportedModel(f"config.json cannot be read: {error}", where=where) from error
    return file.to_model(architecture, where)


def build_model(
    config: ModelConfig, *, dtype: torch.dtype, device: torch.device, max_length: int, kernels: bool = False
) -> DecoderForCausalLM:
    """The model of `config.architecture`, its parameters not yet loaded; with `kernels`, computed by Triton's.

    Raises UnsupportedModel.
    """
    family = _family(config.architecture, "config.json")
    if not kernels:
        return family(config, dtype=dtype, device=device, max_length=max_length)
    return family(config, dtype=dtype, device=device, max_length=max_length, ops=TritonBlockOps(device))


def _family(architecture: str, where: str) -> type[DecoderForCausalLM]:
    if architecture not in MODELS:
        raise UnsupportedModel(
            f"the architecture {architecture!r} is not implemented",
            where=f"{where}: $.architectures[0]",
            hint=f"implemented: {', '.join(MODELS)}",
        )
    return MODELS[architecture]
