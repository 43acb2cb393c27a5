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

from ..errors import InvalidRequest

if TYPE_CHECKING:
    from .state import MaskRow


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
        # Nodes are numbered, the root is 0. A prefix is never kept as a key: long choices would cost their square.
        self._children: list[dict[int, int]] = [{}]
        self._parents: list[tuple[int, int]] = [(0, 0)]
        self._ends: set[int] = set()
        for choice in self.choices:
            node = self._insert(choice)
            if node in self._ends:
                raise InvalidRequest("two choices have the same tokens", hint="choices must be different texts")
            self._ends.add(node)
        if not self.stop_ids and any(self._children[node] for node in self._ends):
            raise InvalidRequest(
                "one choice begins another, and the model has no stop token to tell them apart",
                hint="make the shorter choice end differently, for example with a full stop",
            )
        self._branches = self._find_branches()

    @property
    def branches(self) -> tuple[Branch, ...]:
        """Where a probability has to be known, in order of the paths; nowhere else is there anything to choose."""
        return tuple(self._branches.values())

    @property
    def paths(self) -> tuple[tuple[int, ...], ...]:
        """The path of each branch."""
        return tuple(branch.path for branch in self._branches.values())

    def following(self, node: int) -> dict[int, int]:
        """The ids with which any choice goes on from `node`, and the nodes they lead to."""
        return self._children[node]

    def ends(self, node: int) -> bool:
        """Whether a choice ends at `node`."""
        return node in self._ends

    def logprobs(self, scores: Mapping[tuple[int, ...], Iterable[float]], temperature: float = 1.0) -> list[float]:
        """The log probability of each choice, in order; the exponentials sum to one.

        Args:
            scores: for the path of each branch, the log probabilities of its candidates, up to a constant.
            temperature: divides them before they are renormalised over the candidates.
        """
        steps: dict[int, dict[int, float]] = {}
        ends: dict[int, float] = {}
        for node, branch in self._branches.items():
            scaled = [score / temperature for score in scores[branch.path]]
            total = _logsumexp(scaled)
            steps[node] = {token: score - total for token, score in zip(branch.candidates, scaled, strict=True)}
            if node in self._ends:
                ends[node] = _logsumexp(scaled[len(scaled) - len(self.stop_ids) :]) - total
        found = []
        for choice in self.choices:
            node, logprob = 0, 0.0
            for token in choice:
                if node in steps:
                    logprob += steps[node][token]
                node = self._children[node][token]
            found.append(logprob + ends.get(node, 0.0))
        return found

    def _insert(self, choice: tuple[int, ...]) -> int:
        """The node where `choice` ends."""
        node = 0
        for token in choice:
            following = self._children[node]
            if token not in following:
                following[token] = len(self._children)
                self._children.append({})
                self._parents.append((node, token))
            node = following[token]
        return node

    def _find_branches(self) -> dict[int, Branch]:
        """By node, parents before children and ids ascending: the order of the paths."""
        found: dict[int, Branch] = {}
        stack = [0]
        while stack:
            node = stack.pop()
            tokens = sorted(self._children[node])
            stack.extend(self._children[node][token] for token in reversed(tokens))
            ends = self.stop_ids if tokens and node in self._ends else ()
            if len(tokens) > 1 or ends:
                found[node] = Branch(self._path(node), (*tokens, *ends))
        return found

    def _path(self, node: int) -> tuple[int, ...]:
        path = []
        while node:
            node, token = self._parents[node]
            path.append(token)
        return tuple(reversed(path))


class TrieMatcher:
    """A `Matcher` that walks a trie.

    Args:
        trie: the choices.
        tokens: the bytes of each id, as `Vocabulary.tokens`.
    """

    __slots__ = ("_nodes", "_tokens", "_trie")

    def __init__(self, trie: TokenTrie, tokens: Sequence[bytes]) -> None:
        self._trie = trie
        self._tokens = tokens
        self._nodes = [0]  # from the root to where it is

    def fill(self, row: MaskRow) -> None:
        row.fill(0)
        words = row.view("uint32")
        for token_id in self.allowed():
            words[token_id // 32] |= 1 << token_id % 32

    def consume(self, token_id: int) -> bool:
        node = self._trie.following(self._nodes[-1]).get(token_id)
        if node is None:
            return False
        self._nodes.append(node)
        return True

    def rollback(self, num_tokens: int) -> None:
        del self._nodes[len(self._nodes) - num_tokens :]

    def copy(self) -> TrieMatcher:
        matcher = TrieMatcher(self._trie, self._tokens)
        matcher._nodes = list(self._nodes)
        return matcher

    def forced(self) -> bytes:
        node, text = self._nodes[-1], b""
        while not self._trie.ends(node) and len(following := self._trie.following(node)) == 1:
            ((token, node),) = following.items()
            text += self._tokens[token]
        return text

    def remaining(self) -> int:
        """The bytes of the shortest way from here to an end."""
        best, pending = -1, [(self._nodes[-1], 0)]
        while pending:
            node, length = pending.pop()
            if 0 <= best <= length:
                continue
            if self._trie.ends(node):
                best = length
                continue
            pending += [
                (below, length + len(self._tokens[token])) for token, below in self._trie.following(node).items()
            ]
        return best

    def accepting(self) -> bool:
        return self._trie.ends(self._nodes[-1])

    def allowed(self) -> list[int]:
        """The ids that may come next, stop ids among them where a choice ends."""
        return [*self._trie.following(self._nodes[-1]), *(self._trie.stop_ids if self.accepting() else ())]


def _logsumexp(values: Sequence[float]) -> float:
    largest = max(values)
    if largest == -math.inf:
        return largest
    return largest + math.log(sum(math.exp(value - largest) for value in values))
