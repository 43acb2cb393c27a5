"""What grammars cost on this machine: compile, start a state, fill a mask, accept, and a batch of 64 masks.

    python benchmarks/grammar_masks.py [TOKENIZER]

The tokenizer is a tokenizer.json or Mistral's tekken.json. Without one the vocabulary is made up: 131,072 syllable
words and JSON pieces, so that the figures are those of a large vocabulary and anyone can run it. The text is one
document for both schemas, tokenized greedily.
"""

from __future__ import annotations

import argparse
import base64
import json
import random
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from ramify.errors import UnenforceableSchema
from ramify.grammar.backends import BACKENDS, make_backend
from ramify.grammar.matcher import fill_masks
from ramify.grammar.spec import JsonSchema
from ramify.grammar.state import GrammarBackend
from ramify.grammar.vocabulary import Vocabulary

_TEKKEN_STOP = 2  # </s>
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


def made_up_vocabulary(size: int = 131_072) -> Vocabulary:
    """Bytes, JSON pieces and random words; id 0 is the stop token."""
    rng = random.Random(0)
    onsets = ["b", "c", "d", "f", "g", "h", "l", "m", "n", "p", "r", "s", "t", "st", "th", "ch", " b", " s", " t", " "]
    syllables = [onset + vowel for onset in onsets for vowel in "aeiouy"] + ["er", "ing", "ed", "é", "日", "20", "1"]
    pieces = ['{"', '": "', '", "', '": ', '"}', '": [', '"]', '", ', '":', ' "', "},", "]}"]
    tokens = dict.fromkeys([b"", *(bytes((byte,)) for byte in range(256)), *(piece.encode() for piece in pieces)])
    while len(tokens) < size:
        tokens["".join(rng.choices(syllables, k=rng.randint(1, 4))).encode()] = None
    return Vocabulary(tuple(tokens), frozenset({0}), size)


def read_vocabulary(path: Path | None) -> Vocabulary:
    """The vocabulary of a tokenizer.json or of Mistral's tekken.json; the made-up one if None."""
    if path is None:
        return made_up_vocabulary()
    data = msgspec.json.decode(path.read_bytes())
    if "config" in data:
        num_special, size = (data["config"][f"default_{name}"] for name in ("num_special_tokens", "vocab_size"))
        pieces = [base64.b64decode(token["token_bytes"]) for token in data["vocab"][: size - num_special]]
        return Vocabulary((*[b""] * num_special, *pieces), frozenset({_TEKKEN_STOP}), size)
    stops = [token["id"] for token in data["added_tokens"] if token["special"]]
    size = 1 + max(*data["model"]["vocab"].values(), *stops)
    return Vocabulary.from_json(path.read_bytes(), width=size, stop_ids=stops[:1])


def greedy(vocabulary: Vocabulary, text: str) -> list[int]:
    """Ids of the longest tokens from left to right."""
    by_bytes = {token: token_id for token_id, token in enumerate(vocabulary.tokens) if token}
    rest, ids = text.encode(), []
    while rest:
        length = next(length for length in range(min(24, len(rest)), 0, -1) if rest[:length] in by_bytes)
        ids.append(by_bytes[rest[:length]])
        rest = rest[length:]
    return ids


def microseconds(action: Callable[[], Any]) -> float:
    start = time.perf_counter()
    action()
    return (time.perf_counter() - start) * 1e6


def spread(figures: Sequence[float]) -> str:
    ordered = sorted(figures)
    return (
        f"p50 {ordered[len(ordered) // 2]:8.1f}   p99 {ordered[len(ordered) * 99 // 100]:8.1f}   max {ordered[-1]:8.1f}"
    )


def measure(backend: GrammarBackend, vocabulary: Vocabulary, spec: JsonSchema, ids: Sequence[int]) -> None:
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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("tokenizer", nargs="?", type=Path, help="a tokenizer.json or a tekken.json")
    vocabulary = read_vocabulary(parser.parse_args().tokenizer)
    ids = greedy(vocabulary, json.dumps(DOCUMENT))
    print(f"grammar costs in microseconds: vocabulary of {len(vocabulary.tokens)}, a document of {len(ids)} tokens")
    for name in BACKENDS:
        start = time.perf_counter()
        backend = make_backend(vocabulary, name)
        print(f"{name}: made in {time.perf_counter() - start:.2f} s")
        for label, schema in SCHEMAS.items():
            print(f" {label}")
            try:
                measure(backend, vocabulary, JsonSchema(json.dumps(schema)), ids)
            except UnenforceableSchema as error:
                print(f"  refused: {error.where[:80]}")


if __name__ == "__main__":
    main()
