"""The rows w4, w4u, w4i and w4d of `serving.py`: generation under schemas against our own run without, same lengths.

Every schema goes through the engine's own parts: router, compile cache, mask threads, pinned buffers. The runs of a
pair alternate: without a grammar, with caches cold (grammars compiled anew), with caches warm. Prompts are cached by a
first pass, so next to nothing but decoding is timed, where a mask can be in the way; outputs of w4, w4u and w4i end at
`OUTPUT` tokens.

In w4d the texts are scripted, so that rows are never at the same place: each request has a document of its own under
one of eight schemas, and requests arrive in eight waves. A scripted row makes its whole mask like any other; only then
all tokens but the next one of its text are taken out of it.

The random weights know no language: what the tokenizer is matters to the masks alone.
"""

from __future__ import annotations

import json
import random
import statistics
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

import jsonschema
from ramify.errors import InvalidSchema
from ramify.grammar.backends import make_backend
from ramify.grammar.compile import GrammarCompiler
from ramify.grammar.fill import Filled, MaskMade, MaskRequest
from ramify.grammar.fill_pool import MaskPool
from ramify.grammar.spec import JsonSchema
from ramify.grammar.state import CompiledGrammar, GrammarState
from ramify.grammar.vocabulary import Vocabulary
from ramify.runtime.core.messages import CoreInput, GrammarReady
from vocabularies import Greedy
from workloads import DIVERGENT, Row, document, ids, w4_schema, w4i_schema, w4u_schema

if TYPE_CHECKING:
    from ramify.grammar.state import MaskRow, MaskRows
    from serving import Engine

Put: TypeAlias = Callable[[CoreInput], None]

OUTPUT = 96
WAVE = 32
"""Requests of w4d that arrive together."""
WAVE_STEPS = 4
"""Steps from one wave to the next."""


class WatchedPool(MaskPool):
    """A `MaskPool` that notes how long each step's masks took and how many were late, and holds requests to scripts.

    Attributes:
        scripts: by node, the state and the text of a scripted request: of its masks only the next token is left.
    """

    def __init__(self, words: int, on_made: Callable[[MaskMade], None]) -> None:
        super().__init__(words, lambda made: on_made(self._scripted(made)))
        self.scripts: dict[tuple[int, int], tuple[GrammarState, list[int]]] = {}
        self.seconds: list[float] = []
        self.late = 0

    def fill(self, requests: Sequence[MaskRequest], out_RW: MaskRows, patience: float) -> Filled:
        begun = time.perf_counter()
        filled = super().fill(requests, out_RW, patience)
        if requests:
            self.seconds.append(time.perf_counter() - begun)
            self.late += len(filled.late)
        if self.scripts:
            missing = {*filled.late, *filled.errors}
            for index, request in enumerate(requests):
                if index not in missing:
                    self._leave_next(request.key, out_RW[index])
        return filled

    def _scripted(self, made: MaskMade) -> MaskMade:
        if made.mask is not None and made.key in self.scripts:
            self._leave_next(made.key, made.mask)
        return made

    def _leave_next(self, key: tuple[int, int], mask: MaskRow) -> None:
        state, ids = self.scripts[key]
        word, bit = divmod(ids[state.num_accepted], 32)
        only = int(mask[word]) & (1 << bit if bit < 31 else -(1 << 31))
        if not only:
            raise InvalidSchema(f"the script's token {ids[state.num_accepted]} is not in the mask")
        mask.fill(0)
        mask[word] = only


@dataclass
class Case:
    """Requests of one row: prompts, a schema for each, and the text that each writes if that is given."""

    prompts: list[list[int]]
    schemas: list[Row]
    scripts: list[list[int]] | None = None
    at_once: int = 1 << 30
    lengths: list[int] = field(default_factory=list)


class Grammars:
    """Compiles as the engine does, but for the vetting process in front."""

    def __init__(self, vocabulary: Vocabulary, scripts: dict[tuple[int, int], tuple[GrammarState, list[int]]]) -> None:
        self._scripts = scripts
        self._backend = make_backend(vocabulary)
        self._executor = ThreadPoolExecutor(4)
        self.forget()

    def forget(self) -> None:
        """Make the caches cold."""
        self._compiler = GrammarCompiler(self._backend, self._executor, clock=time.monotonic)

    def begin(self, case: Case, nodes: Sequence[tuple[int, int]], part: slice, put: Put) -> None:
        """Compile the schemas of some requests, on a thread as lowering does; what becomes of them goes to `put`."""
        self._executor.submit(self._begin, case, nodes, part, put)

    def _begin(self, case: Case, nodes: Sequence[tuple[int, int]], part: slice, put: Put) -> None:
        for index in range(len(nodes))[part]:
            script = case.scripts[index] if case.scripts is not None else None
            future = self._compiler.compile(JsonSchema(json.dumps(case.schemas[index])))
            future.add_done_callback(partial(self._ready, nodes[index], script, put))

    def _ready(
        self,
        node: tuple[int, int],
        script: list[int] | None,
        put: Put,
        future: Future[CompiledGrammar],
    ) -> None:
        state = future.result().state()
        if script is not None:
            self._scripts[node] = (state, script)
        put(GrammarReady(node, state))


