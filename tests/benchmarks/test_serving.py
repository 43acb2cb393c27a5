"""The adapter of our own engine answers a workload on a CPU, and its floors are those of its shape."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from ceilings import Ceilings, ModelSize
from serving import Engine, floors
from workloads import timed

TINY = {
    "architectures": ["LlamaForCausalLM"],
    "vocab_size": 1500,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 256,
}


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    (tmp_path / "config.json").write_text(json.dumps(TINY))
    engine = Engine(device="cpu", max_rows=4)
    engine.start(str(tmp_path))
    yield engine
    engine.stop()


def test_requests_run_to_their_limits_and_prefixes_are_reused(engine: Engine) -> None:
    assert engine.vocab_high == 1500
    prompts = [list(range(1000 + 40 * i, 1040 + 40 * i)) for i in range(6)]
    row, outs = timed(engine, prompts, [1, 2, 3, 4, 5, 6])
    assert [len(out.tokens) for out in outs] == [1, 2, 3, 4, 5, 6]
    assert (row["out_tokens"], row["in_tokens"], row["cached_tokens"]) == (21, 240, 0)
    again, same = timed(engine, prompts, [1, 2, 3, 4, 5, 6])
    assert [out.tokens for out in same] == [out.tokens for out in outs]
    assert again["cached_tokens"] == 6 * 39  # all but the last token, whose logits are wanted
    engine.flush()
    assert timed(engine, prompts, 1)[0]["cached_tokens"] == 0


def test_a_floor_grows_with_the_shape() -> None:
    ceilings = Ceilings("a device", bandwidth=4e12, rate=8e14)
    small, large = ModelSize(4e8, 1e8, 1e5), ModelSize(8e8, 2e8, 2e5)
    ((name, measured, floor),) = floors("w2", {"mean_itl_ms": 2.0}, ceilings, small)
    assert (name, measured) == ("w2 ms/token", 2.0)
    assert floor == pytest.approx(1e3 * (2 * 5e8 + 384 * 1e5) / 4e12)
    ((_, _, double),) = floors("w2", {"mean_itl_ms": 2.0}, ceilings, large)
    assert double == pytest.approx(2 * floor)
    ((_, _, rate),) = floors("w1", {"out_tok_s": 1.0}, ceilings, small)
    ((_, _, half),) = floors("w1", {"out_tok_s": 1.0}, ceilings, large)
    assert half == pytest.approx(rate / 2)
