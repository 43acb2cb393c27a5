"""Texts of the program that follow each other on a stream become one node.

The unit of tokenization is the text run, everything between two seams, so how many nodes a run arrives in never changes
its ids; each node less is one less to send, to check and to lower. Arguments stay nodes of their own, because reports
count them apart and their control tokens are off.
"""

from __future__ import annotations

import msgspec

from ...runtime.protocol.graph import Text
from ..graph_text import count
from ..program_graph import Call, Fence, ProgramGraph, Step, map_segments, stream_of
from .interface import Finding, Meter, Outcome


def merge_steps(steps: tuple[Step, ...]) -> tuple[Step, ...]:
    """The steps with texts merged that stand next to each other on their stream; no merge goes over a fence, because
    what stands before it has been sent."""
    merged: list[Step] = []
    last: dict[int, int] = {}  # by stream: where its last step is, if that is a text
    for step in steps:
        stream = stream_of(step)
        if isinstance(step, Fence | Call):
            last.clear()
        elif stream is not None:
            at = last.pop(stream, None)
            before = merged[at] if at is not None else None
            if isinstance(step, Text):
                if isinstance(before, Text) and before.control == step.control and at is not None:
                    merged[at] = msgspec.structs.replace(before, text=before.text + step.text)
                    last[stream] = at
                    continue
                last[stream] = len(merged)
        merged.append(step)
    return tuple(merged)


class MergeText:
    """See the module's text."""

    name = "merge text"

    def run(self, graph: ProgramGraph, meter: Meter) -> Outcome:
        """Merge on every stream of the program, its arms and its child runs."""
        after = _merge(graph)
        saved = _count(graph) - _count(after)
        findings = (Finding("texts next to each other are one node", "", saved, "nodes"),) if saved else ()
        return Outcome(self.name, after, f"{count(saved, 'node')} less to send" if saved else "", findings)


def _merge(graph: ProgramGraph) -> ProgramGraph:
    def change(steps: tuple[Step, ...]) -> tuple[Step, ...]:
        inner = tuple(
            msgspec.structs.replace(step, graph=_merge(step.graph)) if isinstance(step, Call) else step
            for step in steps
        )
        return merge_steps(inner)

    return msgspec.structs.replace(graph, body=map_segments(graph.body, change))


def _count(graph: ProgramGraph) -> int:
    return sum(_count(step.graph) if isinstance(step, Call) else 1 for step in graph.steps())
