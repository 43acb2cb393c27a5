"""One `select` while its choices are scored: a few scoring gens, one for each place where the choices part.

    stream   ... prompt |                       root: scored on the stream itself, with the prompt's own forward
    fork 1              | 7 |                   behind id 7: scored on a fork that computes one token more
    fork 2              | 4 2 |                 ...

All of them are sent to the core at once. The radix tree shares what they have in common, so a select computes each
branch once and may do so in one step. When the last score is there the choice is made here, and its canonical ids are
appended to the stream like text.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np

from ...errors import ErrorInfo, InvalidRequest
from ...grammar.trie import TokenTrie
from ..core import messages as core
from ..protocol.graph import NodeDone, Select, Usage
from ..protocol.philox import Purpose, uniform
from ..protocol.sampling import RowSampling
from ..protocol.tokens import pack
from .tokenizer import Seam, TextTokenizer

_SCORING = RowSampling(temperature=0.0)


class Selection:
    """See the module's text.

    Args:
        select: what was asked.
        trie: its choices as ids, in the same order.
        key: the stream.

    Attributes:
        parts: the path behind the prompt of each scoring gen, by the number of its node.
    """

    def __init__(self, select: Select, trie: TokenTrie, key: core.StreamKey) -> None:
        self.select = select
        self.trie = trie
        self.key = key
        self.parts: dict[int, tuple[int, ...]] = {}
        self._forks: list[core.StreamKey] = []
        self._scores: dict[tuple[int, ...], list[float]] = {}
        self._usages: list[core.GenUsage] = []

    def start(self, first: int) -> list[core.CoreInput]:
        """Operations for the core: a scoring gen for each branch. Their nodes and streams are numbered from `first`
        downward, where no client's are."""
        run = self.key[0]
        operations: list[core.CoreInput] = []
        on_stream: list[core.CoreInput] = []
        number = first
        for path, candidates in self.trie.branches:
            key = (run, number) if path else self.key
            generate = core.Generate(
                key=key, node=(run, number), sampling=_SCORING, max_tokens=1, candidates=pack(candidates)
            )
            if path:
                self._forks.append(key)
                operations.append(core.ForkStream(self.key, key))
                operations.append(core.Append(key, np.array(path, np.int32)))
                operations.append(generate)
                operations.append(core.CloseStream(key))
            else:
                on_stream.append(generate)
            self.parts[number] = path
            number -= 1
        return [*operations, *on_stream]  # the forks leave before the stream waits for its own score

    def abort(self, error: ErrorInfo) -> list[core.CoreInput]:
        """End what still runs for it beside the stream."""
        return [core.AbortStream(key, error) for key in self._forks]

    def take(self, node: int, reply: core.GenDone) -> bool:
        """The score of one branch; whether it was the last one missing."""
        self._scores[self.parts[node]] = np.frombuffer(reply.scores, np.float32).tolist()
        self._usages.append(reply.usage)
        return len(self._scores) == len(self.parts)

    @property
    def prompt(self) -> int:
        """Length of the stream in front of the select, as the core counted it; known after the first score."""
        (path, *_), (usage, *_) = self._scores, self._usages
        return usage.prompt - len(path)

    def answer(self, run: int, prompt: int) -> NodeDone:
        """The choice, as the client's run `run` is told.

        Args:
            prompt: length of the stream in front of it: the position of the draw.
        """
        logprobs = self.trie.logprobs(self._scores)
        index = int(np.argmax(logprobs)) if self.select.temperature == 0.0 else self._draw(prompt)
        usage = Usage(
            prompt=prompt,
            cached=max((usage.cached for usage in self._usages), default=0),
            computed=sum(usage.computed for usage in self._usages),
            decoded=0,
            retractions=sum(usage.retractions for usage in self._usages),
        )
        text, ids = self.select.choices[index], pack(self.trie.choices[index])
        return NodeDone(run, self.select.node, text, ids, "stop", usage, choice_logprobs=logprobs)

    def _draw(self, position: int) -> int:
        """One choice by the law at the select's temperature: inverse transform, in the order of the choices."""
        logprobs = self.trie.logprobs(self._scores, self.select.temperature)
        cumulative = np.cumsum([math.exp(logprob) for logprob in logprobs])
        target = uniform(self.select.seed, position, Purpose.CHOICE) * cumulative[-1]
        return int(np.searchsorted(cumulative, target, side="right"))


def choice_trie(tokenizer: TextTokenizer, seam: Seam, choices: Iterable[str]) -> TokenTrie:
    """Choices as the ids that the tokenizer gives them behind `seam`.

    Raises:
        InvalidRequest: the tokenizer cannot spell a choice.
    """
    texts = dict.fromkeys(choices)
    ids = [spelled.tolist() for spelled in tokenizer.encode_each(list(texts), after=seam)]
    for text, spelled in zip(texts, ids, strict=True):
        decoded = tokenizer.decode(spelled, skip_special=False)
        if decoded != text:
            raise InvalidRequest(
                f"the tokenizer spells the choice {text!r} as {decoded!r}", hint="write it as the tokenizer does"
            )
    return TokenTrie(ids, tokenizer.stop_ids)
