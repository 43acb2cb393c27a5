"""Masks against brute force over a small vocabulary, for each backend: every bit is what `accept` says of that id.

    python benchmarks/grammar_exact.py [--pairs 10000] [--scripts 2000] [--seed 0]

A pair is a random grammar and a random place in it; all ids are tried there, and undone. A script accepts, rolls back
and forks at random; then its mask must be that of a fresh matcher, compiled apart and given the same tokens. A
difference is printed and ends the run with status 1.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
from ramify.errors import InvalidSchema
from ramify.grammar.backends import BACKENDS, make_backend
from ramify.grammar.spec import Choices, GrammarSpec, JsonSchema, Regex
from ramify.grammar.state import CompiledGrammar, GrammarBackend, GrammarState
from ramify.grammar.vocabulary import Vocabulary

PLACES = 8
STEPS = 30
WIDTH = 450
WORDS = ("red", "green", "blue", "a", "ab", "été", "日本", 'q"', "x\\y", "", "12", "true", "a b")
PATTERNS = ("[a-c]{2,5}", "(red|green)+", "[0-9]{4}-[0-9]{2}", "x?y*z", "[^a-z]{1,3}", "(a|b|ab)(c|bc)", "é+日")
PIECES = (
    '{"',
    '": "',
    '", "',
    '": ',
    '"}',
    '": [',
    '"]',
    '", ',
    ', "',
    "},",
    "]}",
    "re",
    "red",
    "reen",
    "ab",
    "bc",
    "12",
)


def small_vocabulary(rng: random.Random) -> Vocabulary:
    """All bytes, JSON's pieces, short words and some byte pairs; two stop tokens, a control token, and room above."""
    tokens = dict.fromkeys([*(bytes((byte,)) for byte in range(256)), *(piece.encode() for piece in PIECES)])
    tokens |= dict.fromkeys(word.encode() for word in WORDS if word)
    while len(tokens) < 400:
        tokens["".join(rng.choices('abcrden0129 é日"', k=rng.randint(2, 5))).encode()[: rng.randint(2, 7)]] = None
    return Vocabulary((b"", *tokens, b"", b""), frozenset({0, len(tokens) + 1}), WIDTH)


def random_schema(rng: random.Random, depth: int = 0) -> Any:
    """A schema of the keywords that both backends enforce, or that one refuses by name."""
    kind = rng.choice(("string", "bounded", "pattern", "integer", "enum", "const", "boolean", "null", "any of"))
    if depth < 3 and rng.random() < (0.9 if depth == 0 else 0.4):
        kind = rng.choice(("object", "object", "array"))
    match kind:
        case "object":
            names = rng.sample(WORDS, rng.randint(1, 4))
            return {
                "type": "object",
                "properties": {name: random_schema(rng, depth + 1) for name in names},
                "required": rng.sample(names, rng.randint(0, len(names))),
                "additionalProperties": False,
            }
        case "array":
            low = rng.randint(0, 2)
            items = random_schema(rng, depth + 1)
            return {"type": "array", "items": items, "minItems": low, "maxItems": low + rng.randint(0, 3)}
        case "bounded":
            low = rng.randint(0, 3)
            return {"type": "string", "minLength": low, "maxLength": low + rng.randint(0, 9)}
        case "pattern":
            return {"type": "string", "pattern": f"^{rng.choice(PATTERNS)}$"}
        case "integer":
            low = rng.randint(-200, 200)
            return {"type": "integer", "minimum": low, "maximum": low + rng.randint(0, 5000)}
        case "enum":
            return {"enum": rng.sample([*WORDS, 1, 12, -3, None, True], rng.randint(1, 5))}
        case "const":
            return {"const": rng.choice([*WORDS, 0, False])}
        case "any of":
            return {"anyOf": [{"type": "null"}, {"type": "string", "maxLength": rng.randint(1, 6)}]}
        case simple:
            return {"type": simple}


