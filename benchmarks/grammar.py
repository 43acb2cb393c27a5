"""Coverage, correctness and cost of grammars on real schemas: ramify, and each bare backend, through one harness.

    python benchmarks/grammar.py DATA [--sample 200] [--seed 0] [--limit 10] [--engines ramify llguidance xgrammar]

DATA is the folder `maskbench/data` of https://github.com/guidance-ai/jsonschemabench: files of a schema and instances,
each said to be valid or not. The sample is drawn by source, in proportion with a floor of five. Each engine runs in a
process of its own, which is replaced when it dies or does not answer within the limit: that is a crash or a hang.

`ramify` is the whole way of an engine, vetting included, with all narrowing off. The bare backends run with their
defaults, on the same vocabulary (made up: 131,072 words and JSON pieces), and with control tokens blanked. Instances
are written as `json.dumps` writes them. One that is refused is tried again with its keys in any other order the
grammar takes, and the second figure counts those refused then too: all engines generate keys in the schema's order.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import selectors
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from grammar_masks import greedy, made_up_vocabulary
from ramify.errors import RamifyError
from ramify.grammar.limits import EXACT, GrammarLimits
from ramify.grammar.vocabulary import Vocabulary

ENGINES = ("ramify", "llguidance", "xgrammar")
_MAX_MASKS = 200


class State(Protocol):
    """A place in a grammar, of any engine."""

    def accept(self, token_id: int) -> bool: ...

    def completed(self) -> bool: ...

    def fill(self) -> None: ...

    def fork(self) -> State: ...


Compile = Callable[[str], "Callable[[], State]"]


class Ours:
    def __init__(self, state: Any, row: Any) -> None:
        self._state, self._row = state, row

    def accept(self, token_id: int) -> bool:
        return bool(self._state.accept(token_id))

    def completed(self) -> bool:
        return bool(self._state.completed)

    def fill(self) -> None:
        self._state.fill_mask(self._row)

    def fork(self) -> Ours:
        return Ours(self._state.fork(), self._row)


def ramify(vocabulary: Vocabulary) -> Compile:
    from ramify.grammar.backends import make_backend
    from ramify.grammar.spec import JsonSchema
    from ramify.grammar.vetting import VettedBackend, VettingPool

    limits = GrammarLimits(narrowing=EXACT)
    pool = VettingPool(vocabulary, "auto", limits)
    backend = VettedBackend(make_backend(vocabulary, "auto", limits), pool, limits)
    pool.warm()
    row = np.empty(vocabulary.words, np.int32)

    def compile_(schema: str) -> Callable[[], State]:
        grammar = backend.compile(JsonSchema(schema))
        return lambda: Ours(grammar.state(), row)

    return compile_


class Bare:
    """A library's own matcher."""

    def __init__(self, accept: Any, completed: Any, fill: Any, fork: Any) -> None:
        self.accept, self.completed, self.fill, self.fork = accept, completed, fill, fork


class TokenTable:
    """The vocabulary as `llguidance.LLTokenizer` reads it; what a grammar forces is tokenized as the instances are."""

    is_tokenizer_wrapper = True
    bos_token_id = None

    def __init__(self, vocabulary: Vocabulary) -> None:
        self.tokens = list(vocabulary.tokens)
        self.eos_token_id = min(vocabulary.stop_ids)
        self.special_token_ids: list[int] = []
        self._vocabulary = vocabulary
        self._by_bytes = {token: token_id for token_id, token in enumerate(self.tokens) if token}

    def __call__(self, text: str | bytes) -> list[int]:
        data = text.encode() if isinstance(text, str) else bytes(text)
        ids = []
        while data:
            length = next(n for n in range(min(24, len(data)), 0, -1) if data[:n] in self._by_bytes)
            ids.append(self._by_bytes[data[:length]])
            data = data[length:]
        return ids


