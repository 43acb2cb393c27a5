"""What the model card claims, measured: held-out cases of the five tasks, greedy, with and without their grammar.

`extraction`, `classification`, `facts` and `correction` are right when the whole last answer equals the gold value;
`agent` when the final answer does, with the tools really executed over at most four turns.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from . import mixture
from .agent import MAX_STEPS
from .case import Case, Turn, gold, tool
from .chat import render
from .decode import Greedy, grammar_of, parse, same
from .draw import Split
from .tools import call

BEGIN, FINISH = "<!-- evaluation -->", "<!-- /evaluation -->"
GOALS = {"extraction": 0.95, "classification": 0.97, "agent": 0.90, "facts": 0.95, "correction": 0.90}
DRAFT_GOAL = 0.70


@dataclass(frozen=True)
class Outcome:
    """One task of one split: shares of cases."""

    right: float
    valid_json: float
    prompts: list[list[int]]
    answers: list[list[int]]


@dataclass(frozen=True)
class Row:
    """A line of the table. `novel` is None when that split was not run."""

    task: str
    cases: int
    right: float
    right_without: float
    valid_without: float
    agreement: float
    novel: float | None


def judge(model: Greedy, cases: Sequence[Case], constrained: bool) -> Outcome:
    """Answer the last turn of each case and compare it with the gold value."""
    if cases[0].task == "agent":
        return _judge_agent(model, cases, constrained)
    prompts = [model.encode(render(case.turns[:-1], prompt=True)) for case in cases]
    answers = model.answers(prompts, [grammar_of(case) if constrained else None for case in cases])
    right = valid = structured = 0
    for case, ids in zip(cases, answers, strict=True):
        text = model.decode(ids)
        if case.schema is None:
            right += text == case.value
            continue
        structured += 1
        is_json, value = parse(text)
        valid += is_json
        right += is_json and same(value, case.value)
    return Outcome(right / len(cases), valid / max(1, structured), prompts, answers)


def _judge_agent(model: Greedy, cases: Sequence[Case], constrained: bool) -> Outcome:
    """Play every case to its answer; a turn that is no call and no answer ends it."""
    grammar = grammar_of(cases[0]) if constrained else None
    talks: list[list[Turn]] = [list(case.turns[:2]) for case in cases]
    active = list(range(len(cases)))
    all_prompts: list[list[int]] = []
    all_answers: list[list[int]] = []
    right = valid = 0
    for _ in range(MAX_STEPS):
        prompts = [model.encode(render(talks[number], prompt=True)) for number in active]
        answers = model.answers(prompts, [grammar] * len(active))
        all_prompts += prompts
        all_answers += answers
        going_on = []
        for number, ids in zip(active, answers, strict=True):
            text = model.decode(ids)
            is_json, value = parse(text)
            valid += is_json
            if not isinstance(value, dict):
                continue
            if "answer" in value:
                right += value["answer"] == cases[number].value
            elif isinstance(value.get("tool"), str) and isinstance(value.get("input"), str):
                talks[number] += [gold(text), tool(call(value["tool"], value["input"], cases[number].lookups))]
                going_on.append(number)
        active = going_on
        if not active:
            break
    return Outcome(right / len(cases), valid / len(all_answers), all_prompts, all_answers)


def evaluate(
    directory: Path, cases: int, novel_cases: int, log: Callable[[str], None] = print
) -> tuple[list[Row], float]:
    """One row for each task, and the seconds it took."""
    started = time.perf_counter()
    target = Greedy(directory, directory / "tokenizer.json")
    draft = Greedy(directory / "draft", directory / "tokenizer.json")
    rows = []
    for task in mixture.TASKS:
        held_out = mixture.evaluation(task, Split.HELD_OUT, cases)
        constrained = judge(target, held_out, True)
        free = judge(target, held_out, False)
        agreement = draft.agreement(constrained.prompts, constrained.answers)
        novel = None
        if novel_cases:
            novel = judge(target, mixture.evaluation(task, Split.NOVEL, novel_cases), True).right
        rows.append(Row(task, cases, constrained.right, free.right, free.valid_json, agreement, novel))
        log(f"{rows[-1]} after {time.perf_counter() - started:.0f}s")
    return rows, time.perf_counter() - started


def table(rows: Sequence[Row]) -> str:
    """The rows as a Markdown table."""
    lines = [
        "| task | cases | goal | right, grammar | right, no grammar | valid JSON, no grammar | draft agrees "
        "| unseen wordings |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        novel = "" if row.novel is None else f"{row.novel:.1%}"
        lines.append(
            f"| {row.task} | {row.cases} | {GOALS[row.task]:.0%} | **{row.right:.1%}** | {row.right_without:.1%} "
            f"| {row.valid_without:.1%} | {row.agreement:.3f} | {novel} |"
        )
    return "\n".join(lines)


def write_card(card: Path, rows: Sequence[Row], seconds: float, where: str) -> None:
    """Put the table between the card's markers.

    Raises:
        ValueError: the card has no markers.
    """
    text = card.read_text(encoding="utf-8")
    head, begin, rest = text.partition(BEGIN)
    _, finish, tail = rest.partition(FINISH)
    if not begin or not finish:
        raise ValueError(f"{card} has no {BEGIN} ... {FINISH}")
    body = f"\n{table(rows)}\n\nMeasured on {where} in {seconds:.0f} s by `python benchmarks/seedling.py`.\n"
    card.write_text(head + BEGIN + body + FINISH + tail, encoding="utf-8")
