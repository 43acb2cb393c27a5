"""Seeded choices, and the one place where training data and held-out data are told apart.

Three things are split, each by a fixed hash of its own text, so the split depends on no seed and no order:

* entities (`Pool`, and any word or number that is made up): one in ten is held out and never appears in training;
* forms: the combination of all wordings of one conversation. One combination in ten is held out;
* wordings (`Phrases`): in every list of six or more about one in ten is held out, for the `NOVEL` split alone.

`HELD_OUT` draws held-out entities in held-out combinations of wordings that training knows. `NOVEL` also uses wordings
that training never showed.
"""

from __future__ import annotations

import enum
import hashlib
import random
from collections.abc import Callable, Sequence
from typing import TypeVar

T = TypeVar("T")

ONE_IN = 10
_LEAST_HELD = 3
_MAX_TRIES = 10_000


class Split(enum.Enum):
    """Which part of the space of conversations to draw from."""

    TRAIN = "train"
    HELD_OUT = "held-out"
    NOVEL = "novel wording"


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


class Phrases:
    """Several wordings of one thing. `common` is for training, `novel` is kept from it."""

    def __init__(self, *options: str) -> None:
        novel = tuple(option for option in options[1:] if is_held_out(option)) if len(options) >= 6 else ()
        self.all: tuple[str, ...] = options
        self.novel: tuple[str, ...] = novel
        self.common: tuple[str, ...] = tuple(option for option in options if option not in novel)


class Draw:
    """The choices of one conversation: what was drawn, from which split, and the form that it adds up to."""

    def __init__(self, seed: int, split: Split) -> None:
        self.rng = random.Random(seed)
        self.split = split
        self.held = split is not Split.TRAIN
        self.used_novel = False
        self._form = hashlib.blake2b(digest_size=4)
        self._phrases = 0

    def phrase(self, options: Phrases) -> str:
        """One wording; remembered as part of the form."""
        if self.split is Split.NOVEL and options.novel and self.rng.random() < 0.5:
            self.used_novel = True
            text = self.pick(options.novel)
        else:
            text = self.pick(options.common)
        self._form.update(text.encode() + b"\n")
        self._phrases += 1
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

    def form_fits(self) -> bool:
        """Whether the wordings drawn so far, taken together, belong to this split."""
        if self.split is Split.NOVEL:
            return self.used_novel
        held = int.from_bytes(self._form.digest(), "little") % ONE_IN == 0
        return self._phrases == 0 or held == self.held
