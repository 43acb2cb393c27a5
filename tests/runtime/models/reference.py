"""Small random models of transformers, of every family, and ours with the same weights: what ours is compared with."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from ramify.runtime.attention.kv_pool import KVLayout, KVPool
from ramify.runtime.attention.torch_backend import TorchAttention
from ramify.runtime.models.config import ModelConfig
from ramify.runtime.models.decoder import DecoderForCausalLM
from ramify.runtime.models.loader import load_weights
from ramify.runtime.models.registry import build_model, load_config
from ramify.runtime.protocol.plan import StepPlan
from ramify.runtime.protocol.tokens import unpack
from ramify.runtime.worker.rows import RowTable
from torch import Tensor
from transformers import AutoModelForCausalLM, LlamaConfig, MistralConfig, PreTrainedModel, Qwen2Config, Qwen3Config

SLOTS = 512
TOKENS = 75
"""Length of the sequence that is compared; windows are smaller, as large and larger."""

THETA_1M = {"rope_type": "default", "rope_theta": 1_000_000.0}

CONFIGS = {"llama": LlamaConfig, "mistral": MistralConfig, "qwen2": Qwen2Config, "qwen3": Qwen3Config}

SHAPES: dict[str, dict[str, object]] = {
    "llama": {},
    "llama_gqa2_tied": {"num_key_value_heads": 2, "tie_word_embeddings": True},
    "llama_gqa4_bias": {"num_key_value_heads": 1, "attention_bias": True, "mlp_bias": True},
    "llama_wide_heads": {"head_dim": 24, "num_key_value_heads": 2, "vocab_size": 131},
    "llama_linear_rope": {"rope_parameters": {"rope_type": "linear", "rope_theta": 5000.0, "factor": 4.0}},
    "llama_llama3_rope": {
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
    "mistral_window_1": {"sliding_window": 1},
    "mistral_window_11": {"sliding_window": 11, "num_key_value_heads": 2, "head_dim": 24},
    "mistral_window_of_the_prompt": {"sliding_window": TOKENS, "num_key_value_heads": 1},
    "mistral_window_beyond_the_prompt": {"sliding_window": TOKENS + 1},
    "mistral_no_window": {"sliding_window": None, "tie_word_embeddings": True},
    "qwen2_tied": {"num_key_value_heads": 2, "tie_word_embeddings": True, "rope_parameters": THETA_1M},
    "qwen2_unused_window": {"sliding_window": 5, "max_window_layers": 0},
    "qwen2_window_behind_a_full_layer": {"use_sliding_window": True, "sliding_window": 9, "max_window_layers": 1},
    "qwen2_mixed_layers": {
        "use_sliding_window": True,
        "sliding_window": TOKENS - 1,
        "layer_types": ["sliding_attention", "full_attention", "sliding_attention"],
        "num_key_value_heads": 1,
    },
    "qwen3_gqa2": {"head_dim": 24, "num_key_value_heads": 2, "rope_parameters": THETA_1M},
    "qwen3_bias_tied": {"head_dim": 16, "attention_bias": True, "tie_word_embeddings": True},
    "qwen3_mixed_layers": {
        "head_dim": 8,
        "use_sliding_window": True,
        "sliding_window": 13,
        "layer_types": ["full_attention", "sliding_attention", "full_attention"],
    },
}


def reference_model(name: str) -> PreTrainedModel:
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
    config = CONFIGS[name.partition("_")[0]](**{**shape, **SHAPES[name]})
    model: PreTrainedModel = AutoModelForCausalLM.from_config(config)
    with torch.no_grad():
        for key, parameter in model.named_parameters():
            if key.endswith((".bias", "norm.weight")):
                parameter.add_(0.2 * torch.randn_like(parameter))
    return model.eval()


@dataclass
class OurModel:
    """Our model, its rows and its pool: runs a plan and returns the logits of the plan's samples."""

    config: ModelConfig
    model: DecoderForCausalLM
    rows: RowTable
    attention: TorchAttention
    pool: KVPool

    @classmethod
    def load(cls, directory: Path, dtype: torch.dtype, max_rows: int = 8, max_length: int = 200) -> OurModel:
        config, device = load_config(directory), torch.device("cpu")
        model = build_model(config, dtype=dtype, device=device, max_length=max_length)
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
