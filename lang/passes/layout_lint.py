"""Constants that stand behind an argument: they could be shared by all runs, and are not.

Runs share KV from the start of a stream up to the first token in which they differ. Text that is the same in every run
but stands behind an argument is computed again for each. The order of a prompt is its author's, so this pass warns,
with both source lines, and moves nothing.
"""

from __future__ import annotations

from collections.abc import Iterator

from ...runtime.protocol.graph import Argument, Fork, Gen, Select, Text, ValueEdge
from ..graph_text import quote, short_site
from ..program_graph import ForkGroup, ProgramGraph, SelectTrie, Step, Symbol
from .interface import Finding, Meter, Outcome

LEAST = {"tokens": 16, "characters": 64}
"""Shorter constants are not worth a warning."""


class LayoutLint:
    """See the module's text."""

    name = "layout lint"

    def run(self, graph: ProgramGraph, meter: Meter) -> Outcome:
        """Look at every prompt of a program, its arms and its child runs."""
        findings = {(f.site, f.what): f for found in _graphs(graph) for f in _lint(found, meter)}
        lost = sum(finding.amount for finding in findings.values())
        saves = f"{lost} {meter.unit} a run, if the constants stood in front of the arguments" if lost else ""
        return Outcome(self.name, graph, saves, tuple(findings.values()))


def _graphs(graph: ProgramGraph) -> Iterator[ProgramGraph]:
    yield graph
    for call in graph.calls():
        yield from _graphs(call.graph)


def _lint(graph: ProgramGraph, meter: Meter) -> list[Finding]:
    found: list[Finding] = []
    for path in graph.paths():
        behind: dict[int, Step | None] = {}  # by stream: the argument that was appended, None before one
        differs: set[int] = set()  # streams that hold something generated: nothing behind it can be shared anyway
        for step in path.steps:
            match step:
                case Argument() | Symbol():
                    if behind.get(step.stream) is None:
                        behind[step.stream] = step
                case Gen() | Select() | SelectTrie() | ValueEdge():
                    differs.add(step.stream)
                case Fork():
                    _inherit(step.stream, (step.child,), behind, differs)
                case ForkGroup():
                    _inherit(step.stream, step.children, behind, differs)
                case Text():
                    argument = behind.get(step.stream)
                    length = len(meter.ids(step.text))
                    if argument is not None and step.stream not in differs and length >= LEAST[meter.unit]:
                        found.append(_warning(step, argument, length, meter))
    return found


def _inherit(stream: int, children: tuple[int, ...], behind: dict[int, Step | None], differs: set[int]) -> None:
    for child in children:
        behind[child] = behind.get(stream)
        if stream in differs:
            differs.add(child)


def _warning(text: Text, argument: Step, length: int, meter: Meter) -> Finding:
    name = f"the argument {{{argument.name}}}" if isinstance(argument, Symbol) else "an argument"
    what = (
        f"the constant {quote(text.text)} stands behind {name} of {short_site(argument.site)}: runs would share it in "
        "front of it"
    )
    return Finding(what, text.site, length, meter.unit, warning=True)
