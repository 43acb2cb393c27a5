"""Which conversations the model is trained on, in which shares, and the cases that an evaluation draws.

`case(seed, split)` is one conversation of the training mixture; `evaluation(task, split, count)` lists the cases that
the card's table is made from. Both are pure functions of their arguments.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping

from . import agent, classification, correction, extraction, facts
from .case import Case, Turn, gold, user
from .draw import Draw, Split
from .entities import capital, code, email, person, street, word

TASKS: Mapping[str, Callable[[Draw], Case]] = {
    "extraction": extraction.case,
    "classification": classification.case,
    "agent": agent.case,
    "facts": facts.case,
    "correction": correction.case,
}
"""The five tasks of the card."""


def copy_case(d: Draw) -> Case:
    """Repeat a few made-up words: copying and nothing else."""
    makers = (capital, code, email, person, street, word)
    texts = [d.pick(makers)(d) for _ in range(d.rng.randint(1, 5))]
    body = ", ".join(texts)
    return Case("copy", (user(f"{d.pick(('Repeat', 'Copy', 'Say', 'Repeat this'))}: {body}"), gold(body)), body)


def long_case(d: Draw) -> Case:
    """Facts, then other work, then the question: a conversation of up to two thousand tokens."""
    first = facts.case(d)
    turns = list(first.turns[:-2])
    for _ in range(d.rng.randint(1, 9)):
        other = d.pick((extraction.case, extraction.question_case, classification.label_case, extraction.chain_case))(d)
        turns += _without_system(other.turns)
    return Case("long", (*turns, *first.turns[-2:]), first.value, first.schema)


def _without_system(turns: tuple[Turn, ...]) -> list[Turn]:
    """The turns with the instruction of a system turn moved into the user's."""
    if turns[0].role != "system":
        return list(turns)
    return [user(f"{turns[0].text}\n{turns[1].text}"), *turns[2:]]


_SHARES: tuple[tuple[float, Callable[[Draw], Case]], ...] = (
    (0.24, extraction.case),
    (0.06, extraction.thing_case),
    (0.02, extraction.session_case),
    (0.06, extraction.question_case),
    (0.04, extraction.chain_case),
    (0.14, classification.case),
    (0.18, agent.case),
    (0.12, facts.case),
    (0.17, correction.case),
    (0.01, long_case),
    (0.02, copy_case),
)
_MAKERS = [make for _, make in _SHARES]
_WEIGHTS = [share for share, _ in _SHARES]


def draw_until_it_fits(make: Callable[[Draw], Case], seed: int, split: Split) -> Case:
    """The first case of `make` whose form belongs to `split`, over the seeds that follow from `seed`."""
    for attempt in range(10_000):
        d = Draw(seed * 10_007 + attempt, split)
        case = make(d)
        if d.form_fits():
            return case
    raise RuntimeError(f"{make} reaches no {split.value} form")


def case(seed: int, split: Split = Split.TRAIN) -> Case:
    """One conversation of the mixture."""
    make = Draw(seed, split).rng.choices(_MAKERS, _WEIGHTS)[0]
    return draw_until_it_fits(make, seed, split)


def evaluation(task: str, split: Split, count: int, seed: int = 0) -> list[Case]:
    """`count` cases of one task of the card; held-out unless `split` says otherwise."""
    base = (zlib.crc32(task.encode()) + seed) << 20
    return [draw_until_it_fits(TASKS[task], base + index, split) for index in range(count)]
