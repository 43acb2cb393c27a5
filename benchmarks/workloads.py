"""Workloads of single requests that any engine can run: seeded token ids in, token ids out. No engine is imported here.

An engine plugs in as an `Adapter`. Prompts are random ids, so nothing but the prefix cache can be clever about them;
decoding is greedy and goes on to `max_tokens` whatever it says, unless a schema ends it.
"""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

VOCAB_LOW, VOCAB_HIGH = 1000, 100_000
"""Random ids stay clear of special tokens, which most vocabularies have at an end; see `vocab_high`."""

Row = dict[str, Any]
"""A result, ready to be printed as JSON."""

_WORDS = ("low", "medium", "high", "critical")

SCHEMA: Row = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "maxLength": 24},
        "summary": {"type": "string", "maxLength": 60},
        "age": {"type": "integer", "minimum": 0, "maximum": 999},
        "score": {"type": "integer", "minimum": 0, "maximum": 100000},
        "level": {"enum": list(_WORDS)},
        "active": {"type": "boolean"},
        "tags": {"type": "array", "items": {"type": "string", "maxLength": 12}, "minItems": 1, "maxItems": 5},
        "address": {
            "type": "object",
            "properties": {
                "street": {"type": "string", "maxLength": 30},
                "city": {"type": "string", "maxLength": 20},
                "zip": {"type": "integer", "minimum": 0, "maximum": 99999},
            },
            "required": ["street", "city", "zip"],
            "additionalProperties": False,
        },
    },
    "required": ["name", "summary", "age", "score", "level", "active", "tags", "address"],
    "additionalProperties": False,
}


@dataclass
class Out:
    """One request's answer: generated ids, seconds to the first one, prompt tokens served from the prefix cache, and
    whether a stop token ended it, which is not among the ids."""

    tokens: list[int]
    ttft: float | None = None
    cached: int | None = None
    stopped: bool = False


class EngineMissing(ImportError):
    """The engine to be measured is not installed."""

    def __init__(self, package: str, error: ImportError) -> None:
        super().__init__(f"--engine {package} needs the package {package}, which cannot be imported here: {error}")


class Adapter(Protocol):
    """One engine. `config` says what was set; random ids of the model that was started stay below `vocab_high`."""

    name: str
    version: str
    config: Row
    vocab_high: int

    def start(self, model_dir: str, prefix_cache: bool) -> None: ...

    def stop(self) -> None: ...

    def generate(
        self, prompts: list[list[int]], max_tokens: int | list[int], schema: Row | None = None
    ) -> Sequence[Out]:
        """Submit all prompts at once, greedy, and wait for all of them; ids never stop a request without a schema."""
        ...

    def flush(self) -> None:
        """Empty the prefix cache."""
        ...

    def cached_tokens(self) -> int | None:
        """Prompt tokens served from the prefix cache since the start, if the engine counts them."""
        ...

    def count_valid(self, outs: Sequence[Out], schema: Row) -> int:
        """Outputs that parse and validate."""
        ...


def vocab_high(model_dir: str) -> int:
    """Random ids stay below it: `VOCAB_HIGH`, or the size of a smaller vocabulary."""
    vocab_size: int = json.loads(Path(model_dir, "config.json").read_text())["vocab_size"]
    return min(VOCAB_HIGH, vocab_size)


def has_weights(model_dir: str) -> bool:
    return any(Path(model_dir).glob("*.safetensors"))


def has_tokenizer(model_dir: str) -> bool:
    return Path(model_dir, "tokenizer.json").is_file()


def num_valid(model_dir: str, outs: Sequence[Out], schema: Row) -> int:
    """Outputs whose text is JSON that `schema` accepts."""
    from jsonschema import Draft202012Validator
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(Path(model_dir, "tokenizer.json")))
    validator = Draft202012Validator(schema)
    valid = 0
    for out in outs:
        try:
            valid += validator.is_valid(json.loads(tokenizer.decode(out.tokens)))
        except json.JSONDecodeError:
            continue
    return valid


def ids(rng: random.Random, n: int, high: int = VOCAB_HIGH) -> list[int]:
    return [rng.randrange(VOCAB_LOW, high) for _ in range(n)]


