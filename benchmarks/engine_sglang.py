"""SGLang behind `workloads.Adapter`, by its offline API (`sglang.Engine`): token ids in and out, defaults otherwise.

Written for SGLang 0.5.15. `Engine(model_path=, load_format=, skip_tokenizer_init=, disable_radix_cache=)` takes the
fields of srt/server_args.py; `generate(input_ids=, sampling_params=, stream=)` answers with dicts of `output_ids` (all
so far), `meta_info` with `cached_tokens`, and, streaming, the `index` of the prompt; `flush_cache()` and `shutdown()`
are of srt/entrypoints/engine.py, the keys of `sampling_params` of srt/sampling/sampling_params.py.
"""

from __future__ import annotations

import importlib
import json
import time
from collections.abc import Sequence
from types import ModuleType
from typing import Any

from workloads import EngineMissing, Out, Row, has_tokenizer, has_weights, num_valid, vocab_high


class Engine:
    """One `sglang.Engine`.

    Args:
        stream: measure the time to each first token, by streaming the answers.
    """

    name = "sglang"

    def __init__(self, stream: bool = False) -> None:
        try:
            self._sglang: ModuleType = importlib.import_module("sglang")
        except ImportError as error:
            raise EngineMissing("sglang", error) from error
        self.version: str = self._sglang.__version__
        self.config: Row = {}
        self.vocab_high = 0
        self._stream = stream
        self._model_dir = ""
        self._engine: Any = None

    def start(self, model_dir: str, prefix_cache: bool) -> None:
        self.vocab_high = vocab_high(model_dir)
        self._model_dir = model_dir
        self.config = {
            "load_format": "auto" if has_weights(model_dir) else "dummy",
            "skip_tokenizer_init": not has_tokenizer(model_dir),
            "disable_radix_cache": not prefix_cache,
        }
        self._engine = self._sglang.Engine(model_path=model_dir, **self.config)

    def stop(self) -> None:
        self._engine.shutdown()
        self._engine = None

    def generate(self, prompts: list[list[int]], max_tokens: int | list[int], schema: Row | None = None) -> list[Out]:
        limits = max_tokens if isinstance(max_tokens, list) else [max_tokens] * len(prompts)
        constraint: Row = {"ignore_eos": True} if schema is None else {"json_schema": json.dumps(schema)}
        params = [{"temperature": 0.0, "max_new_tokens": limit, **constraint} for limit in limits]
        begun = time.perf_counter()
        answers = self._engine.generate(input_ids=prompts, sampling_params=params, stream=self._stream)
        outs = [Out([]) for _ in prompts]
        for index, answer in enumerate(answers):
            out = outs[answer["index"] if self._stream else index]
            if self._stream and out.ttft is None:
                out.ttft = time.perf_counter() - begun
            out.tokens = answer["output_ids"]
            out.cached = answer["meta_info"]["cached_tokens"]
        return outs

    def flush(self) -> None:
        self._engine.flush_cache()

    def cached_tokens(self) -> int | None:
        """Not counted since the start: each answer says its own."""
        return None

    def count_valid(self, outs: Sequence[Out], schema: Row) -> int:
        return num_valid(self._model_dir, outs, schema)
