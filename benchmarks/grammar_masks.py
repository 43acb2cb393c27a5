"""What grammars cost on this machine: compile, start a state, fill a mask, accept, and a batch of 64 masks.

    python benchmarks/grammar_masks.py [TOKENIZER]

The tokenizer is a tokenizer.json or Mistral's tekken.json. Without one the vocabulary is made up: 131,072 syllable
words and JSON pieces, so that the figures are those of a large vocabulary and anyone can run it. The text is one
document for both schemas, and reasoning, words and two tool calls that hold it for the structure, tokenized greedily.

The last table is a step's masks of 256 rows on half of the processors, as the engine makes them: rows under the eight
schemas of w4d, each in a document of its own and at another place. A row that ends begins the next document.
"""

from __future__ import annotations

import argparse
import json
import random
import time
from collections.abc import Callable
from collections.abc import Sequence as Ordered
from pathlib import Path
from typing import Any

import numpy as np
from ramify.errors import UnenforceableSchema
from ramify.grammar.backends import BACKENDS, make_backend
from ramify.grammar.fill import MaskRequest
from ramify.grammar.fill_pool import MaskPool, spare_processors
from ramify.grammar.matcher import MatcherState, fill_masks
from ramify.grammar.spec import AnyText, GrammarSpec, JsonSchema, Sequence, StructuralTag, Tag, TriggeredTags
from ramify.grammar.state import GrammarBackend, GrammarState
from ramify.grammar.vocabulary import Vocabulary
from vocabularies import Greedy, load_vocabulary
from workloads import DIVERGENT, document

_FIELDS = [f"field_{k}" for k in range(6)]
_LIST = {"type": "array", "items": {"enum": ["red", "green", "blue"]}, "maxItems": 4}
_NUMBER = {"type": "integer", "minimum": 0, "maximum": 1000}


def _schema(text: dict[str, Any]) -> dict[str, Any]:
    properties = dict.fromkeys(_FIELDS, text) | {"count": _NUMBER, "tags": _LIST}
    return {"type": "object", "properties": properties, "required": list(properties)}


SCHEMAS = {"strings": _schema({"type": "string"}), "bounded strings": _schema({"type": "string", "maxLength": 60})}
DOCUMENT = {name: "the restin boy chano " + "tedi " * k for k, name in enumerate(_FIELDS)} | {
    "count": 12,
    "tags": ["red"],
}


_WORDS = "the restin boy chano tedi was here, 20 x 1 < 21; " * 4
TOOLS = StructuralTag(
    Sequence(
        (
            Tag("", AnyText(), "</think>"),
            TriggeredTags(
                ("<call=",),
                tuple(
                    Tag(f"<call={name}>", JsonSchema(json.dumps(SCHEMAS["strings"])), "</call>")
                    for name in ("search", "read", "write", "run")
                ),
            ),
        )
    )
)
_CALL = f"{_WORDS}<call=read>{json.dumps(DOCUMENT)}</call>"
REPLY = f"{_WORDS}</think>{_CALL}{_CALL}{_WORDS}"


def microseconds(action: Callable[[], Any]) -> float:
    start = time.perf_counter()
    action()
    return (time.perf_counter() - start) * 1e6


def spread(figures: Ordered[float]) -> str:
    ordered = sorted(figures)
    return (
        f"p50 {ordered[len(ordered) // 2]:8.1f}   p99 {ordered[len(ordered) * 99 // 100]:8.1f}   max {ordered[-1]:8.1f}"
    )


