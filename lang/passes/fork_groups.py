"""Forks of one stream at one place become one group, and child runs of one program are known as siblings.

The children of a group share one prefix. An engine that is told so computes the prefix once and opens the rows
together; one that sees single requests finds out by search, or computes it for each. Nothing else is moved: a fork
joins the first one of its group only if nothing was appended to the stream, and Python looked at nothing, in between.
"""

from __future__ import annotations

import msgspec

from ...runtime.protocol.graph import Argument, Fork, Gen, Select, Text, ValueEdge
from ..program_graph import (
    Call,
    Fence,
    ForkGroup,
    ProgramGraph,
    SelectTrie,
    Step,
    Symbol,
    map_segments,
    stream_of,
)
from .interface import Finding, Meter, Outcome


class ForkGroups:
    """See the module's text."""

    name = "fork groups"

    def run(self, graph: ProgramGraph, meter: Meter) -> Outcome:
        """Group in every segment of the program, its arms and its child runs."""
        findings: dict[tuple[str, str], Finding] = {}
        after = self._group(graph, meter, findings)
        saved = sum(finding.amount for finding in findings.values())
        saves = f"{saved} {meter.unit} of known text are computed once, not again for each sibling" if saved else ""
        return Outcome(self.name, after, saves, tuple(findings.values()))

    def _group(self, graph: ProgramGraph, meter: Meter, findings: dict[tuple[str, str], Finding]) -> ProgramGraph:
        def change(steps: tuple[Step, ...]) -> tuple[Step, ...]:
            inner = tuple(
                msgspec.structs.replace(step, graph=self._group(step.graph, meter, findings))
                if isinstance(step, Call)
                else step
                for step in steps
            )
            return group_steps(inner)

        after = msgspec.structs.replace(graph, body=map_segments(graph.body, change))
        for path in after.paths():
            self._measure_forks(graph.path, path.steps, meter, findings)
            self._measure_calls(path.steps, meter, findings)
        return after

    def _measure_forks(
        self, run: str, steps: tuple[Step, ...], meter: Meter, findings: dict[tuple[str, str], Finding]
    ) -> None:
        lengths: dict[int, int] = {}
        for step in steps:
            if isinstance(step, Text | Argument):
                lengths[step.stream] = lengths.get(step.stream, 0) + len(meter.ids(step.text))
            elif isinstance(step, Fork):
                lengths[step.child] = lengths.get(step.stream, 0)
            elif isinstance(step, ForkGroup):
                prefix = lengths.get(step.stream, 0)
                lengths.update(dict.fromkeys(step.children, prefix))
                what = f"{len(step.children)} forks of s{step.stream} share what stands before them"
                amount = (len(step.children) - 1) * prefix
                findings.setdefault((run, f"{step.site} {step.children}"), Finding(what, step.site, amount, meter.unit))

    def _measure_calls(self, steps: tuple[Step, ...], meter: Meter, findings: dict[tuple[str, str], Finding]) -> None:
        siblings: dict[tuple[str, str], list[Call]] = {}
        for step in steps:
            if isinstance(step, Call):
                siblings.setdefault((step.graph.name, step.site), []).append(step)
        for (name, site), calls in siblings.items():
            if len(calls) > 1:
                shared = _common_text([_opening(call.graph) for call in calls])
                what = f"{len(calls)} runs of {name} begin with the same text"
                amount = (len(calls) - 1) * len(meter.ids(shared))
                findings.setdefault((name, site), Finding(what, site, amount, meter.unit))


def group_steps(steps: tuple[Step, ...]) -> tuple[Step, ...]:
    """The steps with each run of forks at one place as one `ForkGroup`; a single fork stays as it is."""
    groups: dict[int, list[Fork]] = {}  # by the place of the group's first fork in `steps`
    open_at: dict[int, int] = {}  # by stream: the place of the group that a next fork joins
    for place, step in enumerate(steps):
        stream = stream_of(step)
        if isinstance(step, Fence):
            open_at.clear()
        elif isinstance(step, Fork):
            groups.setdefault(open_at.setdefault(step.stream, place), []).append(step)
        elif stream is not None:
            open_at.pop(stream, None)
    grouped: list[Step] = []
    for place, step in enumerate(steps):
        if not isinstance(step, Fork):
            grouped.append(step)
        elif place in groups:
            forks = groups[place]
            children = tuple(fork.child for fork in forks)
            grouped.append(
                step if len(forks) == 1 else ForkGroup(stream=step.stream, site=step.site, children=children)
            )
    return tuple(grouped)


def _opening(graph: ProgramGraph) -> str:
    """The text in front of the first thing on the root stream that is not the same in every run."""
    parts: list[str] = []
    for step in graph.body.steps:
        if stream_of(step) != 0:
            continue
        if isinstance(step, Text):
            parts.append(step.text)
        elif isinstance(step, Argument):
            parts.append(step.text)
            break
        elif isinstance(step, Gen | Select | SelectTrie | Symbol | ValueEdge):
            break
    return "".join(parts)


def _common_text(texts: list[str]) -> str:
    shortest, longest = min(texts), max(texts)
    length = 0
    while length < len(shortest) and shortest[length] == longest[length]:
        length += 1
    return shortest[:length]
