"""Which conversations the model is trained on, in which shares, and the cases that an evaluation draws.

`case(seed)` is one conversation of the training mixture; `evaluation(task, split, count)` lists the cases that
the card's table is made from. Both are pure functions of their arguments.
"""

from __future__ import annotations

import functools
import zlib
from collections.abc import Callable, Mapping

from . import agent, classification, correction, extraction, facts
from .case import Case, Turn, gold, user
from .draw import Draw, Split, same_wording
from .entities import amount, capital, city, code, email, person, street, word

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
    makers = (capital, code, email, person, street, word, amount, city)
    texts = [d.pick(makers)(d) for _ in range(d.rng.randint(1, 5))]
    body = ", ".join(texts)
    return Case(
        "copy",
        (user(f"{d.pick(('Repeat', 'Copy', 'Say', 'Repeat this', 'Write', 'Please repeat'))}: {body}"), gold(body)),
        body,
    )


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
    (0.22, extraction.case),
    (0.05, extraction.thing_case),
    (0.02, extraction.session_case),
    (0.05, extraction.question_case),
    (0.03, extraction.chain_case),
    (0.19, classification.case),
    (0.15, agent.case),
    (0.13, facts.case),
    (0.13, correction.case),
    (0.01, long_case),
    (0.02, copy_case),
)
_MAKERS = [make for _, make in _SHARES]
_WEIGHTS = [share for share, _ in _SHARES]


def drawn(make: Callable[[Draw], Case], seed: int, split: Split) -> tuple[Case, Draw]:
    """The first case of `make` that belongs to `split`, over the seeds that follow from `seed`, and its choices.

    Raises:
        RuntimeError: `make` has no held-out wording.
    """
    for attempt in range(1000):
        d = Draw(seed * 1009 + attempt, split)
        case = make(d)
        if d.fits() and not (d.held and heard() & set(map(same_wording, d.unseen))):
            return case, d
    raise RuntimeError(f"{make} reaches no {split.value} wording")


@functools.cache
def heard() -> frozenset[str]:
    """Wordings that training texts hold as the second half of another one: the instructions behind a question on facts.
    Some are held out as instructions of their own; a held-out case has none of them."""
    return frozenset(same_wording(ask.removeprefix("{q}")) for group in facts.JSON_ASK.parts[0].groups for ask in group)


def draws(seed: int) -> tuple[Case, Draw]:
    """One conversation that may be trained on, and the choices behind it."""
    make = Draw(seed, Split.TRAIN).rng.choices(_MAKERS, _WEIGHTS)[0]
    return drawn(make, seed, Split.TRAIN)


def case(seed: int) -> Case:
    """One conversation of the training mixture."""
    return draws(seed)[0]


def evaluation(task: str, split: Split, count: int, seed: int = 0) -> list[Case]:
    """`count` cases of one task of the card; held-out unless `split` says otherwise."""
    return [case for case, _ in evaluation_draws(task, split, count, seed)]


def evaluation_draws(task: str, split: Split, count: int, seed: int = 0) -> list[tuple[Case, Draw]]:
    """The same with the choices behind each case."""
    base = (zlib.crc32(task.encode()) + seed) << 20
    return [drawn(TASKS[task], base + index, split) for index in range(count)]
