"""The adapters of other engines ask them what the workloads mean: ids in, ids out, greedy, to the end."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import engine_sglang
import engine_vllm
import pytest
from ramify import seedling
from shapes import write_config
from workloads import EngineMissing, Out, Row, timed

SCHEMA: Row = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}


class FakeLLM:
    """`vllm.LLM` as far as the adapter uses it: each answer is the prompt's last id, counted up."""

    def __init__(self, **options: object) -> None:
        self.options = options
        self.calls: list[tuple[list[Row], list[SimpleNamespace], bool]] = []
        self.resets = 0

    def generate(
        self, prompts: list[Row], sampling_params: list[SimpleNamespace], *, use_tqdm: bool = True
    ) -> list[SimpleNamespace]:
        self.calls.append((prompts, sampling_params, use_tqdm))
        return [
            SimpleNamespace(
                outputs=[
                    SimpleNamespace(
                        token_ids=tuple(prompt["prompt_token_ids"][-1] + 1 + i for i in range(params.max_tokens))
                    )
                ],
                metrics=SimpleNamespace(first_token_latency=0.25),
                num_cached_tokens=2,
            )
            for prompt, params in zip(prompts, sampling_params, strict=True)
        ]

    def reset_prefix_cache(self) -> bool:
        self.resets += 1
        return True


class FakeSGLang:
    """`sglang.Engine` likewise."""

    def __init__(self, **options: object) -> None:
        self.options = options
        self.calls: list[Row] = []
        self.flushed = 0
        self.running = True

    def generate(self, *, input_ids: list[list[int]], sampling_params: list[Row], stream: bool) -> Any:
        self.calls.append({"input_ids": input_ids, "sampling_params": sampling_params})
        answers = [
            {
                "output_ids": [ids[-1] + 1 + i for i in range(params["max_new_tokens"])],
                "meta_info": {"cached_tokens": 2},
            }
            for ids, params in zip(input_ids, sampling_params, strict=True)
        ]
        return self._streamed(answers) if stream else answers

    def _streamed(self, answers: list[Row]) -> Iterator[Row]:
        """Each answer token by token, the last prompt's first."""
        for index, answer in reversed(list(enumerate(answers))):
            for end in range(1, len(answer["output_ids"]) + 1):
                yield {**answer, "output_ids": answer["output_ids"][:end], "index": index}

    def flush_cache(self) -> None:
        self.flushed += 1

    def shutdown(self) -> None:
        self.running = False


@pytest.fixture
def engines(monkeypatch: pytest.MonkeyPatch) -> None:
    vllm = ModuleType("vllm")
    vllm.__version__ = "0.26.0"  # type: ignore[attr-defined]
    vllm.LLM = FakeLLM  # type: ignore[attr-defined]
    vllm.SamplingParams = SimpleNamespace  # type: ignore[attr-defined]
    vllm.sampling_params = SimpleNamespace(StructuredOutputsParams=SimpleNamespace)  # type: ignore[attr-defined]
    sglang = ModuleType("sglang")
    sglang.__version__ = "0.5.15"  # type: ignore[attr-defined]
    sglang.Engine = FakeSGLang  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "vllm", vllm)
    monkeypatch.setitem(sys.modules, "sglang", sglang)


@pytest.fixture
def model(tmp_path: Path) -> str:
    write_config("mistral-7b", tmp_path)
    return str(tmp_path)


@pytest.mark.usefixtures("engines")
@pytest.mark.parametrize("stream", [False, True])
def test_vllm_gets_ids_limits_and_greedy_params(stream: bool, model: str) -> None:
    engine = engine_vllm.Engine(stream=stream)
    engine.start(model, prefix_cache=False)
    assert engine.vocab_high == 32_768
    llm: FakeLLM = engine._llm
    assert llm.options == {
        "model": model, "load_format": "dummy", "skip_tokenizer_init": True, "enable_prefix_caching": False,
        "disable_log_stats": not stream,
    }  # fmt: skip
    row, outs = timed(engine, [[5, 6], [9]], [3, 1])
    assert [out.tokens for out in outs] == [[7, 8, 9], [10]]
    assert [out.ttft for out in outs] == [0.25 if stream else None] * 2
    assert row["cached_tokens"] == 4
    ((prompts, params, bar),) = llm.calls
    assert prompts == [{"prompt_token_ids": [5, 6]}, {"prompt_token_ids": [9]}]
    assert [vars(p) for p in params] == [
        {"temperature": 0.0, "max_tokens": n, "ignore_eos": True, "detokenize": False, "structured_outputs": None}
        for n in (3, 1)
    ]
    assert not bar
    engine.generate([[1]], 2, SCHEMA)
    assert llm.calls[-1][1][0].structured_outputs.json == SCHEMA
    assert llm.calls[-1][1][0].ignore_eos is False
    engine.flush()
    assert llm.resets == 1


