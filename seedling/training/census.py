"""How many surface forms there are, counted: every list of wordings that the generator's modules hold.

`python -m ramify.seedling.training.census` prints the counts for training and held out; `python benchmarks/seedling.py
--write` puts them into the model card.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from types import ModuleType

from . import (
    agent,
    attributes,
    classification,
    correction,
    events,
    extraction,
    facts,
    messages,
    orders,
    people,
    questions,
    receipts,
    records,
    things,
    topics,
)
from .draw import Phrases, same_wording, words_of

MODULES: tuple[ModuleType, ...] = (
    agent, attributes, classification, correction, events, extraction, facts, messages, orders, people, questions,
    receipts, records, things, topics,
)  # fmt: skip


SMALL = frozenset(
    words_of("""
    a an the its please kindly now currently presently still also already really very so truly absolutely just simply
    only indeed again more once
    """)
)
"""Words that a template may put in or leave out."""


@dataclasses.dataclass(frozen=True)
class Count:
    """Different wordings (letter case and punctuation aside) of all lists together, and the number of lists.

    Attributes:
        apart: the held-out wordings that differ from every training wording in more than small words.
    """

    lists: int
    train: int
    held_out: int
    apart: int


def every_list() -> list[Phrases]:
    """All lists of wordings, each once."""
    found: dict[int, Phrases] = {}
    for module in MODULES:
        for value in vars(module).values():
            found.update((id(phrases), phrases) for phrases in _inside(value))
    return list(found.values())


def _inside(value: object) -> Iterator[Phrases]:
    if isinstance(value, Phrases):
        yield value
    elif isinstance(value, Mapping):
        for part in value.values():
            yield from _inside(part)
    elif isinstance(value, (tuple, list)):
        for part in value:
            yield from _inside(part)
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        for part in dataclasses.fields(value):
            yield from _inside(getattr(value, part.name))


def wordings() -> tuple[set[str], set[str]]:
    """The wordings of training and those held out, as `same_wording` writes them."""
    train: set[str] = set()
    held: set[str] = set()
    for phrases in every_list():
        for part, into in zip(phrases.parts, (train, held), strict=True):
            into.update(same_wording(form) for group in part.groups for form in group)
    return train, held


def bare(wording: str) -> str:
    """A wording without its small words."""
    return " ".join(word for word in same_wording(wording).split() if word not in SMALL)


def bare_training() -> set[str]:
    """All training wordings without their small words."""
    return {bare(wording) for wording in wordings()[0]}


def count() -> Count:
    train, held = wordings()
    known = bare_training()
    return Count(len(every_list()), len(train), len(held), sum(bare(wording) not in known for wording in held))


if __name__ == "__main__":
    print(count())
