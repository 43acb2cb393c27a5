"""Coverage, correctness and cost of grammars on real schemas: ramify, and each bare backend, through one harness.

    python benchmarks/grammar.py DATA [--sample 600] [--seed 0] [--apart-from SEED] [--first N] [--limit 10]
        [--tokenizer FILE] [--engines ramify llguidance xgrammar xgrammar-lax outlines-core] [--details]

DATA is the folder `maskbench/data` of https://github.com/guidance-ai/jsonschemabench: files of a schema and instances,
each said to be valid or not. The sample is drawn by source, in proportion with a floor of ten. `--apart-from` leaves
out what another seed draws: rewritings are judged on schemas not looked at while they were written. Each engine
runs in a process of its own, which is replaced when it dies or does not answer within the limit: a crash or a hang.

`ramify` is the whole way of an engine, vetting included, with all narrowing off. The bare backends
(`grammar_engines.py`) run with their defaults, on the same vocabulary: that of a `tokenizer.json` or of Mistral's
`tekken.json` (its package mistral-common has one), or a made-up one of 131,072 words and JSON pieces. Texts are
tokenized longest token first. Instances are written as `json.dumps` writes them. One that is refused is tried again
with its keys in any other order the grammar takes, and the second figure counts those refused then too: all engines
generate keys in the schema's order.
"""

from __future__ import annotations

import argparse
import json
import selectors
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

from grammar_engines import ENGINES, Compile, State, TokenTable
from maskbench import draw
from ramify.errors import RamifyError
from vocabularies import load_vocabulary

_MAX_MASKS = 200
_SEARCH_SECONDS = 1.0  # for an order of keys that a grammar takes


# -- one file, in the engine's process


def measure(compile_: Compile, tokenize: TokenTable, byte_ids: Sequence[int], path: Path) -> dict[str, Any]:
    """What one schema came to: compile time, masks, and the instances that were judged wrongly."""
    data = json.loads(path.read_text())
    result: dict[str, Any] = {"masks": [], "valid": 0, "invalid": 0, "refused": 0, "unordered": 0, "accepted": 0}
    begin = time.perf_counter()
    try:
        start = compile_(json.dumps(data["schema"]))
    except (RamifyError, ValueError, RuntimeError) as error:
        return result | {"compile": time.perf_counter() - begin, "error": " ".join(str(error).split())[:300]}
    result["compile"] = time.perf_counter() - begin
    for test in data["tests"]:
        text = json.dumps(test["data"], ensure_ascii=False)
        try:
            ids = tokenize(text)
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
    """Feeds values with their keys in any order: first as the schema lists them, then by search, for a second."""

    def __init__(self, schema: str, byte_ids: Sequence[int]) -> None:
        self._orders = list(_property_orders(json.loads(schema)))
        self._ranks = {name: rank for rank, name in enumerate(dict.fromkeys(chain(*self._orders)))}
        self._byte_ids = byte_ids
        self._end = time.monotonic() + _SEARCH_SECONDS

    def fed(self, state: State | None, value: Any) -> State | None:
        """The state after a value; None if no order that was tried is taken."""
        if isinstance(value, list):
            state = self._text(state, "[")
            for index, item in enumerate(value):
                state = self.fed(self._text(state, ", " if index else ""), item)
            return self._text(state, "]")
        if isinstance(value, dict):
            order = max(self._orders, key=lambda order: len(value.keys() & set(order)), default=[])
            others = sorted(
                (name for name in value if name not in order), key=lambda name: self._ranks.get(name, 10**6)
            )
            names = [*(name for name in order if name in value), *others]
            return self._members(self._text(state, "{"), value, names, "")
        return self._text(state, json.dumps(value, ensure_ascii=False))

    def _members(self, state: State | None, value: dict[str, Any], names: list[str], comma: str) -> State | None:
        if state is None or not names:
            return self._text(state, "}")
        for name in names:
            if time.monotonic() > self._end:
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


def serve(engine: str, tokenizer: Path | None) -> None:
    """Read file names from stdin, write a line of JSON for each."""
    vocabulary = load_vocabulary(tokenizer)
    tokenize = TokenTable(vocabulary)
    byte_ids = [tokenize(bytes((byte,)))[0] for byte in range(256)]
    compile_ = ENGINES[engine](vocabulary)
    print("ready", flush=True)
    for line in sys.stdin:
        print(json.dumps(measure(compile_, tokenize, byte_ids, Path(line.rstrip("\n")))), flush=True)


# -- the parent