@pytest.mark.usefixtures("engines")
@pytest.mark.parametrize("stream", [False, True])
def test_sglang_gets_ids_limits_and_greedy_params(stream: bool, model: str) -> None:
    engine = engine_sglang.Engine(stream=stream)
    engine.start(model, prefix_cache=True)
    fake: FakeSGLang = engine._engine
    assert fake.options == {
        "model_path": model, "load_format": "dummy", "skip_tokenizer_init": True, "disable_radix_cache": False,
    }  # fmt: skip
    row, outs = timed(engine, [[5, 6], [9]], [3, 1])
    assert [out.tokens for out in outs] == [[7, 8, 9], [10]]
    assert row["cached_tokens"] == 4
    if stream:
        first, second = (out.ttft for out in outs)
        assert first is not None
        assert second is not None
        assert second < first  # the last prompt's answer came first
    else:
        assert [out.ttft for out in outs] == [None, None]
    assert fake.calls == [
        {
            "input_ids": [[5, 6], [9]],
            "sampling_params": [{"temperature": 0.0, "max_new_tokens": n, "ignore_eos": True} for n in (3, 1)],
        }
    ]
    engine.generate([[1]], 2, SCHEMA)
    (params,) = fake.calls[-1]["sampling_params"]
    assert json.loads(params.pop("json_schema")) == SCHEMA
    assert params == {"temperature": 0.0, "max_new_tokens": 2}
    engine.flush()
    engine.stop()
    assert (fake.flushed, fake.running) == (1, False)


@pytest.mark.usefixtures("engines")
@pytest.mark.parametrize("adapter", [engine_vllm, engine_sglang])
def test_weights_and_tokenizer_are_used_where_they_are(adapter: ModuleType) -> None:
    engine = adapter.Engine()
    engine.start(str(seedling.path()), prefix_cache=True)
    assert engine.config["load_format"] == "auto"
    assert engine.config["skip_tokenizer_init"] is False


@pytest.mark.usefixtures("engines")
@pytest.mark.parametrize("adapter", [engine_vllm, engine_sglang])
def test_valid_outputs_are_counted_by_their_text(adapter: ModuleType) -> None:
    from tokenizers import Tokenizer

    directory = seedling.path()
    tokenizer = Tokenizer.from_file(str(directory / "tokenizer.json"))
    texts = ['{"n": 3}', '{"n": 3', '{"n": "3"}', "[]", '{"n": -1, "m": 2}']
    engine = adapter.Engine()
    engine.start(str(directory), prefix_cache=True)
    outs = [Out(tokenizer.encode(text, add_special_tokens=False).ids) for text in texts]
    assert engine.count_valid(outs, SCHEMA) == 2


@pytest.mark.parametrize(("adapter", "package"), [(engine_vllm, "vllm"), (engine_sglang, "sglang")])
def test_an_engine_that_is_not_installed_is_named(
    adapter: ModuleType, package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The adapter's module itself imports without its engine, as this file shows."""
    monkeypatch.delitem(sys.modules, package, raising=False)
    monkeypatch.setattr(sys, "meta_path", [Absent(package), *sys.meta_path])
    with pytest.raises(EngineMissing, match=f"--engine {package} needs the package {package}.*No module named"):
        adapter.Engine()


class Absent:
    """An import finder that has no such package."""

    def __init__(self, package: str) -> None:
        self._package = package

    def find_spec(self, name: str, path: object = None, target: object = None) -> None:
        if name == self._package:
            raise ModuleNotFoundError(f"No module named {name!r}")
