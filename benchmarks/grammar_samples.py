"""Whether everything that an engine generates under real schemas is valid: a random model at a high temperature.

    python benchmarks/grammar_samples.py DATA [--schemas 500] [--each 20] [--temperature 1.5] [--seed 0]

DATA is a folder of files with a schema each, as for `grammar.py`. A small Llama with random weights and the bundled
model's tokenizer (byte-level, so that characters are split over tokens) runs in the engine, masks and all, and writes
`--each` outputs for each of the first `--schemas` schemas that are accepted. A random model ends nothing of its own
accord, so what a schema leaves open is bounded here: strings to 12 characters, numbers to 10^6 with three digits after
the point, arrays to three items, no keys but those listed where some are, scalars where nothing is said of a value. An
output that `max_tokens` cuts is no value: it is counted apart and drawn again, with a larger limit each time.

Each finished output is judged by `jsonschema` against the schema as it was written, under the draft that it names, with
that draft's format checker; and by `jsonschema-rs` where that is installed. A validator that cannot read a schema (a
pattern of ECMA-262 that Python's `re` refuses) does not judge it; an output that none judges is counted. Exits with 1
if a validator refuses an output.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jsonschema
import ramify as rf
from maskbench import draw
from ramify import seedling
from ramify.errors import InvalidSchema, NodeError, OutputInvalid
from ramify.grammar.backends import make_backend
from ramify.grammar.limits import GrammarLimits, Narrowing, VettingLimits
from ramify.grammar.spec import JsonSchema
from ramify.grammar.vocabulary import Vocabulary
from tokenizers import Tokenizer

LIMITS = GrammarLimits(
    narrowing=Narrowing(string_length=12, integer=10**6, number=10**6, fraction_digits=3, items=3, free=False)
)
_ROUNDS = 4
_AT_ONCE = 8
Judge = Callable[[Any], str]
"""Why a validator refuses a value; "" if it does not. Raises anything where it cannot read the schema."""


class Drawn(NamedTuple):
    """Outputs of one schema.

    Attributes:
        texts: those that ended.
        cut: how many `max_tokens` cut.
        refusal: why the schema was refused, or "".
    """

    texts: list[str]
    cut: int
    refusal: str


def random_model(directory: Path) -> None:
    """A Llama of two small layers for the bundled tokenizer; its weights are drawn when it is loaded."""
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(seedling.path() / name, directory / name)
    config = {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "vocab_size": Tokenizer.from_file(str(directory / "tokenizer.json")).get_vocab_size(),
        "max_position_embeddings": 8192,
        "rms_norm_eps": 1e-5,
        "rope_theta": 10000.0,
        "tie_word_embeddings": True,
        "hidden_act": "silu",
    }
    (directory / "config.json").write_text(json.dumps(config))


@rf.function
def outputs(s: rf.State, schema: dict[str, Any], count: int, max_tokens: int, temperature: float) -> Drawn:
    """Outputs of one schema, side by side."""
    s += "{"
    branches = s.fork(count)
    for branch in branches:
        branch += rf.gen("out", type=schema, max_tokens=max_tokens, temperature=temperature)
    texts, cut = [], 0
    for branch in branches:
        try:
            texts.append(branch["out"].text)
        except NodeError as error:
            cause = error.__cause__
            if isinstance(cause, InvalidSchema):
                return Drawn([], 0, str(cause))
            if not isinstance(cause, OutputInvalid) or cause.hint != "raise max_tokens=":
                raise
            cut += 1
    return Drawn(texts, cut, "")


def judges(schema: Any) -> list[Judge]:
    """The validators that are installed, for one schema."""
    validator_type = jsonschema.validators.validator_for(schema, default=jsonschema.Draft202012Validator)
    slow = validator_type(schema, format_checker=validator_type.FORMAT_CHECKER)
    found: list[Judge] = [lambda value: "; ".join(error.message[:200] for error in slow.iter_errors(value))]
    if importlib.util.find_spec("jsonschema_rs") is not None:
        import jsonschema_rs

        fast: list[Any] = []

        def judge(value: Any) -> str:
            if not fast:
                fast.append(jsonschema_rs.validator_for(schema, validate_formats=True))
            return "; ".join(error.message[:200] for error in fast[0].iter_errors(value))

        found.append(judge)
    return found


def judged(schema: Any, texts: list[str]) -> Counter[str]:
    """How the outputs of a schema were judged; prints those that were refused."""
    counts: Counter[str] = Counter()
    validators = judges(schema)
    for text in texts:
        try:
            value = json.loads(text)
        except ValueError as error:
            validators, problems = [], [f"not JSON: {error}"]
        else:
            problems = []
            for judge in list(validators):
                try:
                    problems.append(judge(value))
                except Exception:  # whatever a library raises on a schema that it cannot read
                    validators.remove(judge)
        refusals = [problem for problem in problems if problem]
        counts["refused" if refusals else f"by {len(problems)}"] += 1
        if refusals:
            print(f"refused: {refusals[0]}\n  {text[:300]!r}\n  {json.dumps(schema)[:300]}", flush=True)
    return counts


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="the folder maskbench/data")
    parser.add_argument("--schemas", type=int, default=500)
    parser.add_argument("--each", type=int, default=20, help="outputs of each schema")
    parser.add_argument("--temperature", type=float, default=1.5)
    parser.add_argument(
        "--max-tokens", type=int, default=400, help="of the first draw; twice as many for each that follows"
    )
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    begin = time.perf_counter()
    with tempfile.TemporaryDirectory() as directory:
        random_model(Path(directory))
        schemas, refused = accepted(options.data, options.schemas, options.seed, Path(directory))
        print(f"{len(schemas)} schemas accepted, {refused} refused before them", flush=True)
        with rf.Engine(
            directory,
            load_format="dummy",
            device="cpu",
            threads=1,
            max_rows=160,
            grammar_limits=LIMITS,
            vetting_limits=VettingLimits(niceness=0, queue_seconds=60, wall_seconds=60, start_seconds=600),
        ) as engine:
            finished, cut = generate(engine, schemas, options)
    generated = time.perf_counter() - begin
    counts = sum((judged(schema, texts) for schema, texts in zip(schemas, finished, strict=True)), Counter[str]())
    texts = [text for each in finished for text in each]
    short = sum(len(each) < options.each for each in finished)
    print(f"{len(texts)} outputs, {sum(map(len, texts))} characters, the longest {max(map(len, texts))}")
    print(
        f"{cut} more were cut, at {options.max_tokens} tokens or above; {short} schemas have fewer outputs than asked"
    )
    print(", ".join(f"{name}: {count}" for name, count in sorted(counts.items())))
    print(f"{generated:.0f} s to generate, {time.perf_counter() - begin - generated:.0f} s to judge, one torch thread")
    return 1 if counts["refused"] else 0


def accepted(data: Path, count: int, seed: int, model: Path) -> tuple[list[Any], int]:
    """The first schemas of a sample that compile, and how many were refused before they were enough."""
    tokenizer = (model / "tokenizer.json").read_bytes()
    width = json.loads((model / "config.json").read_text())["vocab_size"]
    stop = json.loads(tokenizer)["added_tokens"][0]["id"]
    backend = make_backend(Vocabulary.from_json(tokenizer, width=width, stop_ids=[stop]), limits=LIMITS)
    schemas: list[Any] = []
    refused = 0
    for path in draw(data, count * 3 // 2, seed):
        schema = json.loads(path.read_text())["schema"]
        try:
            backend.plan(JsonSchema(json.dumps(schema)))
        except InvalidSchema:
            refused += 1
            continue
        schemas.append(schema)
        if len(schemas) == count:
            break
    return schemas, refused


def generate(engine: rf.Engine, schemas: list[Any], options: argparse.Namespace) -> tuple[list[list[str]], int]:
    """Finished outputs of each schema, and how many were cut."""
    finished: list[list[str]] = [[] for _ in schemas]
    cut = 0
    for number in range(_ROUNDS):
        missing = [index for index, texts in enumerate(finished) if len(texts) < options.each]
        rows = [
            {
                "schema": schemas[index],
                "count": options.each - len(finished[index]),
                "max_tokens": options.max_tokens << number,
                "temperature": options.temperature,
            }
            for index in missing
        ]
        for item in outputs.on(engine, seed=options.seed + number).batch(rows, limit=_AT_ONCE, progress=False):
            if item.value is None:
                raise item.error or AssertionError("a run ended without a value")
            index = missing[item.index]
            finished[index] += item.value.texts
            cut += item.value.cut
            if item.value.refusal:
                print(f"refused by the engine: {item.value.refusal[:300]}", flush=True)
    return finished, cut


if __name__ == "__main__":
    sys.exit(main())
