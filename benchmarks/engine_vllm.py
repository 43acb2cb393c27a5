"""vLLM behind `workloads.Adapter`, by its offline API (`vllm.LLM`): token ids in, token ids out, defaults otherwise.

Written for vLLM 0.26: `LLM(model, load_format=, skip_tokenizer_init=, enable_prefix_caching=, disable_log_stats=)`,
`LLM.generate(prompts, sampling_params, use_tqdm=)` and `LLM.reset_prefix_cache()` of vllm/entrypoints/llm.py,
`TokensPrompt` of vllm/inputs, `SamplingParams` and `StructuredOutputsParams` of vllm/sampling_params.py,
`RequestOutput.num_cached_tokens` and `.metrics.first_token_latency` of vllm/outputs.py.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from types import ModuleType
from typing import Any

from workloads import EngineMissing, Out, Row, has_tokenizer, has_weights, num_valid, vocab_high


class Engine:
    """One `vllm.LLM`.

    Args:
        stream: measure the time to each first token, which takes vLLM's statistics.
    """

    name = "vllm"

    def __init__(self, stream: bool = False) -> None:
        try:
            self._vllm: ModuleType = importlib.import_module("vllm")
        except ImportError as error:
            raise EngineMissing("vllm", error) from error
        self.version: str = self._vllm.__version__
        self.config: Row = {}
        self.vocab_high = 0
        self._stream = stream
        self._model_dir = ""
        self._llm: Any = None

    def start(self, model_dir: str, prefix_cache: bool) -> None:
        self.vocab_high = vocab_high(model_dir)
        self._model_dir = model_dir
        self.config = {
            "load_format": "auto" if has_weights(model_dir) else "dummy",
            "skip_tokenizer_init": not has_tokenizer(model_dir),
            "enable_prefix_caching": prefix_cache,
            "disable_log_stats": not self._stream,
        }
        self._llm = self._vllm.LLM(model=model_dir, **self.config)

    def stop(self) -> None:
        self._llm = None  # its engine process ends with it

    def generate(self, prompts: list[list[int]], max_tokens: int | list[int], schema: Row | None = None) -> list[Out]:
        limits = max_tokens if isinstance(max_tokens, list) else [max_tokens] * len(prompts)
        structured = None
        if schema is not None:
            structured = self._vllm.sampling_params.StructuredOutputsParams(json=schema)
        params = [
            self._vllm.SamplingParams(
                temperature=0.0,
                max_tokens=limit,
                ignore_eos=schema is None,
                detokenize=False,
                structured_outputs=structured,
            )
            for limit in limits
        ]
        answers = self._llm.generate([{"prompt_token_ids": prompt} for prompt in prompts], params, use_tqdm=False)
        return [
            Out(
                tokens=list(answer.outputs[0].token_ids),
                ttft=answer.metrics.first_token_latency if self._stream else None,
                cached=answer.num_cached_tokens,
            )
            for answer in answers
        ]

    def flush(self) -> None:
        self._llm.reset_prefix_cache()

    def cached_tokens(self) -> int | None:
        """Not counted since the start: each answer says its own."""
        return None

    def count_valid(self, outs: Sequence[Out], schema: Row) -> int:
        return num_valid(self._model_dir, outs, schema)