class Process:
    """An engine in its process."""

    def __init__(self, engine: str, tokenizer: Path | None) -> None:
        command = [sys.executable, __file__, "--serve", engine, *([str(tokenizer)] if tokenizer else [])]
        self._popen = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, bufsize=1
        )
        if self._answer(900) != "ready":
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


def run(
    engine: str, paths: Sequence[Path], limit: float, tokenizer: Path | None = None
) -> dict[str, list[dict[str, Any]]]:
    """The results of one engine: "done", "hang" and "crash"."""
    results: dict[str, list[dict[str, Any]]] = {"done": [], "hang": [], "crash": []}
    process = Process(engine, tokenizer)
    for path in paths:
        answer = process.ask(path, limit)
        if answer in results:
            results[answer].append({"path": path.name})
            process.kill()
            process = Process(engine, tokenizer)
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
    judged = [each for each in compiled if each["valid"] + each["invalid"]]

    def right(refused: str) -> int:
        return sum(not each[refused] + each["accepted"] for each in judged)

    def schemas(wrong: str, kind: str) -> str:
        return f"{sum(each[wrong] > 0 for each in compiled)} of {sum(each[kind] > 0 for each in compiled)}"

    def instances(wrong: str, kind: str) -> str:
        return f"{sum(each[wrong] for each in compiled)} of {sum(each[kind] for each in compiled)}"

    return [
        engine,
        str(len(done) + len(results["hang"]) + len(results["crash"])),
        f"{quantile(times, 0.5):.1f} / {quantile(times, 0.99):.0f} / {quantile(times, 1):.0f}",
        f"{quantile(masks, 0.5):.0f} / {quantile(masks, 0.99):.0f}",
        str(len(done) - len(compiled)),
        schemas("refused", "valid"),
        schemas("unordered", "valid"),
        instances("refused", "valid"),
        instances("unordered", "valid"),
        schemas("accepted", "invalid"),
        instances("accepted", "invalid"),
        f"{right('refused')} ({right('unordered')})",
        str(len(results["crash"])),
        str(len(results["hang"])),
    ]


COLUMNS = [
    "engine",
    "schemas",
    "compile ms p50 / p99 / max",
    "mask us p50 / p99",
    "refused up front",
    "schemas: valid refused",
    "in any key order",
    "instances: valid refused",
    "in any key order",
    "schemas: invalid accepted",
    "instances: invalid accepted",
    "wholly right (in any key order)",
    "crashes",
    "hangs",
]


def main() -> None:
    if sys.argv[1:2] == ["--serve"]:
        serve(sys.argv[2], Path(sys.argv[3]) if sys.argv[3:] else None)
        return
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("data", type=Path, help="the folder maskbench/data")
    parser.add_argument("--sample", type=int, default=600)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--apart-from", type=int, metavar="SEED", help="without the sample of this seed")
    parser.add_argument("--first", type=int, help="only the first so many of the sample, for slow engines")
    parser.add_argument("--limit", type=float, default=10.0, help="seconds for one schema and its instances")
    parser.add_argument("--tokenizer", type=Path, help="a tokenizer.json or a tekken.json")
    parser.add_argument("--engines", nargs="+", default=["ramify", "llguidance", "xgrammar"], choices=list(ENGINES))
    parser.add_argument("--details", action="store_true", help="name the schemas that were judged wrongly")
    options = parser.parse_args()
    without = () if options.apart_from is None else set(draw(options.data, options.sample, options.apart_from))
    paths = draw(options.data, options.sample, options.seed, without)[: options.first]
    apart = "" if options.apart_from is None else f" apart from seed {options.apart_from}"
    print(f"{len(paths)} schemas, seed {options.seed}{apart}, limit {options.limit:g} s a schema, one thread\n")
    print("| " + " | ".join(COLUMNS) + " |\n|" + "---|" * len(COLUMNS))
    for engine in options.engines:
        results = run(engine, paths, options.limit, options.tokenizer)
        print("| " + " | ".join(report(engine, results, options.limit)) + " |", flush=True)
        if options.details:
            for outcome in ("hang", "crash"):
                for each in results[outcome]:
                    print("   ", each["path"], outcome)
            for each in results["done"]:
                if each.get("error") or each["refused"] or each["accepted"]:
                    counts = (each["refused"], each["unordered"], each["accepted"])
                    print("   ", each["path"], *counts, f"{1e3 * each['compile']:.0f} ms", each.get("error", ""))


if __name__ == "__main__":
    main()
