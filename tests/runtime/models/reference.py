"""Small random Llama models of transformers, and ours with the same weights: the independent side of the comparison."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from ramify.runtime.attention.kv_pool import KVLayout, KVPool
from ramify.runtime.attention.torch_backend import TorchAttention
from ramify.runtime.models.config import ModelConfig, load_config
from ramify.runtime.models.llama import LlamaForCausalLM as OurLlama
from ramify.runtime.models.loader import load_weights
from ramify.runtime.protocol.plan import StepPlan
from ramify.runtime.protocol.tokens import unpack
from ramify.runtime.worker.rows import RowTable
from torch import Tensor
from transformers import LlamaConfig, LlamaForCausalLM

SLOTS = 512

SHAPES: dict[str, dict[str, object]] = {
    "plain": {},
    "gqa2_tied": {"num_key_value_heads": 2, "tie_word_embeddings": True},
    "gqa4_bias": {"num_key_value_heads": 1, "attention_bias": True, "mlp_bias": True},
    "wide_heads": {"head_dim": 24, "num_key_value_heads": 2, "vocab_size": 131},
    "linear_rope": {"rope_parameters": {"rope_type": "linear", "rope_theta": 5000.0, "factor": 4.0}},
    "llama3_rope": {
        "num_key_value_heads": 2,
        "rope_parameters": {
            "rope_type": "llama3",
            "rope_theta": 500000.0,
            "factor": 8.0,
            "low_freq_factor": 1.0,
            "high_freq_factor": 4.0,
            "original_max_position_embeddings": 64,
        },
    },
}


def reference_model(name: str) -> LlamaForCausalLM:
    """A random model of transformers with the shape `name`; larger weights than usual, so that mistakes show."""
    torch.manual_seed(sorted(SHAPES).index(name))
    shape: dict[str, object] = {
        "vocab_size": 97,
        "hidden_size": 64,
        "intermediate_size": 112,
        "num_hidden_layers": 3,
        "num_attention_heads": 4,
        "num_key_value_heads": 4,
        "max_position_embeddings": 256,
        "initializer_range": 0.15,
        "bos_token_id": 0,
        "eos_token_id": 1,
    }
    model = LlamaForCausalLM(LlamaConfig(**{**shape, **SHAPES[name]}))
    with torch.no_grad():
        for key, parameter in model.named_parameters():
            if key.endswith((".bias", "norm.weight")):
                parameter.add_(0.2 * torch.randn_like(parameter))
    return model.eval()


@dataclass
class OurModel:
    """Our model, its rows and its pool: runs a plan and returns the logits of the plan's samples."""

    config: ModelConfig
    model: OurLlama
    rows: RowTable
    attention: TorchAttention
    pool: KVPool

    @classmethod
    def load(cls, directory: Path, dtype: torch.dtype, max_rows: int = 8, max_length: int = 200) -> OurModel:
        config, device = load_config(directory), torch.device("cpu")
        model = OurLlama(config, dtype=dtype, device=device, max_length=max_length)
        load_weights(model, config, directory)
        pool = KVPool(
            KVLayout(dtype),
            layers=config.num_layers,
            slots=SLOTS,
            kv_heads=config.num_kv_heads,
            head_dim=config.head_dim,
            device=device,
        )
        pool.keys_LSKH.fill_(torch.nan)
        pool.values_LSKH.fill_(torch.nan)
        rows = RowTable(max_rows=max_rows, max_length=max_length, device=device)
        return cls(config, model, rows, TorchAttention(pool), pool)

    def run(self, plan: StepPlan) -> Tensor:
        """Logits of the plan's samples, shape [S, V]."""
        with torch.inference_mode():
            self.rows.assign_slots(plan)
            tokens = self.rows.take_tokens(plan)
            hidden = self.model(tokens.ids_T, tokens.positions_T, self.attention.begin(tokens.attention))
            logits = self.model.logits(hidden[torch.from_numpy(unpack(plan.sample_index).copy()).long()])
            assert logits.dtype == self.pool.layout.dtype
            return logits
