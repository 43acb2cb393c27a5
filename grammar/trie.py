"""A trie of token ids: finite choices as the model would spell them, one path each.

A choice stands here by its canonical ids alone, those the tokenizer gives for its text, so a model's probability of a
choice is the product along one path. Where one choice's ids begin another's, the shorter one ends on an edge of its
own, whose ids are the model's stop ids.

    choices "red" [7], "reddish" [7, 9], "blue" [4, 2]

    root --7--> (red ends here) --9--> (reddish)
      `---4---> --2--> (blue)                         branches: root {4, 7}, behind 7 {9, end}
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from ..errors import InvalidRequest

MAX_CHOICES = 2_000
"""As many as an enum may have; see `limits.Limits`."""


class Branch(NamedTuple):
    """A place where the choices part.

    Attributes:
        path: the ids that lead there.
        candidates: the ids that go on from there, ascending, then the stop ids if a choice ends there.
    """

    path: tuple[int, ...]
    candidates: tuple[int, ...]


class TokenTrie:
    """The choices of one select.

    Args:
        choices: the canonical ids of each choice.
        stop_ids: the ids that end a choice which another one goes on from.

    Raises:
        InvalidRequest: no choice, too many, an empty one, or two with the same ids; or a choice is a prefix of another
            and there is no stop id to end it.
    """

    def __init__(self, choices: Sequence[Sequence[int]], stop_ids: Sequence[int]) -> None:
        if not 1 <= len(choices) <= MAX_CHOICES:
            raise InvalidRequest(f"{len(choices)} choices", hint=f"give 1 to {MAX_CHOICES}")
        self.choices = [tuple(choice) for choice in choices]
        self._stop_ids = tuple(dict.fromkeys(stop_ids))
        self._edges: dict[tuple[int, ...], set[int]] = {}
        ends: set[tuple[int, ...]] = set()
        for choice in self.choices:
            if not choice or choice in ends:
                raise InvalidRequest(
                    "a choice has no tokens" if not choice else "two choices have the same tokens",
                    hint="choices must be different texts that are not empty",
                )
            ends.add(choice)
            for at, token in enumerate(choice):
                self._edges.setdefault(choice[:at], set()).add(token)
        self._inner_ends = ends & self._edges.keys()
        self.branches = self._branches()
        """Where a probability has to be known, in order of the paths; nowhere else is there anything to choose."""
        if self._inner_ends and not self._stop_ids:
            raise InvalidRequest(
                "one choice begins another, and the model has no stop token to tell them apart",
                hint="make the shorter choice end differently, for example with a full stop",
            )

    @property
    def paths(self) -> tuple[tuple[int, ...], ...]:
        """The path of each branch."""
        return tuple(path for path, _ in self.branches)

    def logprobs(self, scores: Mapping[tuple[int, ...], Iterable[float]], temperature: float = 1.0) -> list[float]:
        """The log probability of each choice, in order; the exponentials sum to one.

        Args:
            scores: for the path of each branch, the log probabilities of its candidates, up to a constant.
            temperature: divides them before they are renormalised over the candidates.
        """
        steps: dict[tuple[int, ...], dict[int, float]] = {}
        ends: dict[tuple[int, ...], float] = {}
        for branch in self.branches:
            scaled = [score / temperature for score in scores[branch.path]]
            total = _logsumexp(scaled)
            steps[branch.path] = {token: score - total for token, score in zip(branch.candidates, scaled, strict=True)}
            if branch.path in self._inner_ends:
                last = scaled[len(scaled) - len(self._stop_ids) :]
                ends[branch.path] = _logsumexp(last) - total
        return [
            sum(steps[choice[:at]][choice[at]] for at in range(len(choice)) if choice[:at] in steps)
            + ends.get(choice, 0.0)
            for choice in self.choices
        ]

    def _branches(self) -> tuple[Branch, ...]:
        found = []
        for path, edges in sorted(self._edges.items()):
            ends = self._stop_ids if path in self._inner_ends else ()
            if len(edges) > 1 or ends:
                found.append(Branch(path, (*sorted(edges), *ends)))
        return tuple(found)


def _logsumexp(values: Sequence[float]) -> float:
    largest = max(values)
    if largest == -math.inf:
        return largest
    return largest + math.log(sum(math.exp(value - largest) for value in values))