def timed(
    engine: Adapter, prompts: list[list[int]], max_tokens: int | list[int], schema: Row | None = None
) -> tuple[Row, Sequence[Out]]:
    """One call of `generate`, measured."""
    cached_before = engine.cached_tokens()
    begun = time.perf_counter()
    outs = engine.generate(prompts, max_tokens, schema)
    seconds = time.perf_counter() - begun
    cached_after = engine.cached_tokens()
    n_in, n_out = sum(map(len, prompts)), sum(len(out.tokens) for out in outs)
    row: Row = {
        "requests": len(prompts),
        "in_tokens": n_in,
        "out_tokens": n_out,
        "seconds": round(seconds, 4),
        "out_tok_s": round(n_out / seconds, 1),
        "total_tok_s": round((n_in + n_out) / seconds, 1),
    }
    first = sorted(out.ttft for out in outs if out.ttft is not None)
    if first:
        row |= {"ttft_p50_s": round(first[len(first) // 2], 4), "ttft_max_s": round(first[-1], 4)}
    cached = None
    if cached_before is not None and cached_after is not None:
        cached = cached_after - cached_before
    elif outs[0].cached is not None:
        cached = sum(out.cached or 0 for out in outs)
    if cached is not None:
        row |= {"cached_tokens": cached, "hit_rate": round(cached / n_in, 4)}
    return row, outs


def w1(engine: Adapter, seed: int = 1) -> Row:
    """Throughput: 512 distinct requests, 512 in, 256 out."""
    rng = random.Random(seed)
    return timed(engine, [ids(rng, 512, engine.vocab_high) for _ in range(512)], 256)[0]


def w2(engine: Adapter, seed: int = 2) -> Row:
    """Single stream: 128 in, 512 out; inter-token latency from the difference of two lengths."""
    rng = random.Random(seed)
    prompt = ids(rng, 128, engine.vocab_high)
    one, _ = timed(engine, [ids(rng, 128, engine.vocab_high)], 1)
    row, _ = timed(engine, [prompt], 512)
    row["one_token_s"] = one["seconds"]
    row["mean_itl_ms"] = round(1e3 * (row["seconds"] - one["seconds"]) / 511, 4)
    return row


def w3(engine: Adapter, seed: int = 3) -> Row:
    """Shared prefix: 8 groups x 64 requests, 2048 shared + 64 own in, 64 out, groups interleaved."""
    rng = random.Random(seed)
    prefixes = [ids(rng, 2048, engine.vocab_high) for _ in range(8)]
    return timed(engine, [prefixes[i % 8] + ids(rng, 64, engine.vocab_high) for i in range(512)], 64)[0]


def w4(engine: Adapter, seed: int = 4, schema: Row = SCHEMA) -> Row:
    """JSON schema: 256 requests, 256 in, up to 256 out, grammar-masked; then unconstrained on the same prompts.

    A first constrained run compiles the grammar; of the unconstrained ones one is forced to 256 tokens, one each to the
    constrained run's own length.
    """
    rng = random.Random(seed)
    prompts = [ids(rng, 256, engine.vocab_high) for _ in range(256)]
    engine.flush()
    cold, _ = timed(engine, prompts, 256, schema)
    engine.flush()
    constrained, outs = timed(engine, prompts, 256, schema)
    lengths = [len(out.tokens) for out in outs]
    engine.flush()
    free, _ = timed(engine, prompts, 256)
    engine.flush()
    same, _ = timed(engine, prompts, lengths)
    constrained["out_len_min_mean_max"] = [min(lengths), round(sum(lengths) / len(lengths), 1), max(lengths)]
    constrained["valid_json"] = engine.count_valid(outs, schema)
    return {
        "constrained_first": cold,
        "constrained": constrained,
        "unconstrained_256": free,
        "unconstrained_same_lengths": same,
        "overhead_vs_same_lengths_pct": round(100 * (constrained["seconds"] / same["seconds"] - 1), 1),
    }


def w4_schema() -> Row:
    return SCHEMA


def w4u_schema() -> Row:
    """That of w4 with maxLength taken off the strings (outputs may then run into the limit)."""

    def strip(x: Any) -> Any:
        return {key: strip(value) for key, value in x.items() if key != "maxLength"} if isinstance(x, dict) else x

    schema: Row = strip(SCHEMA)
    return schema


def w4i_schema() -> Row:
    """No free string: enums, bounded integers, booleans, an array of enums, a nested object."""
    colours = _pick("red", "green", "blue", "yellow", "violet")
    return _object(
        kind=_pick("invoice", "receipt", "statement", "order"),
        currency=_pick("EUR", "USD", "GBP", "JPY", "CHF"),
        age=_range(999),
        score=_range(100000),
        level=_pick(*_WORDS),
        active={"type": "boolean"},
        tags=_array(colours, 3, 8),
        address=_object(zip=_range(99999), floor=_range(99), country=_pick("DE", "FR", "IT", "ES")),
    )


def w4u(engine: Adapter, seed: int = 4) -> Row:
    """w4 with maxLength taken off the strings."""
    return w4(engine, seed, w4u_schema())


def w4i(engine: Adapter, seed: int = 4) -> Row:
    """w4 with no free string."""
    return w4(engine, seed, w4i_schema())


def _pick(*values: str) -> Row:
    return {"enum": list(values)}


_SURNAMES = ("Kowalska", "Okafor", "Lindqvist", "Tanaka", "Moreau", "Haddad", "Silva", "Novak")
_TEXTS = (
    "The parcel came late and one corner of the box was torn open.",
    "Customer asks for a refund of the second order; see the note.",
    "Works as described. Battery lasts about two days of normal use.",
    "Meeting moved to Thursday, room 4.12; bring the signed forms.",
    "Pump 3 runs hot above 80 % load, bearing noise since Monday.",
    "Please forward to accounting: invoice total is wrong by 12.40.",
    "Great food, slow service, we waited forty minutes for a table.",
    "No answer on the phone twice; left a message with the desk.",
)


def _bounded(length: int) -> Row:
    return {"type": "string", "maxLength": length}


def _range(high: int) -> Row:
    return {"type": "integer", "minimum": 0, "maximum": high}


def _object(**properties: Any) -> Row:
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}


def _array(items: Row, low: int, high: int) -> Row:
    return {"type": "array", "items": items, "minItems": low, "maxItems": high}


DIVERGENT: tuple[Row, ...] = (
    SCHEMA,
    _object(
        ticket=_range(99999), title=_bounded(60), body=_bounded(120), reply=_bounded(150), urgent={"type": "boolean"}
    ),
    _object(
        vendor=_bounded(40), lines=_array(_object(item=_bounded(30), cents=_range(999999)), 1, 4), note=_bounded(80)
    ),
    _object(
        who=_bounded(30),
        stars={"enum": [1, 2, 3, 4, 5]},
        review=_bounded(120),
        answer=_bounded(120),
        tags=_array(_bounded(12), 2, 6),
    ),
    _object(steps=_array(_bounded(70), 4, 6), done={"type": "boolean"}),
    _object(
        machine=_bounded(16), level={"enum": list(_WORDS)}, report=_bounded(100), readings=_array(_range(500), 4, 12)
    ),
    _object(to=_bounded(40), subject=_bounded(50), text=_bounded(150), tags=_array(_bounded(12), 1, 5)),
    _object(
        place=_object(street=_bounded(30), city=_bounded(20), zip=_range(99999)), people=_array(_bounded(24), 4, 8)
    ),
)
"""The eight schemas of w4d: every string has a length, no two have the same shape."""


def document(rng: random.Random, schema: Row) -> Any:
    """A random value of one of these schemas."""
    match schema:
        case {"enum": values}:
            return rng.choice(values)
        case {"type": "object", "properties": properties}:
            return {name: document(rng, part) for name, part in properties.items()}
        case {"type": "array", "items": items, "minItems": low, "maxItems": high}:
            return [document(rng, items) for _ in range(rng.randint((low + high + 1) // 2, high))]
        case {"type": "string", "maxLength": length}:
            text = f"{rng.choice(_SURNAMES)} {rng.randrange(100)}: {rng.choice(_TEXTS)} {rng.choice(_TEXTS)}"
            return text[rng.randrange(12) :][: rng.randint(length // 2, length)]
        case {"type": "integer", "maximum": high}:
            return rng.randint(0, high)
        case {"type": "boolean"}:
            return rng.random() < 0.5
    raise ValueError(f"no value is made of {schema}")


def w5(engine: Adapter, seed: int = 5, conversations: int = 64, turns: int = 8) -> Row:
    """Agents: 64 conversations x 8 turns, +200 user tokens, 100 out; turns in lock step."""
    rng = random.Random(seed)
    histories: list[list[int]] = [[] for _ in range(conversations)]
    rows = []
    begun = time.perf_counter()
    for _ in range(turns):
        for history in histories:
            history += ids(rng, 200, engine.vocab_high)
        row, outs = timed(engine, [list(history) for history in histories], 100)
        rows.append(row)
        for history, out in zip(histories, outs, strict=True):
            history += list(out.tokens)
    seconds = time.perf_counter() - begun
    n_in, n_out = sum(row["in_tokens"] for row in rows), sum(row["out_tokens"] for row in rows)
    result: Row = {
        "seconds": round(seconds, 4),
        "in_tokens": n_in,
        "out_tokens": n_out,
        "out_tok_s": round(n_out / seconds, 1),
        "total_tok_s": round((n_in + n_out) / seconds, 1),
        "turn_seconds": [row["seconds"] for row in rows],
        "ttft_p50_s": [row.get("ttft_p50_s") for row in rows],
    }
    if "cached_tokens" in rows[0]:
        result["hit_rate"] = round(sum(row["cached_tokens"] for row in rows) / n_in, 4)
    return result


def w6(
    engine: Adapter,
    seed: int = 6,
    batches: Sequence[int] = (1, 8, 32, 64, 128, 256),
    context: int = 1024,
    n: int = 256,
    base: int = 64,
) -> Row:
    """Decode scaling: time(context in, base + n out) - time(the same, base out), over n steps.

    The prompt is cached by a first pass, so that both timed passes begin with next to no prefill.
    """
    rng = random.Random(seed)
    results = []
    for batch in batches:
        prompts = [ids(rng, context - base, engine.vocab_high) for _ in range(batch)]
        engine.flush()
        engine.generate(prompts, 1)
        timed(engine, prompts, base)
        short, _ = timed(engine, prompts, base)  # the second of two, so that both lengths start equally warm
        long, _ = timed(engine, prompts, base + n)
        step = (long["seconds"] - short["seconds"]) / n
        results.append({"batch": batch, "step_ms": round(step * 1e3, 4), "out_tok_s": round(batch / step, 1)})
    return {"context": f"{context}..{context + n}", "rows": results}


WORKLOADS: dict[str, Callable[[Adapter], Row]] = {
    "w1": w1,
    "w2": w2,
    "w3": w3,
    "w4": w4,
    "w4u": w4u,
    "w4i": w4i,
    "w5": w5,
    "w6": w6,
}
