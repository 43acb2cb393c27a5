"""`ProgramGraph`: the request graph of a program as it is known before anything runs. Plain data.

What a program records one after the other is a list of *steps*: the engine's own graph nodes, and a few that only a
symbolic dry run has (an argument that was not given, a child run, a place where Python waits). Where Python decides
something by looking at a value, the list ends in a `Branch` with one *arm* for each thing it may have seen, and goes on
in the arms:

    Segment            steps ... end: Branch(fence, arms)
                                        |- "bug"      Segment   steps ... end: Returned
                                        `- "feature"  Segment   steps ... end: Open(reason)

An `Open` end is where the dry run could not go on: more may follow there. Passes read these graphs and make new ones.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Literal, NamedTuple, TypeAlias

import msgspec

from ..runtime.protocol.graph import (
    Argument,
    CancelStream,
    CloseRole,
    Fork,
    Gen,
    Node,
    OpenRole,
    Read,
    Release,
    Select,
    Text,
    ValueEdge,
)

# ---- steps that only a dry run has --------------------------------------------------------------------------------


class Symbol(Node, frozen=True, tag="symbol"):
    """Text that is not known before the program runs.

    Attributes:
        name: the argument's name, or a path.
        source: "argument"; "value", of the program that called this one; or "result", of a child run, for which the
            program waits here.
    """

    name: str
    source: Literal["argument", "value", "result"] = "argument"


class Check(Node, frozen=True, tag="check"):
    """The gen `node` has a check, or retries alone, and the model may try again; what follows is the attempt that
    passes."""

    node: int
    check: str
    retries: int


class ForkGroup(Node, frozen=True, tag="fork_group"):
    """Forks of one stream at one place, made by the pass `fork_groups`: the children share one prefix."""

    children: tuple[int, ...]


class TrieRow(msgspec.Struct, frozen=True):
    """A place where the choices of a select part, and the model must be asked.

    Attributes:
        path: the text that leads there from the prompt; "" is the prompt itself.
        ways: what may come next there; "" stands for the end of the choice.
    """

    path: str
    ways: tuple[str, ...]


class SelectTrie(Node, frozen=True, tag="select_trie"):
    """A select lowered to the trie of its choices, made by the pass `lower_select`.

    Attributes:
        node, name, path: as in `Select`.
        unit: what the trie is made of, "tokens" or "characters".
        rows: where the choices part; the first is the prompt, whose forward is computed anyway.
        positions: tokens or characters that are computed beyond the prompt, once each.
        free: the choices that need nothing beyond the prompt's forward.
    """

    node: int
    name: str
    path: str
    unit: str
    rows: tuple[TrieRow, ...]
    positions: int
    free: tuple[str, ...]


class Fence(msgspec.Struct, frozen=True, tag_field="kind", tag="fence"):
    """A place where Python looks at a value.

    Attributes:
        value: what is looked at: a node's path, or an argument as "{name}".
        how: the way of looking: "get", "await", "str", "format", "==", "iteration", ...
        site: source line.
        waits: a real run waits here; not so for arguments, which are only unknown to the dry run.
        hint: what would avoid the fence; "" if nothing would.
    """

    value: str
    how: str
    site: str
    waits: bool = True
    hint: str = ""


class Call(msgspec.Struct, frozen=True, tag_field="kind", tag="call"):
    """A child run.

    Attributes:
        path: its place in the run that calls it.
        site: source line of the call.
        graph: its own graph.
    """

    path: str
    site: str
    graph: ProgramGraph


Step: TypeAlias = (
    Text
    | Argument
    | Symbol
    | ValueEdge
    | OpenRole
    | CloseRole
    | Gen
    | Check
    | Select
    | SelectTrie
    | Fork
    | ForkGroup
    | Read
    | Release
    | CancelStream
    | Fence
    | Call
)

# ---- ends -----------------------------------------------------------------------------------------------------------


class Returned(msgspec.Struct, frozen=True, tag_field="kind", tag="returned"):
    """The program returns.

    Attributes:
        values: the paths of what is resolved for the caller.
        constant: a text or number of the program's own that it returns; "" otherwise.
    """

    values: tuple[str, ...] = ()
    constant: str = ""


class Raised(msgspec.Struct, frozen=True, tag_field="kind", tag="raised"):
    """The program raises."""

    error: str
    site: str


class Open(msgspec.Struct, frozen=True, tag_field="kind", tag="open"):
    """The dry run ends, the program may not: `reason` says why."""

    reason: str
    site: str
    fence: Fence | None = None


class Branch(msgspec.Struct, frozen=True, tag_field="kind", tag="branch"):
    """Python looks at a value of a finite domain: one arm for each thing it may see."""

    fence: Fence
    arms: tuple[Arm, ...]


End: TypeAlias = Returned | Raised | Open | Branch


class Arm(msgspec.Struct, frozen=True):
    """What the program does if it sees one of `labels`."""

    labels: tuple[str, ...]
    body: Segment

    @property
    def label(self) -> str:
        """The labels in a row."""
        return " | ".join(self.labels)


class Segment(msgspec.Struct, frozen=True):
    """Steps in the order in which they are recorded, and what comes then."""

    steps: tuple[Step, ...]
    end: End


class PathThrough(NamedTuple):
    """One way through the arms.

    Attributes:
        labels: the arms that were taken.
        steps: all steps on the way.
        end: how it ends; never a `Branch`.
        fences: the fence in front of each arm and how many steps stand before it.
    """

    labels: tuple[str, ...]
    steps: tuple[Step, ...]
    end: Returned | Raised | Open
    fences: tuple[tuple[int, Fence], ...]


class ProgramGraph(msgspec.Struct, frozen=True):
    """The request graph of a symbolic dry run: `Program.graph`.

    Print it for its text, or look at it in a notebook. Child runs are graphs of their own, inside `Call` steps.

    Attributes:
        name: the program's qualified name.
        path: the run's path: the name, or the place in the program that calls it.
        parameters: names of the arguments that were not given and stay symbols.
        body: the steps and their arms.
    """

    name: str
    path: str
    parameters: tuple[str, ...]
    body: Segment

    @property
    def open(self) -> tuple[Open, ...]:
        """Every place where the dry run could not go on, child runs included."""
        own = [s.end for s in self.segments() if isinstance(s.end, Open)]
        return (*own, *(end for call in self.calls() for end in call.graph.open))

    @property
    def fences(self) -> tuple[Fence, ...]:
        """Every place where Python looks at a value, in order, child runs included."""
        found: list[Fence] = []
        for segment in self.segments():
            for step in segment.steps:
                if isinstance(step, Fence):
                    found.append(step)
                elif isinstance(step, Call):
                    found.extend(step.graph.fences)
            fence = segment.end.fence if isinstance(segment.end, Branch | Open) else None
            if fence is not None:
                found.append(fence)
        return tuple(dict.fromkeys(found))

    def segments(self) -> Iterator[Segment]:
        """The body and the body of each arm, depth first; without those of child runs."""
        stack = [self.body]
        while stack:
            segment = stack.pop()
            yield segment
            if isinstance(segment.end, Branch):
                stack.extend(arm.body for arm in reversed(segment.end.arms))

    def steps(self) -> Iterator[Step]:
        """The steps of all segments; without those of child runs."""
        for segment in self.segments():
            yield from segment.steps

    def calls(self) -> Iterator[Call]:
        """The child runs of all arms."""
        return (step for step in self.steps() if isinstance(step, Call))

    def paths(self) -> list[PathThrough]:
        """Every way through the arms, in order."""
        found: list[PathThrough] = []
        stack: list[tuple[Segment, PathThrough]] = [(self.body, PathThrough((), (), Returned(), ()))]
        while stack:
            segment, so_far = stack.pop()
            steps = so_far.steps + segment.steps
            if isinstance(segment.end, Branch):
                fences = (*so_far.fences, (len(steps), segment.end.fence))
                for arm in reversed(segment.end.arms):
                    stack.append((arm.body, PathThrough((*so_far.labels, arm.label), steps, so_far.end, fences)))
            else:
                found.append(PathThrough(so_far.labels, steps, segment.end, so_far.fences))
        return found

    # ---- pictures ---------------------------------------------------------------------------------------------------

    def mermaid(self) -> str:
        """The graph as a Mermaid flowchart, which GitHub, GitLab and JupyterLab draw."""
        from .mermaid import mermaid

        return mermaid(self)

    def svg(self) -> str:
        """The graph as a drawing.

        Raises:
            InvalidRequest: the extra "graph" is not installed.
        """
        from .svg import svg

        return svg(self)

    def __str__(self) -> str:
        from .graph_text import graph_text

        return graph_text(self)

    def _repr_svg_(self) -> str | None:
        """None, without the extra "graph", has a notebook draw the Mermaid text."""
        from .svg import can_draw, svg

        return svg(self) if can_draw() else None

    def _repr_markdown_(self) -> str:
        return f"```mermaid\n{self.mermaid()}```\n"


SegmentChange: TypeAlias = Callable[[tuple[Step, ...]], tuple[Step, ...]]


def map_segments(segment: Segment, change: SegmentChange) -> Segment:
    """The same tree with the steps of each segment changed on their own; `Call` steps are passed like others."""
    end = segment.end
    if isinstance(end, Branch):
        arms = tuple(Arm(arm.labels, map_segments(arm.body, change)) for arm in end.arms)
        end = Branch(end.fence, arms)
    return Segment(change(segment.steps), end)


def stream_of(step: Step) -> int | None:
    """The stream that a step extends or reads; None for steps of Python's own."""
    return None if isinstance(step, Fence | Call) else step.stream
