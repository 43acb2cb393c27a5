"""Configs of models so small that a test fills them with random weights."""

from __future__ import annotations

CONFIG = {
    "architectures": ["LlamaForCausalLM"],
    "vocab_size": 97,
    "hidden_size": 48,
    "intermediate_size": 80,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 256,
    "initializer_range": 0.3,
}

WINDOWED = {
    **CONFIG,
    "architectures": ["Qwen3ForCausalLM"],
    "head_dim": 12,
    "use_sliding_window": True,
    "sliding_window": 6,
    "layer_types": ["sliding_attention", "full_attention"],
}
