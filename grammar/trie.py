"""A trie of token ids: finite choices as the model would spell them, one path each. `select` scores its branches, a gen
of `Choices` walks it token by token; so both follow one law.

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
from typing import TYPE_CHECKING, NamedTuple

from ..errors import InvalidRequest, InvalidSchema

if TYPE_CHECKING:
    from .matcher import RowFiller
    from .state import MaskRows


class Branch(NamedTuple):
    """A place where the choices part.

    Attributes:
        path: the ids that lead there.
        candidates: the ids that go on from there, ascending, then the stop ids if a choice ends there.
    """

    path: tuple[int, ...]
    candidates: tuple[int, ...]


class TokenTrie:
    """The choices of one select or gen.

    Args:
        choices: the canonical ids of each choice; at most one is empty.
        stop_ids: the ids that end a choice which another one goes on from.

    Raises:
        InvalidRequest: no choice, or two with the same ids; or one is a prefix of another and there is no stop id to
            end it.
    """

    def __init__(self, choices: Sequence[Sequence[int]], stop_ids: Sequence[int]) -> None:
        if not choices:
            raise InvalidRequest("no choices", hint="give at least one")
        self.choices = [tuple(choice) for choice in choices]
        self.stop_ids = tuple(dict.fromkeys(stop_ids))
        self.ends = frozenset(self.choices)
        if len(self.ends) < len(self.choices):
            raise InvalidRequest("two choices have the same tokens", hint="choices must be different texts")
        self._edges: dict[tuple[int, ...], set[int]] = {}
        for choice in self.choices:
            for at, token in enumerate(choice):
                self._edges.setdefault(choice[:at], set()).add(token)
        self._inner_ends = self.ends & self._edges.keys()
        self.branches = self._branches()
        """Where a probability has to be known, in order of the paths; nowhere else is there anything to choose."""
        if self._inner_ends and not self.stop_ids:
            raise InvalidRequest(
                "one choice begins another, and the model has no stop token to tell them apart",
                hint="make the shorter choice end differently, for example with a full stop",
            )

    def following(self, path: tuple[int, ...]) -> list[int]:
        """The ids with which any choice goes on behind `path`, ascending; none where none does."""
        return sorted(self._edges.get(path, ()))

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
                last = scaled[len(scaled) - len(self.stop_ids) :]
                ends[branch.path] = _logsumexp(last) - total
        return [
            sum(steps[choice[:at]][choice[at]] for at in range(len(choice)) if choice[:at] in steps)
            + ends.get(choice, 0.0)
            for choice in self.choices
        ]

    def _branches(self) -> tuple[Branch, ...]:
        found = []
        for path, edges in sorted(self._edges.items()):
            ends = self.stop_ids if path in self._inner_ends else ()
            if len(edges) > 1 or ends:
                found.append(Branch(path, (*sorted(edges), *ends)))
        return tuple(found)


class TrieMatcher:
    """A `Matcher` that walks a trie.

    Args:
        trie: the choices.
        tokens: the bytes of each id, as `Vocabulary.tokens`.
    """

    __slots__ = ("_path", "_tokens", "_trie")

    def __init__(self, trie: TokenTrie, tokens: Sequence[bytes]) -> None:
        self._trie = trie
        self._tokens = tokens
        self._path: tuple[int, ...] = ()

    @property
    def filler(self) -> RowFiller:
        return _FILLER

    def consume(self, token_id: int) -> bool:
        if token_id not in self._trie.following(self._path):
            return False
        self._path = (*self._path, token_id)
        return True

    def rollback(self, num_tokens: int) -> None:
        self._path = self._path[: len(self._path) - num_tokens]

    def copy(self) -> TrieMatcher:
        matcher = TrieMatcher(self._trie, self._tokens)
        matcher._path = self._path
        return matcher

    def forced(self) -> bytes:
        path, text = self._path, b""
        while path not in self._trie.ends and len(following := self._trie.following(path)) == 1:
            path = (*path, *following)
            text += self._tokens[following[0]]
        return text

    def accepting(self) -> bool:
        return self._path in self._trie.ends

    def allowed(self) -> list[int]:
        """The ids that may come next, stop ids among them where a choice ends."""
        return [*self._trie.following(self._path), *(self._trie.stop_ids if self.accepting() else ())]


class TrieFiller:
    """A `RowFiller` for matchers of any trie."""

    def fill(
        self, matchers: Sequence[TrieMatcher], out_RW: MaskRows, rows: Sequence[int]
    ) -> list[InvalidSchema | None]:
        words_RW = out_RW.view("uint32")
        for matcher, row in zip(matchers, rows, strict=True):
            words_RW[row] = 0
            for token_id in matcher.allowed():
                words_RW[row, token_id // 32] |= 1 << token_id % 32
        return [None] * len(rows)


_FILLER = TrieFiller()


def _logsumexp(values: Sequence[float]) -> float:
    largest = max(values)
    if largest == -math.inf:
        return largest
    return largest + math.log(sum(math.exp(value - largest) for value in values))
