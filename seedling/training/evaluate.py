"""What the model card claims, measured: held-out cases of the five tasks, with and without their grammar.

`extraction`, `classification`, `facts` and `correction` are right when the whole last answer equals the gold value;
`agent` when the final answer does, with the tools really executed over at most four turns.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..notation import describe
from . import census, mixture
from .agent import MAX_STEPS
from .case import Case, Turn, gold, tool
from .chat import render
from .decode import Decoder, grammar_of, parse, same
from .draw import Draw, Split
from .tools import call

BEGIN, FINISH = "<!-- evaluation -->", "<!-- /evaluation -->"
GOALS = {"extraction": 0.95, "classification": 0.97, "agent": 0.90, "facts": 0.95, "correction": 0.90}
DRAFT_GOAL = 0.70
UNSPELLED = "extraction, fields not named"


@dataclass(frozen=True)
class Outcome:
    """How a model did on some cases: shares of cases, and of answers.

    Attributes:
        valid: of the answers that should be JSON, those that are.
        formed: of all answers, those that the case's grammar allows.
    """

    right: float
    valid: float
    formed: float
    prompts: list[list[int]]
    answers: list[list[int]]


@dataclass(frozen=True)
class Row:
    """A line of the first table: greedy."""

    task: str
    cases: int
    right: float
    right_without: float
    valid_without: float
    agreement: float


@dataclass(frozen=True)
class Gain:
    """A line of the second table: the same cases, answered without and with the grammar."""

    what: str
    cases: int
    formed_without: float
    formed: float
    right_without: float
    right: float


@dataclass(frozen=True)
class Wordings:
    """What the cases are made of.

    Attributes:
        drawn: wordings in all cases.
        different: different ones among them.
        known: those that training may draw.
        cases: how many cases there are.
        apart: cases with a wording that differs from every training wording in more than small words.
    """

    drawn: int
    different: int
    known: int
    cases: int
    apart: int
    total: census.Count


@dataclass(frozen=True)
class Report:
    """All that the card shows."""

    rows: list[Row]
    gains: list[Gain]
    wordings: Wordings
    seconds: float

    @property
    def missed(self) -> list[str]:
        """The tasks that miss a goal, each with by how much."""
        found = [(row.task, GOALS[row.task], row.right) for row in self.rows]
        found += [(f"{row.task}, draft", DRAFT_GOAL, row.agreement) for row in self.rows]
        return [f"{what}: {right:.1%} of {goal:.0%}" for what, goal, right in found if right < goal]


def judge(model: Decoder, cases: Sequence[Case], constrained: bool, temperature: float = 0.0) -> Outcome:
    """Answer the last turn of each case and compare it with the gold value."""
    if cases[0].task == "agent":
        return _judge_agent(model, cases, constrained, temperature)
    prompts = [model.encode(render(case.turns[:-1], prompt=True)) for case in cases]
    grammars = [grammar_of(case) for case in cases]
    answers = model.answers(prompts, grammars if constrained else [None] * len(cases), temperature)
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
    formed = sum(map(model.accepts, grammars, answers))
    return Outcome(right / len(cases), valid / max(1, structured), formed / len(cases), prompts, answers)


def _judge_agent(model: Decoder, cases: Sequence[Case], constrained: bool, temperature: float) -> Outcome:
    """Play every case to its answer; a turn that is no call and no answer ends it."""
    grammar = grammar_of(cases[0])
    talks: list[list[Turn]] = [list(case.turns[:2]) for case in cases]
    active = list(range(len(cases)))
    all_prompts: list[list[int]] = []
    all_answers: list[list[int]] = []
    right = valid = formed = 0
    for step in range(MAX_STEPS):
        prompts = [model.encode(render(talks[number], prompt=True)) for number in active]
        answers = model.answers(prompts, [grammar if constrained else None] * len(active), temperature, seed=step)
        all_prompts += prompts
        all_answers += answers
        going_on = []
        for number, ids in zip(active, answers, strict=True):
            text = model.decode(ids)
            is_json, value = parse(text)
            valid += is_json
            formed += model.accepts(grammar, ids)
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
    count = len(all_answers)
    return Outcome(right / len(cases), valid / count, formed / count, all_prompts, all_answers)


def unspelled(cases: Sequence[Case]) -> list[Case]:
    """The cases with the fields taken out of the prompt, where it spells them in the plain notation."""
    found = []
    for case in cases:
        fields = describe(case.schema) if case.schema is not None else ""
        turns = tuple(
            dataclasses.replace(turn, text=turn.text.replace(fields, "as agreed")) for turn in case.turns[:-1]
        )
        if fields and turns != case.turns[:-1]:
            found.append(dataclasses.replace(case, turns=(*turns, case.turns[-1])))
    return found


def evaluate(directory: Path, count: int, log: Callable[[str], None] = print) -> Report:
    """Both tables, on `count` cases of each task."""
    started = time.perf_counter()
    target = Decoder(directory, directory / "tokenizer.json")
    draft = Decoder(directory / "draft", directory / "tokenizer.json")
    rows: list[Row] = []
    gains: list[Gain] = []
    choices: list[Draw] = []

    def compare(what: str, cases: Sequence[Case], temperature: float) -> None:
        free = judge(target, cases, False, temperature)
        held = judge(target, cases, True, temperature)
        gains.append(Gain(what, len(cases), free.formed, held.formed, free.right, held.right))
        log(f"{gains[-1]} after {time.perf_counter() - started:.0f}s")

    for task in mixture.TASKS:
        drawn = mixture.evaluation_draws(task, Split.HELD_OUT, count)
        cases = [case for case, _ in drawn]
        choices += [d for _, d in drawn]
        constrained = judge(target, cases, True)
        free = judge(target, cases, False)
        agreement = draft.agreement(constrained.prompts, constrained.answers)
        rows.append(Row(task, count, constrained.right, free.right, free.valid, agreement))
        log(f"{rows[-1]} after {time.perf_counter() - started:.0f}s")
        compare(task, cases, 1.0)
        if task == "extraction":
            compare(UNSPELLED, unspelled(cases), 0.0)
    return Report(rows, gains, wordings_of(choices), time.perf_counter() - started)


def wordings_of(choices: Sequence[Draw]) -> Wordings:
    """Counts over the choices behind the cases."""
    unseen = [wording for d in choices for wording in d.unseen]
    known = sum(len(d.known) for d in choices)
    train = census.bare_training()
    apart = sum(any(census.bare(wording) not in train for wording in d.unseen) for d in choices)
    return Wordings(len(unseen) + known, len(set(unseen)), known, len(choices), apart, census.count())


def table(report: Report, where: str) -> str:
    """The report as Markdown."""
    lines = [
        "| task | cases | goal | right, grammar | right, no grammar | valid JSON, no grammar | draft agrees |",
        "|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {row.task} | {row.cases} | {GOALS[row.task]:.0%} | **{row.right:.1%}** | {row.right_without:.1%} "
        f"| {row.valid_without:.1%} | {row.agreement:.3f} |"
        for row in report.rows
    ]
    lines += ["", *(f"**Goal missed**: {text}." for text in report.missed)]
    lines += [
        "What the grammar buys: the same cases at temperature 1.0, and greedy without naming the fields in the prompt.",
        "",
        "| cases | number | well-formed, no grammar | well-formed, grammar | right, no grammar | right, grammar |",
        "|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {gain.what} | {gain.cases} | {gain.formed_without:.1%} | {gain.formed:.1%} | {gain.right_without:.1%} "
        f"| {gain.right:.1%} |"
        for gain in report.gains
    ]
    lines += [
        "",
        described(report.wordings),
        "",
        f"Measured on {where} in {report.seconds:.0f} s by `python benchmarks/seedling.py`.",
    ]
    return "\n".join(lines)


def described(found: Wordings) -> str:
    """The counts of wordings as text."""
    total = found.total
    return (
        f"Wordings: {total.train:,} for training and {total.held_out:,} held out, in {total.lists} lists. Of those "
        f"held out {total.apart:,} differ from every training wording in more than small words (articles, `please`, "
        f"`now`, `really` and the like). The {found.cases:,} cases of the first table draw {found.drawn:,} wordings, "
        f"{found.different:,} different ones; {found.known} of them are known to training, and {found.apart:,} cases "
        "hold at least one that differs in more than small words."
    )


def write_card(card: Path, text: str) -> None:
    """Put the tables between the card's markers.

    Raises:
        ValueError: the card has no markers.
    """
    page = card.read_text(encoding="utf-8")
    head, begin, rest = page.partition(BEGIN)
    _, finish, tail = rest.partition(FINISH)
    if not begin or not finish:
        raise ValueError(f"{card} has no {BEGIN} ... {FINISH}")
    card.write_text(f"{head}{BEGIN}\n{text}\n{FINISH}{tail}", encoding="utf-8")
