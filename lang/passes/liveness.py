"""Where a stream's KV is dead: a `Release` behind the last step that any way through the program takes on it.

    s0  ... fork s1, fork s2          s1 is read no more once its gen is done, so its KV may go first
    s1  gen draft[0]
        release s1
    s2  gen draft[0]  ...

A running program knows it when the last Python handle goes, which exceptions, notebooks and closures put off; the graph
knows it beforehand. Nothing is released on a way that the dry run left open, because more may follow there, nor where
the program does no more work, because the end of the run frees everything.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from ...runtime.protocol.graph import Argument, CancelStream, Fork, Gen, Release, Select, Text
from ..program_graph import (
    Arm,
    Branch,
    Call,
    ForkGroup,
    Open,
    ProgramGraph,
    Segment,
    SelectTrie,
    Step,
    stream_of,
)
from .interface import Finding, Meter, Outcome, predicted_tokens


class Liveness:
    """See the module's text."""

    name = "liveness"

    def run(self, graph: ProgramGraph, meter: Meter) -> Outcome:
        """Place releases in the program, its arms and its child runs."""
        findings: list[Finding] = []
        after = _release_in(graph, meter, findings)
        saved = sum(finding.amount for finding in findings)
        saves = f"KV of {saved} {meter.unit} may go while the program still works" if findings else ""
        return Outcome(self.name, after, saves, tuple(dict.fromkeys(findings)))


def _release_in(graph: ProgramGraph, meter: Meter, findings: list[Finding]) -> ProgramGraph:
    body = _release(graph.body, {0: 0}, meter, findings)
    return msgspec.structs.replace(graph, body=body)


def _release(segment: Segment, alive: dict[int, int], meter: Meter, findings: list[Finding]) -> Segment:
    """The segment with its releases.

    Args:
        alive: the streams that may be used here, with the length of what is theirs alone.
    """
    alive = dict(alive)
    arms = segment.end.arms if isinstance(segment.end, Branch) else ()
    used_later = _used(arm.body for arm in arms)
    closed = not _is_open(segment)
    last: dict[int, int] = {}
    for place, step in enumerate(segment.steps):
        stream = stream_of(step)
        if stream is not None:
            last[stream] = place
            alive[stream] = alive.get(stream, 0) + _length(step, meter)
            for child in _children(step):
                alive[child], alive[stream] = 0, 0  # the prefix is theirs too
                last[child] = place
    work = [isinstance(step, Gen | Select | SelectTrie | Call) for step in segment.steps]
    work_later = any(_works(arm.body) for arm in arms)
    dead: dict[int, list[int]] = {}
    for stream, place in last.items():
        ended = isinstance(segment.steps[place], CancelStream | Release) and stream_of(segment.steps[place]) == stream
        if closed and not ended and stream not in used_later and (work_later or any(work[place + 1 :])):
            dead.setdefault(place, []).append(stream)
    steps: list[Step] = []
    for place, step in enumerate(segment.steps):
        if isinstance(step, Call):
            step = msgspec.structs.replace(step, graph=_release_in(step.graph, meter, findings))
        steps.append(step)
        for stream in dead.get(place, ()):
            steps.append(_dead(stream, step, alive, meter, findings))
    if not isinstance(segment.end, Branch):
        return Segment(tuple(steps), segment.end)
    alive = {stream: length for stream, length in alive.items() if stream in used_later or not closed}
    released: list[Arm] = []
    for arm in arms:
        used = _used([arm.body])
        body = _release(arm.body, alive, meter, findings)
        if not _is_open(arm.body) and _works(arm.body):
            first: list[Step] = [
                _dead(stream, segment.end.fence, alive, meter, findings)
                for stream in sorted(alive)
                if stream not in used
            ]
            body = Segment((*first, *body.steps), body.end)
        released.append(Arm(arm.labels, body))
    return Segment(tuple(steps), Branch(segment.end.fence, tuple(released)))


def _dead(stream: int, after: Step, alive: dict[int, int], meter: Meter, findings: list[Finding]) -> Release:
    site = after.site
    findings.append(Finding(f"s{stream} is not used any more", site, alive[stream], meter.unit))
    return Release(stream=stream, site=site)


def _length(step: Step, meter: Meter) -> int:
    if isinstance(step, Text | Argument):
        return len(meter.ids(step.text))
    return (predicted_tokens(step, meter) or 0) if isinstance(step, Gen) else 0


def _children(step: Step) -> tuple[int, ...]:
    if isinstance(step, ForkGroup):
        return step.children
    return (step.child,) if isinstance(step, Fork) else ()


def _used(segments: Iterable[Segment]) -> set[int]:
    """The streams that are touched in these segments or in arms below them."""
    found: set[int] = set()
    stack = list(segments)
    while stack:
        segment = stack.pop()
        found.update(stream for step in segment.steps if (stream := stream_of(step)) is not None)
        if isinstance(segment.end, Branch):
            stack.extend(arm.body for arm in segment.end.arms)
    return found


def _below(segment: Segment) -> Iterable[Segment]:
    stack = [segment]
    while stack:
        found = stack.pop()
        yield found
        if isinstance(found.end, Branch):
            stack.extend(arm.body for arm in found.end.arms)


def _is_open(segment: Segment) -> bool:
    return any(isinstance(found.end, Open) for found in _below(segment))


def _works(segment: Segment) -> bool:
    return any(isinstance(step, Gen | Select | SelectTrie | Call) for found in _below(segment) for step in found.steps)