def grammars(backend: GrammarBackend, rng: random.Random) -> Iterator[tuple[GrammarSpec, CompiledGrammar]]:
    """Random grammars that the backend takes, without end."""
    while True:
        draw = rng.random()
        spec: GrammarSpec = JsonSchema(json.dumps(random_schema(rng)), any_whitespace=rng.random() < 0.1)
        if draw < 0.05:
            spec = Regex(rng.choice(PATTERNS))
        elif draw < 0.1:
            spec = Choices(tuple(rng.sample([word for word in WORDS if word], rng.randint(1, 5))))
        try:
            yield spec, backend.compile(spec)
        except InvalidSchema:
            continue


def allowed(state: GrammarState, vocabulary: Vocabulary) -> list[int]:
    """The ids of a mask, read from a poisoned row."""
    row = np.full(vocabulary.words, 0x55555555, np.int32)
    state.fill_mask(row)
    return np.flatnonzero(np.unpackbits(row.view(np.uint8), bitorder="little")).tolist()


def brute_force(state: GrammarState, vocabulary: Vocabulary) -> list[int]:
    found = []
    for token_id in range(vocabulary.width):
        if state.accept(token_id):
            found.append(token_id)
            state.rollback(1)
    return found


def check_pairs(backend: GrammarBackend, vocabulary: Vocabulary, pairs: int, rng: random.Random) -> tuple[int, int]:
    """Grammars and pairs compared. Raises AssertionError with the first that differs."""
    done = 0
    for used, (spec, grammar) in enumerate(grammars(backend, rng), 1):
        state, ids = grammar.state(), []
        for _ in range(PLACES):
            mask = allowed(state, vocabulary)
            assert mask == brute_force(state, vocabulary), f"{backend.name}: {spec} after {ids}"
            done += 1
            if done == pairs:
                return used, done
            ids.append(rng.choice(mask))
            for _ in range(rng.randrange(4)):
                mask = allowed(state, vocabulary) if state.accept(ids[-1]) and not state.terminated else []
                if not mask:
                    break
                ids.append(rng.choice(mask))
            else:
                state.accept(ids[-1])
            if state.terminated:
                break
    raise AssertionError("random grammars have no end")


def check_scripts(backend: GrammarBackend, vocabulary: Vocabulary, scripts: int, rng: random.Random) -> int:
    """Masks compared with a fresh matcher's. Raises AssertionError with the first that differs."""
    compared = 0
    source = grammars(backend, rng)
    for _ in range(scripts):
        spec, grammar = next(source)
        state, ids = grammar.state(), list[int]()
        for _ in range(STEPS):
            move = rng.random()
            if move < 0.15:
                state = state.fork()
            elif move < 0.3 and ids:
                undone = rng.randint(1, min(6, len(ids)))
                state.rollback(undone)
                del ids[len(ids) - undone :]
            elif not state.terminated:
                ids.append(rng.choice(allowed(state, vocabulary)))
                assert state.accept(ids[-1])
        fresh = backend.compile(spec).state()
        assert all(fresh.accept(token_id) for token_id in ids)
        assert allowed(state, vocabulary) == allowed(fresh, vocabulary), f"{backend.name}: {spec} after {ids}"
        compared += 1
    return compared


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=10_000)
    parser.add_argument("--scripts", type=int, default=2_000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    vocabulary = small_vocabulary(random.Random(options.seed))
    for name in sorted(BACKENDS.keys() - {"auto"}):
        backend, rng = make_backend(vocabulary, name), random.Random(options.seed)
        begun = time.perf_counter()
        try:
            used, pairs = check_pairs(backend, vocabulary, options.pairs, rng)
            scripts = check_scripts(backend, vocabulary, options.scripts, rng)
        except AssertionError as error:
            sys.exit(f"a difference: {error}")
        print(
            f"{name}: {pairs} pairs of {used} grammars, {pairs * WIDTH} bits, and {scripts} scripts: no difference "
            f"({time.perf_counter() - begun:.0f} s)",
            flush=True,
        )


if __name__ == "__main__":
    main()