def llguidance(vocabulary: Vocabulary) -> Compile:
    import llguidance
    from llguidance.numpy import fill_next_token_bitmask

    tokenizer = llguidance.LLTokenizer(TokenTable(vocabulary), eos_token=sorted(vocabulary.stop_ids))
    row = np.empty((1, vocabulary.words), np.int32)

    def wrap(matcher: Any) -> State:
        def accept(token_id: int) -> bool:
            return bool(matcher.try_consume_tokens([token_id]))

        def fill() -> None:
            fill_next_token_bitmask(matcher, row, 0)

        return Bare(accept, matcher.is_accepting, fill, lambda: wrap(matcher.deep_copy()))

    def compile_(schema: str) -> Callable[[], State]:
        whitespace = {"whitespace_flexible": False, "item_separator": ", ", "key_separator": ": "}
        grammar = llguidance.LLMatcher.grammar_from_json_schema(schema, overrides=whitespace)
        matcher = llguidance.LLMatcher(tokenizer, grammar, log_level=0)
        if matcher.is_error():
            raise ValueError(matcher.get_error())
        return lambda: wrap(matcher.deep_copy())

    return compile_


def xgrammar(vocabulary: Vocabulary) -> Compile:
    import xgrammar

    stops = sorted(vocabulary.stop_ids)
    info = xgrammar.TokenizerInfo(
        list(vocabulary.tokens), xgrammar.VocabType.RAW, vocab_size=vocabulary.width, stop_token_ids=stops
    )
    compiler = xgrammar.GrammarCompiler(info, max_threads=1, cache_enabled=False)
    row = xgrammar.allocate_token_bitmask(1, vocabulary.width)

    def wrap(matcher: Any) -> State:
        def fill() -> None:
            matcher.fill_next_token_bitmask(row, 0)

        return Bare(matcher.accept_token, matcher.is_completed, fill, lambda: wrap(matcher.fork()))

    def compile_(schema: str) -> Callable[[], State]:
        compiled = compiler.compile_json_schema(schema, any_whitespace=False, separators=(", ", ": "))
        return lambda: wrap(xgrammar.GrammarMatcher(compiled))

    return compile_


# -- one file, in the engine's process


def measure(compile_: Compile, vocabulary: Vocabulary, byte_ids: Sequence[int], path: Path) -> dict[str, Any]:
    """What one schema came to: compile time, masks, and the instances that were judged wrongly."""
    data = json.loads(path.read_text())
    result: dict[str, Any] = {"masks": [], "valid": 0, "invalid": 0, "refused": 0, "unordered": 0, "accepted": 0}
    begin = time.perf_counter()
    try:
        start = compile_(json.dumps(data["schema"]))
    except (RamifyError, ValueError, RuntimeError) as error:
        return result | {"compile": time.perf_counter() - begin, "error": str(error)[:200]}
    result["compile"] = time.perf_counter() - begin
    for test in data["tests"]:
        text = json.dumps(test["data"], ensure_ascii=False)
        try:
            ids = greedy(vocabulary, text)
        except (StopIteration, UnicodeEncodeError):
            continue
        state = start()
        taken = True
        for token_id in ids:
            if len(result["masks"]) < _MAX_MASKS:
                begin = time.perf_counter()
                state.fill()
                result["masks"].append(time.perf_counter() - begin)
            if not state.accept(token_id):
                taken = False
                break
        taken = taken and state.completed()
        result["valid" if test["valid"] else "invalid"] += 1
        if test["valid"] and not taken:
            result["refused"] += 1
            ordered = Feeder(json.dumps(data["schema"]), byte_ids).fed(start(), test["data"])
            result["unordered"] += ordered is None or not ordered.completed()
        elif taken and not test["valid"]:
            result["accepted"] += 1
    return result


