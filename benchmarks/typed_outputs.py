"""Whether typed gens give what their types promise: 1,000 inputs for the gens of the examples, judged independently.

    python benchmarks/typed_outputs.py                 # 1,000 inputs, on one CPU thread
    python benchmarks/typed_outputs.py --inputs 100    # a quick look

Types, system prompts and limits are those of `examples/`; the texts come from the seeded generator that the bundled
model was trained with, held-out part. Where a text may not state what is asked, the model is far from what it knows,
and only the grammar keeps it to the type. Each input is answered four times, on forks that share its KV: at temperature
0 and 1, with the type and as free text. An answer is valid if `jsonschema` (draft 2020-12, which knows nothing of the
grammar backends) accepts it and it converts to the Python type. One that `max_tokens` cut is no value: its gen has
ended with `OutputInvalid`, and it is counted apart. Exits with 1 if a gen with a type gave anything invalid.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any, Literal, NamedTuple, TypedDict

import jsonschema
import msgspec
import ramify as rf
from ramify.errors import NodeError, OutputInvalid
from ramify.seedling.notation import describe
from ramify.seedling.training import agent, extraction, messages
from ramify.seedling.training.case import Turn, system, user
from ramify.seedling.training.draw import Draw, Split
from ramify.seedling.training.records import write

ROLES = {"system": rf.system, "user": rf.user, "assistant": rf.assistant, "tool": rf.tool}
MODES = [(typed, temperature) for typed in (True, False) for temperature in (0.0, 1.0)]


class Ticket(TypedDict):
    """A label as a field of JSON, which `examples/classification.py` chooses with `select`."""

    urgency: Literal["high", "medium", "low"]


def example(name: str) -> ModuleType:
    """One of the files in `examples/`, which are no package."""
    path = Path(__file__).resolve().parent.parent / "examples" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(f"examples_{name}", path)
    assert spec is not None and spec.loader is not None
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)  # annotations are looked up there
    spec.loader.exec_module(module)
    return module


class TypedGen(NamedTuple):
    """A typed gen of an example.

    Attributes:
        name: the example and the type.
        type: the Python type, or a JSON Schema.
        max_tokens: the example's limit.
        chat: turns in front of the gen, made from a seeded draw.
    """

    name: str
    type: Any
    max_tokens: int
    chat: Callable[[Draw], list[Turn]]

    @property
    def schema(self) -> dict[str, Any]:
        return rf.schema(self.type)


def text_with(d: Draw, domain: str, facts: tuple[str, ...]) -> str:
    """A text that states these facts of a record, items with their numbers, and sometimes other facts."""
    while True:
        record = extraction.DOMAINS[domain](d)
        items = record.facts["items"].value
        if record.facts.keys() >= set(facts) and isinstance(items, list) and isinstance(items[0], dict):
            text = write(d, record, [*facts, *d.sample(sorted(record.facts.keys() - set(facts)), d.pick((0, 1, 2)))])
            if set(text.stated) >= set(facts):
                return text.text


def typed_gens() -> list[TypedGen]:
    """The typed gens of the examples, and those that extract once more on texts that may not state what is asked."""
    order, receipt = example("demo").Order, example("extraction").Receipt
    total = example("receipts").Total
    action = example("agent")

    def extracting(name: str, type_: Any, max_tokens: int, role: str, domain: str, *facts: str) -> list[TypedGen]:
        ask = f"Extract JSON with fields: {describe(rf.schema(type_))}"

        def turns(text: str) -> list[Turn]:
            return [user(f"{ask}\n{text}")] if role == "user" else [system(ask), user(text)]

        return [
            TypedGen(name, type_, max_tokens, lambda d: turns(text_with(d, domain, facts))),
            TypedGen(f"{name}, unstated", type_, max_tokens, lambda d: turns(extraction.text_about(d, domain)[1].text)),
        ]

    def tickets(d: Draw) -> list[Turn]:
        text = messages.make(d, topic=d.chance(0.5), sentiment=False, urgency=True).text
        return [system(f"Extract JSON with fields: {describe(rf.schema(Ticket))}"), user(text)]

    def tools(d: Draw) -> list[Turn]:
        """A conversation with tools up to one of its assistant turns."""
        turns = [system(action.SYSTEM), *agent.case(d).turns[1:]]
        return turns[: d.pick([index for index, turn in enumerate(turns) if turn.role == "assistant"])]

    return [
        *extracting("demo: Order", order, 150, "user", "orders", "customer", "items", "total", "destination"),
        *extracting("extraction: Receipt", receipt, 200, "system", "receipts", "items", "total"),
        *extracting("receipts: Total", total, 30, "system", "receipts", "total"),
        TypedGen("urgency: Ticket", Ticket, 20, tickets),
        TypedGen("agent: ACTION", action.ACTION, 100, tools),
    ]


class Answer(NamedTuple):
    """What became of one gen: its text, or why it has none. `cut`: by `max_tokens`."""

    text: str | None
    cut: bool
    problem: str = ""


def answer_of(value: rf.Value[Any]) -> Answer:
    try:
        return Answer(value.text, value.finish_reason == "length")
    except NodeError as error:
        cause = error.__cause__
        cut = isinstance(cause, OutputInvalid) and cause.hint == "raise max_tokens="
        return Answer(None, cut, str(cause))


@rf.function
def answers(s: rf.State, chat: list[Turn], type: Any, max_tokens: int) -> list[Answer]:
    for turn in chat:
        s += ROLES[turn.role](turn.text)
    branches = s.fork(len(MODES))
    for branch, (typed, temperature) in zip(branches, MODES, strict=True):
        expr = rf.gen("out", type=type if typed else None, max_tokens=max_tokens, temperature=temperature)
        branch += rf.assistant(expr)
    return [answer_of(branch["out"]) for branch in branches]


def problem_of(gen: TypedGen, answer: Answer, validator: jsonschema.Draft202012Validator) -> str:
    """Why an answer is not of its type; "" for a valid one."""
    if answer.text is None:
        return answer.problem
    try:
        validator.validate(json.loads(answer.text))
        if not isinstance(gen.type, dict):
            msgspec.json.decode(answer.text, type=gen.type)
    except (ValueError, RecursionError, jsonschema.ValidationError) as error:
        return str(error).partition("\n")[0]
    return ""


def measure(engine: rf.Engine, gen: TypedGen, count: int, seed: int) -> list[Counter[str]]:
    """How many answers are valid, cut and invalid in each of the modes. Prints the first few invalid ones."""
    validator = jsonschema.Draft202012Validator(gen.schema, format_checker=jsonschema.FormatChecker())
    chats = [gen.chat(Draw(seed + index, Split.HELD_OUT)) for index in range(count)]
    rows = [{"chat": chat, "type": gen.type, "max_tokens": gen.max_tokens} for chat in chats]
    counts: list[Counter[str]] = [Counter() for _ in MODES]
    for item in answers.on(engine, seed=seed).batch(rows, limit=32):
        if item.value is None:
            raise item.error or AssertionError("a run ended without a value")
        for (typed, temperature), answer, counter in zip(MODES, item.value, counts, strict=True):
            problem = problem_of(gen, answer, validator)
            outcome = "valid" if not problem else "cut" if answer.cut else "invalid"
            counter[outcome] += 1
            if typed and outcome == "invalid" and counter["invalid"] <= 3:
                print(f"{gen.name}, input {item.index}, temperature {temperature}: {problem}: {answer.text!r}")
    return counts


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--inputs", type=int, default=1000, help="in all; each is answered four times")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--model", default="seedling")
    options = parser.parse_args()
    gens = typed_gens()
    totals: list[Counter[str]] = [Counter() for _ in MODES]
    titles = [f"{'typed' if typed else 'free text'}, T={temperature:g}" for typed, temperature in MODES]
    print(f"{'valid / answers':<29}", *(f"{title:>21}" for title in titles))
    begin, begin_cpu = time.perf_counter(), time.process_time()
    with rf.Engine(options.model, threads=1) as engine:
        for number, gen in enumerate(gens):
            count = len(range(number, options.inputs, len(gens)))
            counts = measure(engine, gen, count, options.seed + number * 1_000_003)
            for total, counter in zip(totals, counts, strict=True):
                total.update(counter)
            print(row(gen.name, counts), flush=True)
    print(row("all", totals))
    invalid = sum(total["invalid"] for (typed, _), total in zip(MODES, totals, strict=True) if typed)
    wall, cpu = time.perf_counter() - begin, time.process_time() - begin_cpu
    print(f"{invalid} invalid values with a type; {wall:.0f} s, {cpu:.0f} s of them on the CPU, with one torch thread")
    return 1 if invalid else 0


def row(name: str, counts: list[Counter[str]]) -> str:
    cells = [f"{count['valid']} / {count.total()}" + f", {count['cut']} cut" * bool(count["cut"]) for count in counts]
    return " ".join([f"{name:<29}", *(f"{cell:>21}" for cell in cells)])


if __name__ == "__main__":
    sys.exit(main())
