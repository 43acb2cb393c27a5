"""The longest chain of work: what the program takes however wide the engine is.

Decoding is one step a token and everything else is cheap beside it, so the length of a chain is the tokens that are
decoded along it; a select is one step. A gen waits for the gens before it on its stream, for the values spliced into
that stream, and for everything that Python has looked at before it was recorded. Of the arms of a fence the longest one
counts. An engine that knows the chain runs it first.
"""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from ...runtime.protocol.graph import Fork, Gen, Select, ValueEdge
from ..graph_text import count
from ..program_graph import Branch, Call, Fence, ForkGroup, ProgramGraph, Segment, SelectTrie, Symbol
from .interface import ASSUMED_TOKENS, Finding, Meter, Outcome, predicted_tokens


class Chain(msgspec.Struct, frozen=True):
    """The longest chain of a program.

    Attributes:
        nodes: paths of its gens and selects, in order.
        steps: decoding steps along it.
        total: decoding steps of all gens on the same way through the arms.
        assumed: how many of the chain's gens nothing bounds; each counts as `ASSUMED_TOKENS`.
    """

    nodes: tuple[str, ...]
    steps: int
    total: int
    assumed: int


class _Link(NamedTuple):
    """The end of a chain."""

    steps: int = 0
    node: str = ""
    assumed: int = 0
    before: _Link | None = None


_START = _Link()


class CriticalPath:
    """See the module's text."""

    name = "critical path"

    def run(self, graph: ProgramGraph, meter: Meter) -> Outcome:
        """Find the longest chain of a program, through its arms and child runs."""
        chain = longest_chain(graph, meter)
        if not chain.nodes:
            return Outcome(self.name, graph)
        what = f"{' > '.join(chain.nodes)}: {chain.steps} of {chain.total} decoding steps"
        if chain.assumed:
            what += f", where {count(chain.assumed, 'gen')} without a bound counts as {ASSUMED_TOKENS}"
        saved = chain.total - chain.steps
        saves = f"{saved} of {chain.total} decoding steps run beside the longest chain" if saved else ""
        notes = dict.fromkeys(chain.nodes, "critical")
        return Outcome(self.name, graph, saves, (Finding(what, "", chain.steps, "steps"),), notes)


def longest_chain(graph: ProgramGraph, meter: Meter) -> Chain:
    """The longest chain of work in a program."""
    last, total = _Walk(meter).through(graph.body, _START)
    nodes: list[str] = []
    link: _Link | None = last
    while link is not None:
        if link.node:
            nodes.append(link.node)
        link = link.before
    return Chain(tuple(reversed(nodes)), last.steps, total, last.assumed)


class _Walk:
    """Walks one way through the steps, and copies itself at a branch.

    Attributes:
        ready: by stream, the chain that must end before the stream goes on.
        done: the same for values, by the path and by the number of their node.
        floor: what Python has waited for so far.
    """

    def __init__(self, meter: Meter) -> None:
        self._meter = meter
        self.ready: dict[int, _Link] = {}
        self.done: dict[str | int, _Link] = {}
        self.floor = _START
        self.total = 0

    def through(self, segment: Segment, floor: _Link) -> tuple[_Link, int]:
        """The longest chain of the segment and its longest arm, and all decoding steps on that way."""
        self.floor = _later(self.floor, floor)
        for step in segment.steps:
            match step:
                case Gen() | Select() | SelectTrie():
                    self._add(step)
                case ValueEdge():
                    self._wait(step.stream, self.done.get(step.source, _START))
                case Symbol():
                    self._wait(step.stream, self.done.get(step.name, _START))
                case Fork():
                    self.ready[step.child] = self._at(step.stream)
                case ForkGroup():
                    self.ready.update(dict.fromkeys(step.children, self._at(step.stream)))
                case Fence():
                    self.floor = _later(self.floor, self.done.get(step.value, _START))
                case Call():
                    child = _Walk(self._meter)
                    child.done = dict(self.done)
                    self.done[step.path], total = child.through(step.graph.body, self.floor)
                    self.total += total
        if not isinstance(segment.end, Branch):
            return max((self.floor, *self.ready.values(), *self.done.values()), key=_steps), self.total
        looked_at = self.done.get(segment.end.fence.value, _START)
        ways = [self._copy().through(arm.body, looked_at) for arm in segment.end.arms]
        return max(ways, key=lambda way: way[0].steps)

    def _copy(self) -> _Walk:
        copy = _Walk(self._meter)
        copy.ready, copy.done = dict(self.ready), dict(self.done)
        copy.floor, copy.total = self.floor, self.total
        return copy

    def _add(self, step: Gen | Select | SelectTrie) -> None:
        before = self._at(step.stream)
        bound = predicted_tokens(step, self._meter)
        cost = ASSUMED_TOKENS if bound is None else max(bound, 1)
        link = _Link(before.steps + cost, step.path, before.assumed + (bound is None), before)
        self.total += cost
        self.ready[step.stream] = self.done[step.node] = self.done[step.path] = link

    def _wait(self, stream: int, what: _Link) -> None:
        self.ready[stream] = _later(self._at(stream), what)

    def _at(self, stream: int) -> _Link:
        return _later(self.ready.get(stream, _START), self.floor)


def _later(a: _Link, b: _Link) -> _Link:
    return b if b.steps > a.steps else a


def _steps(link: _Link) -> int:
    return link.steps