def _property_orders(node: Any) -> Iterator[list[str]]:
    """The keys of everything in a schema that may be a `properties`."""
    if isinstance(node, dict):
        if isinstance(properties := node.get("properties"), dict):
            yield list(properties)
        node = list(node.values())
    if isinstance(node, list):
        for part in node:
            yield from _property_orders(part)


class Feeder:
    """Feeds values with their keys in any order: first as the schema lists them, then by search, up to a bound."""

    def __init__(self, schema: str, byte_ids: Sequence[int]) -> None:
        self._orders = list(_property_orders(json.loads(schema)))
        self._byte_ids = byte_ids
        self._tries = 2_000

    def fed(self, state: State | None, value: Any) -> State | None:
        """The state after a value; None if no order that was tried is taken."""
        if isinstance(value, list):
            state = self._text(state, "[")
            for index, item in enumerate(value):
                state = self.fed(self._text(state, ", " if index else ""), item)
            return self._text(state, "]")
        if isinstance(value, dict):
            order = max(self._orders, key=lambda order: len(value.keys() & set(order)), default=[])
            names = [*(name for name in order if name in value), *(name for name in value if name not in order)]
            return self._members(self._text(state, "{"), value, names, "")
        return self._text(state, json.dumps(value, ensure_ascii=False))

    def _members(self, state: State | None, value: dict[str, Any], names: list[str], comma: str) -> State | None:
        if state is None or not names:
            return self._text(state, "}")
        for name in names:
            self._tries -= 1
            if self._tries < 0:
                return None
            after = self.fed(self._text(state.fork(), comma + json.dumps(name, ensure_ascii=False) + ": "), value[name])
            if after is not None:
                done = self._members(after, value, [other for other in names if other != name], ", ")
                if done is not None:
                    return done
        return None

    def _text(self, state: State | None, text: str) -> State | None:
        if state is None or not all(state.accept(self._byte_ids[byte]) for byte in text.encode()):
            return None
        return state


def serve(engine: str) -> None:
    """Read file names from stdin, write a line of JSON for each."""
    vocabulary = made_up_vocabulary()
    by_bytes = {token: token_id for token_id, token in enumerate(vocabulary.tokens)}
    byte_ids = [by_bytes[bytes((byte,))] for byte in range(256)]
    compile_ = {"ramify": ramify, "llguidance": llguidance, "xgrammar": xgrammar}[engine](vocabulary)
    if engine == "ramify":
        compile_('{"type": "array", "uniqueItems": false, "items": {"maxLength": 50000}}')  # its processes are warm now
    print("ready", flush=True)
    for line in sys.stdin:
        print(json.dumps(measure(compile_, vocabulary, byte_ids, Path(line.rstrip("\n")))), flush=True)


# -- the parent


class Process:
    """An engine in its process."""

    def __init__(self, engine: str) -> None:
        command = [sys.executable, "-P", __file__, "--serve", engine]
        self._popen = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, bufsize=1
        )
        if self._answer(300) != "ready":
            raise SystemExit(f"{engine} did not start")

    def ask(self, path: Path, limit: float) -> str:
        """A line of JSON, "hang" or "crash"."""
        assert self._popen.stdin is not None
        self._popen.stdin.write(f"{path}\n")
        return self._answer(limit)

    def _answer(self, limit: float) -> str:
        assert self._popen.stdout is not None
        with selectors.DefaultSelector() as selector:
            selector.register(self._popen.stdout, selectors.EVENT_READ)
            if not selector.select(limit):
                return "hang"
        return self._popen.stdout.readline().rstrip("\n") or "crash"

    def kill(self) -> None:
        self._popen.kill()
        self._popen.wait()


def draw(folder: Path, size: int, seed: int) -> list[Path]:
    """A sample by source."""
    sources: defaultdict[str, list[Path]] = defaultdict(list)
    for path in sorted(folder.glob("*.json")):
        sources[re.split(r"---|_(?:simple|parallel|multiple|java|javascript|sql)?_?\d", path.name)[0]].append(path)
    total = sum(map(len, sources.values()))
    rng = random.Random(seed)
    chosen = [
        path
        for paths in sources.values()
        for path in rng.sample(paths, min(len(paths), max(5, round(size * len(paths) / total))))
    ]
    rng.shuffle(chosen)
    return chosen[:size]