def run_case(engine: Engine, case: Case, grammars: Grammars | None) -> tuple[float, list[list[int]], list[int]]:
    """Seconds, ids, and how many tokens each request sampled; without `grammars` each samples as many as before."""
    limits = [OUTPUT] * len(case.prompts) if grammars is not None else case.lengths
    if grammars is not None and case.scripts is not None:
        limits = [len(script) for script in case.scripts]
    nodes, batches = engine.requests(case.prompts, limits, case.at_once, grammar=grammars is not None)

    def sent(index: int) -> None:
        if grammars is not None:
            grammars.begin(case, nodes, slice(index * case.at_once, (index + 1) * case.at_once), engine.put)

    engine.pool.scripts.clear()
    begun = time.perf_counter()
    outs = engine.drive(nodes, batches, sent, every=WAVE_STEPS)
    seconds = time.perf_counter() - begun
    return seconds, [out.tokens for out in outs], [len(out.tokens) + out.stopped for out in outs]


def compare(engine: Engine, case: Case, pairs: int) -> Row:
    """Cold and warm against without, in alternating runs."""
    grammars, pool = engine.grammars, engine.pool
    # The first run caches the prompts, and says how long the outputs are.
    _, tokens, case.lengths = run_case(engine, case, grammars)
    valid, whole = count_valid(case, tokens, case.lengths, engine.vocabulary)
    times: dict[str, list[float]] = {"without": [], "cold": [], "warm": []}
    fills: dict[str, list[float]] = {"cold": [], "warm": []}
    late = {"cold": 0, "warm": 0}
    for _ in range(pairs):
        times["without"].append(run_case(engine, case, None)[0])
        for name in ("cold", "warm"):
            if name == "cold":
                grammars.forget()
            pool.seconds, pool.late = [], 0
            times[name].append(run_case(engine, case, grammars)[0])
            fills[name] += pool.seconds
            late[name] += pool.late
    row: Row = {
        "requests": len(case.prompts),
        "out_tokens": sum(case.lengths),
        "valid": f"{valid} of {whole} that ended",
        "without_s": round(statistics.median(times["without"]), 4),
        "out_tok_s": round(sum(case.lengths) / statistics.median(times["without"]), 1),
    }
    for name in ("cold", "warm"):
        ratios = sorted(100 * (with_ / out - 1) for with_, out in zip(times[name], times["without"], strict=True))
        steps = sorted(fills[name])
        row |= {
            f"{name}_slower_pct": round(statistics.median(ratios), 2),
            f"{name}_all_pct": [round(ratio, 2) for ratio in ratios],
            f"{name}_fill_ms_p50_p99_max": [
                round(1e3 * steps[min(len(steps) - 1, int(len(steps) * share))], 3) for share in (0.5, 0.99, 1.0)
            ],
            f"{name}_late_rows": late[name],
        }
    return row


def count_valid(case: Case, tokens: list[list[int]], lengths: list[int], vocabulary: Vocabulary) -> tuple[int, int]:
    """How many outputs validate under another library, of those that ended by themselves."""
    ended = [
        (schema, b"".join(vocabulary.tokens[token] for token in ids))
        for schema, ids, length in zip(case.schemas, tokens, lengths, strict=True)
        if length > len(ids)
    ]
    return sum(_validates(schema, text) for schema, text in ended), len(ended)


def _validates(schema: Row, text: bytes) -> bool:
    try:
        jsonschema.Draft202012Validator(schema).validate(json.loads(text))
    except (ValueError, jsonschema.ValidationError):
        return False
    return True


def same_schema(schema: Row) -> Callable[..., Row]:
    """A row whose requests all have one schema and write what the model says."""

    def row(engine: Engine, requests: int = 256, pairs: int = 5, prompt: int = 256) -> Row:
        rng = random.Random(4)
        return compare(
            engine, Case([ids(rng, prompt, engine.vocab_high) for _ in range(requests)], [schema] * requests), pairs
        )

    return row


def w4d(engine: Engine, requests: int = 256, pairs: int = 5, prompt: int = 256) -> Row:
    """Eight schemas, scripted texts, staggered arrivals."""
    rng = random.Random(4)
    prompts = [ids(rng, prompt, engine.vocab_high) for _ in range(requests)]
    schemas = [DIVERGENT[index % len(DIVERGENT)] for index in range(requests)]
    greedy, stop = Greedy(engine.vocabulary), min(engine.vocabulary.stop_ids)
    scripts = [[*greedy.encode(json.dumps(document(rng, schema))), stop] for schema in schemas]
    return compare(engine, Case(prompts, schemas, scripts, at_once=WAVE), pairs)


CONSTRAINED: dict[str, Callable[..., Row]] = {
    "w4": same_schema(w4_schema()),
    "w4u": same_schema(w4u_schema()),
    "w4i": same_schema(w4i_schema()),
    "w4d": w4d,
}


def table_lines(name: str, row: dict[str, Any]) -> list[tuple[str, float, float]]:
    """What `serving.py` prints of a row."""
    return [(f"{name} {caches} slower %", row[f"{caches}_slower_pct"], 0.0) for caches in ("cold", "warm")]
