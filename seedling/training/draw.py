"""Seeded choices, and the one place where training data and held-out data are told apart.

Two things are split, each by a fixed hash of its own text, so the split depends on no seed and no order:

* entities (`Pool`, and any word or number that is made up): one in ten is held out;
* wordings (`Phrases`): of the ways to say a thing, one in ten is held out.

Every wording of a held-out conversation is held out, and so are its entities; a training conversation has none of
either. A held-out wording is a new arrangement of known words: one with a word that no
training wording of its list has is not used at all, because a model that starts from nothing cannot know a word that
it has never read.
"""

from __future__ import annotations

import enum
import functools
import hashlib
import random
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")

ONE_IN = 10
_LEAST_HELD = 3
_MAX_TRIES = 10_000
_LEAST_FORMS = 4
_MAX_FORMS = 60_000

_CHOICE = re.compile(r"\[([^\[\]]*)\]")
_WORDS = re.compile(r"\{\w+\}|[\w+*/%=-]+")


class Split(enum.Enum):
    """Which part of the space of conversations to draw from."""

    TRAIN = "train"
    HELD_OUT = "held-out"


def _rank(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=4).digest(), "little")


def is_held_out(text: str) -> bool:
    """Whether `text` belongs to the held-out tenth."""
    return _rank(text) % ONE_IN == 0


class Pool:
    """A fixed list of entities (names, jobs, goods), split by `is_held_out`; at least three are held out."""

    def __init__(self, words: str) -> None:
        entries = [word.strip() for word in words.replace("\n", " ").split(",")]
        self.all: tuple[str, ...] = tuple(dict.fromkeys(entry for entry in entries if entry))
        ranked = sorted(self.all, key=lambda entry: (_rank(entry) % ONE_IN, _rank(entry)))
        count = max(_LEAST_HELD, sum(map(is_held_out, self.all)))
        self.held: tuple[str, ...] = tuple(ranked[:count])
        self.train: tuple[str, ...] = tuple(ranked[count:])


def words_of(text: str) -> tuple[str, ...]:
    """The words of a text: how word lists are written down here."""
    return tuple(text.split())


def same_wording(form: str) -> str:
    """The words of a form: two forms that differ in letter case or punctuation alone are one wording."""
    return " ".join(_WORDS.findall(form.lower()))


def expand(template: str) -> list[str]:
    """Every reading of a template in which `[a|b|]` is a choice; choices may stand inside choices."""
    readings = [template]
    while True:
        match = _CHOICE.search(readings[0])
        if match is None:
            return list(dict.fromkeys(_tidy(reading, template) for reading in readings))
        # An innermost choice may stand in some readings only, when it lay inside an alternative not taken.
        readings = list(dict.fromkeys(
            reading.replace(match[0], option, 1) for reading in readings for option in match[1].split("|")
        ))  # fmt: skip
        readings.sort(key=lambda reading: "[" not in reading)


def _tidy(reading: str, template: str) -> str:
    """Blanks that a choice left behind taken away; those that the template itself begins or ends with stay."""
    text = re.sub(r"([?:.]):", r"\1", re.sub(r" +(?=[ ,.?!:;])", "", reading))
    text = text if template.startswith(" ") else text.lstrip(" ")
    return text if template.endswith(" ") else text.rstrip(" ")


@dataclass(frozen=True)
class _Part:
    """The forms of a list in one part of the split, by template; `filled` numbers the templates that have any."""

    groups: tuple[tuple[str, ...], ...]
    filled: tuple[int, ...]


def _part(groups: Iterable[Iterable[str]]) -> _Part:
    made = tuple(tuple(group) for group in groups)
    return _Part(made, tuple(number for number, group in enumerate(made) if group))