def run(engine: str, paths: Sequence[Path], limit: float) -> dict[str, list[dict[str, Any]]]:
    """The results of one engine: "done", "hang" and "crash"."""
    results: dict[str, list[dict[str, Any]]] = {"done": [], "hang": [], "crash": []}
    process = Process(engine)
    for path in paths:
        answer = process.ask(path, limit)
        if answer in results:
            results[answer].append({"path": path.name})
            process.kill()
            process = Process(engine)
        else:
            results["done"].append(json.loads(answer) | {"path": path.name})
    process.kill()
    return results


def quantile(figures: list[float], share: float) -> float:
    return sorted(figures)[min(len(figures) - 1, int(len(figures) * share))] if figures else float("nan")


def report(engine: str, results: dict[str, list[dict[str, Any]]], limit: float) -> list[str]:
    done = results["done"]
    compiled = [each for each in done if "error" not in each]
    times = [1e3 * each["compile"] for each in done] + [1e3 * limit] * len(results["hang"])
    masks = [1e6 * mask for each in compiled for mask in each["masks"]]
    with_valid = [each for each in compiled if each["valid"]]
    right = [each for each in compiled if each["valid"] + each["invalid"] and not each["refused"] + each["accepted"]]
    ordered = [
        each for each in compiled if each["valid"] + each["invalid"] and not each["unordered"] + each["accepted"]
    ]
    return [
        engine,
        f"{quantile(times, 0.5):.1f} / {quantile(times, 0.99):.0f} / {quantile(times, 1):.0f}",
        f"{quantile(masks, 0.5):.0f} / {quantile(masks, 0.99):.0f}",
        str(len(compiled)),
        str(len(done) - len(compiled)),
        f"{sum(each['refused'] > 0 for each in with_valid)} ({sum(each['unordered'] > 0 for each in with_valid)})"
        f" of {len(with_valid)}",
        f"{sum(each['accepted'] > 0 for each in compiled)} of {sum(each['invalid'] > 0 for each in compiled)}",
        f"{len(right)} ({len(ordered)})",
        str(len(results["crash"])),
        str(len(results["hang"])),
    ]


COLUMNS = [
    "engine",
    "compile ms p50 / p99 / max",
    "mask us p50 / p99",
    "compiled",
    "refused up front",
    "valid refused (in any key order)",
    "invalid accepted",
    "wholly right (in any key order)",
    "crashes",
    "hangs",
]


def main() -> None:
    if sys.argv[1:2] == ["--serve"]:
        serve(sys.argv[2])
        return
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("data", type=Path, help="the folder maskbench/data")
    parser.add_argument("--sample", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--limit", type=float, default=10.0, help="seconds for one schema and its instances")
    parser.add_argument("--engines", nargs="+", default=list(ENGINES), choices=ENGINES)
    parser.add_argument("--details", action="store_true", help="name the schemas that were judged wrongly")
    options = parser.parse_args()
    paths = draw(options.data, options.sample, options.seed)
    print(f"{len(paths)} schemas, seed {options.seed}, limit {options.limit:g} s a schema, one thread\n")
    print("| " + " | ".join(COLUMNS) + " |\n|" + "---|" * len(COLUMNS))
    for engine in options.engines:
        results = run(engine, paths, options.limit)
        print("| " + " | ".join(report(engine, results, options.limit)) + " |", flush=True)
        if options.details:
            for each in results["done"]:
                if each.get("error") or each["unordered"] or each["accepted"]:
                    print("   ", each["path"], each["unordered"], each["accepted"], each.get("error", "")[:150])


if __name__ == "__main__":
    main()
