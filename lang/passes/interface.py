"""What a pass is: it reads the graph of a program before anything runs, and gives back a graph and what it found.

A pass may rewrite the graph (merge texts, lower a select) or only remark on it (the critical path, a layout that shares
badly). It never changes what the model sees: the text of a stream before and after is the same. Each says what it
saves, in tokens, characters, nodes or steps.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, Protocol

import msgspec

from ...runtime.protocol.graph import Gen, Select
from ..domain import finite_texts
from ..program_graph import ProgramGraph, SelectTrie

ASSUMED_TOKENS = 256
"""Length of a gen that nothing bounds, where two lengths must be compared; a figure that uses it says so."""

MOST_TEXTS = 2_000
"""A grammar of at most so many texts is measured text by text."""


class Finding(msgspec.Struct, frozen=True):
    """One thing that a pass found.

    Attributes:
        what: in a sentence.
        site: source line; "" for the whole program.
        amount: how much it saves or costs, in `unit`.
        unit: "tokens", "characters", "nodes", "steps" or "compiles".
        warning: the author should do something about it.
    """

    what: str
    site: str = ""
    amount: int = 0
    unit: str = ""
    warning: bool = False


class Outcome(msgspec.Struct, frozen=True):
    """What a pass gives back.

    Attributes:
        name: the pass.
        graph: the graph after it; the same one if the pass only remarks.
        saves: what is gained, in a sentence; "" if there is nothing to gain here.
        findings: in the order of the program.
        notes: remarks on single nodes, by path.
    """

    name: str
    graph: ProgramGraph
    saves: str = ""
    findings: tuple[Finding, ...] = ()
    notes: Mapping[str, str] = {}


class Meter(Protocol):
    """How long texts are."""

    @property
    def unit(self) -> Literal["tokens", "characters"]:
        """What is counted."""
        ...

    @property
    def stop_ids(self) -> Sequence[int]:
        """Ids that may end a generated text."""
        ...

    def ids(self, text: str) -> list[int]:
        """The text as ids on its own: tokens, or the code points where there is no tokenizer."""
        ...

    def text(self, ids: Sequence[int]) -> str:
        """The text of ids."""
        ...


class CharacterMeter:
    """Counts characters, where no tokenizer is known."""

    unit: Literal["tokens", "characters"] = "characters"
    stop_ids: Sequence[int] = (-1,)

    def ids(self, text: str) -> list[int]:
        """The code points."""
        return [ord(character) for character in text]

    def text(self, ids: Sequence[int]) -> str:
        """The characters."""
        return "".join(map(chr, ids))


class Pass(Protocol):
    """One pass. Passes are pure: the same graph and meter give the same outcome."""

    @property
    def name(self) -> str:
        """What reports call it."""
        ...

    def run(self, graph: ProgramGraph, meter: Meter) -> Outcome:
        """Apply it to a program, its arms and its child runs."""
        ...


def predicted_tokens(node: Gen | Select | SelectTrie, meter: Meter) -> int | None:
    """How many tokens a node decodes at most: `max_tokens`, or the longest text its grammar allows.

    Without a tokenizer a text has at most as many tokens as bytes. None if nothing bounds it; 0 for a select, which
    decodes nothing.
    """
    if not isinstance(node, Gen):
        return 0
    texts = finite_texts(node.grammar, MOST_TEXTS)
    if not texts:
        return node.max_tokens
    if meter.unit == "tokens":
        bound = max(len(meter.ids(text)) for text in texts)
    else:
        bound = max(len(text.encode()) for text in texts)
    return bound if node.max_tokens is None else min(bound, node.max_tokens)