def measure(backend: GrammarBackend, vocabulary: Vocabulary, spec: GrammarSpec, ids: Ordered[int]) -> None:
    begin = time.perf_counter()
    grammar = backend.compile(spec)
    compiles = [1e6 * (time.perf_counter() - begin)]
    if compiles[0] < 1e6:
        compiles = [microseconds(lambda: backend.compile(spec)) for _ in range(9)]
    row = np.empty(vocabulary.words, np.int32)
    fills: list[float] = []
    accepts: list[float] = []
    for _ in range(5):
        state = grammar.state()
        for token_id in ids:
            fills.append(microseconds(lambda state=state: state.fill_mask(row)))
            accepts.append(microseconds(lambda state=state, token_id=token_id: state.accept(token_id)))
        assert state.completed
    rng, batches = random.Random(1), []
    out = np.empty((64, vocabulary.words), np.int32)
    for _ in range(20):
        states = [grammar.state() for _ in range(64)]
        for state in states:
            for token_id in ids[: rng.randrange(len(ids))]:
                state.accept(token_id)
        batches.append(microseconds(lambda states=states: fill_masks(states, out)))
    print(f"  compile           {spread(compiles)}")
    print(f"  new state         {spread([microseconds(grammar.state) for _ in range(1000)])}")
    print(f"  mask, first text  {spread(fills[: len(ids)])}")
    print(f"  mask, later texts {spread(fills[len(ids) :])}")
    print(f"  accept            {spread(accepts)}")
    print(f"  64 masks          {spread(batches)}")
    print(f"  counted bytes     {grammar.num_bytes}")


def divergent(vocabulary: Vocabulary, remember: bool, rows: int = 256, steps: int = 200) -> None:
    """Milliseconds of a step's masks, from cold and again; `remember`: masks made before are kept."""
    backend = make_backend(vocabulary, "llguidance")
    grammars = [backend.compile(JsonSchema(json.dumps(schema))) for schema in DIVERGENT]
    greedy, stop = Greedy(vocabulary), min(vocabulary.stop_ids)
    pool = MaskPool(vocabulary.words, lambda made: None)
    out = np.empty((rows, vocabulary.words), np.int32)

    for label in ("cold", "warm"):
        rng = random.Random(3)

        def begin(row: int, rng: random.Random = rng) -> tuple[GrammarState, list[int]]:
            ids = [*greedy.encode(json.dumps(document(rng, DIVERGENT[row % len(DIVERGENT)]))), stop]
            state: MatcherState = grammars[row % len(DIVERGENT)].state()
            return state if remember else MatcherState(state.matcher, vocabulary), ids

        running = [begin(row) for row in range(rows)]
        for state, ids in running:
            for token_id in ids[: rng.randrange(len(ids))]:
                state.accept(token_id)
        times = []
        for _ in range(steps):
            requests = [MaskRequest((0, row), state) for row, (state, _) in enumerate(running)]
            times.append(microseconds(lambda requests=requests: pool.fill(requests, out, 60.0)) / 1e3)
            for row, (state, ids) in enumerate(running):
                assert state.accept(ids[state.num_accepted])
                if state.terminated:
                    running[row] = begin(row)
        print(f"  {label}, masks {'remembered' if remember else 'forgotten '} {spread(times)}")
    pool.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("tokenizer", nargs="?", type=Path, help="a tokenizer.json or tekken.json")
    vocabulary = load_vocabulary(parser.parse_args().tokenizer)
    ids = Greedy(vocabulary).encode(json.dumps(DOCUMENT))
    print(f"grammar costs in microseconds: vocabulary of {len(vocabulary.tokens)}, a document of {len(ids)} tokens")
    for name in BACKENDS:
        start = time.perf_counter()
        backend = make_backend(vocabulary, name)
        print(f"{name}: made in {time.perf_counter() - start:.2f} s")
        cases: dict[str, tuple[GrammarSpec, Ordered[int]]] = {
            label: (JsonSchema(json.dumps(schema)), ids) for label, schema in SCHEMAS.items()
        }
        cases["reasoning and tools"] = (TOOLS, Greedy(vocabulary).encode(REPLY))
        for label, (spec, text) in cases.items():
            print(f" {label}, {len(text)} tokens")
            try:
                measure(backend, vocabulary, spec, text)
            except UnenforceableSchema as error:
                print(f"  refused: {error.where[:80]}")
    print(f"256 divergent rows on {spare_processors()} threads, milliseconds a step")
    for remember in (True, False):
        divergent(vocabulary, remember)


if __name__ == "__main__":
    main()