class Phrases:
    """The wordings of one thing, written as templates with choices; split by `same_wording` of the expanded form.

    A first template without a choice is the plain wording, which always belongs to training.
    """

    def __init__(self, *templates: str) -> None:
        self.templates: tuple[str, ...] = templates

    @property
    def plain(self) -> str:
        return self.templates[0]

    @functools.cached_property
    def forms(self) -> tuple[tuple[str, ...], ...]:
        """All forms, by template.

        Raises:
            ValueError: there are more than a list may have.
        """
        forms = tuple(tuple(expand(template)) for template in self.templates)
        if sum(map(len, forms)) > _MAX_FORMS:
            raise ValueError(f"{sum(map(len, forms))} forms in one list: {self.templates[0]!r}")
        return forms

    @functools.cached_property
    def parts(self) -> tuple[_Part, _Part]:
        """The forms for training and those held out."""
        words = {form: _WORDS.findall(form.lower()) for group in self.forms for form in group}
        keys = {form: " ".join(found) for form, found in words.items()}
        kept = same_wording(self.plain) if self.templates and "[" not in self.plain else None
        chosen = {form for form, key in keys.items() if len(words[form]) > 1 and key != kept and is_held_out(key)}
        train = {form: None for form in words if form not in chosen}
        held = _answerable(chosen, train, words)
        if not held and len(train) >= _LEAST_FORMS:
            # A short list that the hash left whole gives the longest form that it can spare.
            for form in sorted((f for f in train if keys[f] != kept), key=lambda f: (-len(words[f]), _rank(keys[f]))):
                rest = {other: None for other in train if keys[other] != keys[form]}
                held = _answerable(train.keys() - rest.keys(), rest, words)
                if held:
                    train = rest
                    break
        return (
            _part((form for form in group if form in train) for group in self.forms),
            _part((form for form in group if form in held) for group in self.forms),
        )


def _answerable(forms: Iterable[str], train: Iterable[str], words: Mapping[str, list[str]]) -> set[str]:
    """Those of `forms` whose words all occur in `train`."""
    known = {word for form in train for word in words[form]}
    return {form for form in forms if known.issuperset(words[form])}


def lines(text: str) -> Phrases:
    """One template a line."""
    return Phrases(*(line.strip() for line in text.strip().splitlines()))


class Draw:
    """The choices of one conversation: what was drawn, from which split, and which wordings it holds."""

    def __init__(self, seed: int, split: Split) -> None:
        self.rng = random.Random(seed)
        self.split = split
        self.held = split is not Split.TRAIN
        self.unseen: list[str] = []
        self.known: list[str] = []

    def phrase(self, options: Phrases, *, plain: float = 0.0, only: Sequence[int] | None = None) -> str:
        """One wording: held out whenever the list has such, in training the plain one with probability `plain`.

        Args:
            only: the numbers of the templates to choose from; all by default.
        """
        train, held = options.parts
        if self.held:
            numbers: Sequence[int] = held.filled
            if only is not None:
                numbers = [number for number in only if held.groups[number]]
            if numbers:
                text = self.pick(held.groups[self.pick(numbers)])
                self.unseen.append(text)
                return text
        elif plain and self.chance(plain):
            return options.plain
        numbers = train.filled if only is None else [number for number in only if train.groups[number]]
        text = self.pick(train.groups[self.pick(numbers)])
        self.known.append(text)
        return text

    def pick(self, options: Sequence[T]) -> T:
        """One of `options`, in no relation to the split."""
        # `random.choice` costs three times as much, and this is the generator's hottest line.
        return options[int(self.rng.random() * len(options))]

    def sample(self, options: Sequence[T], count: int) -> list[T]:
        """`count` different members of `options`, in random order."""
        return self.rng.sample(options, count)

    def shuffled(self, options: Sequence[T]) -> list[T]:
        """`options` in random order."""
        return self.rng.sample(options, len(options))

    def chance(self, probability: float) -> bool:
        """True with `probability`."""
        return self.rng.random() < probability

    def entity(self, pool: Pool) -> str:
        """A member of the pool's part for this split."""
        return self.pick(pool.held if self.held else pool.train)

    def made_up(self, make: Callable[[], str]) -> str:
        """`make()` again and again until its text lies in this split.

        Raises:
            RuntimeError: `make` has too few values to reach the split.
        """
        for _ in range(_MAX_TRIES):
            text = make()
            if is_held_out(text) == self.held:
                return text
        raise RuntimeError(f"{make} reaches no {self.split.value} value in {_MAX_TRIES} tries")

    def integer(self, low: int, high: int) -> int:
        """A whole number in [low, high]; ranges of 30 and more are split by the number's text."""
        if high - low < 30:
            return self.rng.randint(low, high)
        return int(self.made_up(lambda: str(self.rng.randint(low, high))))

    def fits(self) -> bool:
        """Whether the conversation belongs to its split: held out, every wording of it must be an unseen one."""
        return not self.held or (bool(self.unseen) and not self.known)
