"""`Program.explain`: a plan and an estimate before anything runs.

The plan has its figures as fields, for tests and budgets, and prints as tables. Where a figure cannot be known it says
so: gens without a bound are counted apart, and where the graph is open more may follow.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from ..errors import TemplateMismatch
from ..runtime.protocol.graph import Argument, CloseRole, Gen, OpenRole, Select, Text, ValueEdge
from .fingerprint import fingerprint_of
from .graph_text import describe, describe_end, describe_fence
from .measure import Measure, Prompts, measure_for, refused
from .passes import run_passes
from .passes.critical_path import Chain, longest_chain
from .passes.interface import Finding, Outcome, predicted_tokens
from .program_graph import Branch, Call, Check, Fence, Open, ProgramGraph, Segment, SelectTrie, Step, Symbol, stream_of

if TYPE_CHECKING:
    from rich.console import Console, Group

    from .program import Program


class Cost(msgspec.Struct, frozen=True):
    """What one way through a program costs, in the plan's unit (`predicted` in tokens), child runs included.

    Attributes:
        constant: text of the program.
        argument: text of arguments that were given.
        template: what the chat template writes.
        predicted: tokens that gens generate at most, where something bounds them.
        unbounded: gens that nothing bounds.
        gens: gens and selects.
    """

    constant: int = 0
    argument: int = 0
    template: int = 0
    predicted: int = 0
    unbounded: int = 0
    gens: int = 0

    def __add__(self, other: Cost) -> Cost:
        pairs = zip(msgspec.structs.astuple(self), msgspec.structs.astuple(other), strict=True)
        return Cost(*(a + b for a, b in pairs))

    @property
    def known(self) -> int:
        """Prompt and output together: what ways are compared by."""
        return self.constant + self.argument + self.template + self.predicted


class Way(msgspec.Struct, frozen=True):
    """One way through the arms: the arms taken, its cost, and how it ends."""

    labels: tuple[str, ...]
    cost: Cost
    end: str


class Row(msgspec.Struct, frozen=True):
    """One line of the plan.

    Attributes:
        depth: how far it is inside of arms and child runs.
        stream: "s0"; "" for lines that are not nodes.
        what: the node.
        kind: which sum its amount belongs to; "" for none.
        amount: None if it is unknown.
        site: source line.
    """

    depth: int
    stream: str
    what: str
    kind: Literal["", "constant", "argument", "template", "predicted"] = ""
    amount: int | None = None
    site: str = ""


class Plan(msgspec.Struct, frozen=True):
    """What a program will do, as far as it is known before it runs.

    Attributes:
        program: qualified name.
        fingerprint: `Program.fingerprint`.
        graph: what the figures are of.
        unit: "tokens" or "characters".
        model: whose tokens; "" for characters.
        note: why characters; "" for tokens.
        ways: every way through the arms.
        shared_prefix: constant text that every run begins with, whatever its arguments.
        prompts: known text in front of each gen and select, by path; what is generated or not given comes on top.
        critical_path: the longest chain of gens.
        outcomes: of the passes.
        rows: the nodes in order.
    """

    program: str
    fingerprint: str
    graph: ProgramGraph
    unit: Literal["tokens", "characters"]
    model: str
    note: str
    ways: tuple[Way, ...]
    shared_prefix: int
    prompts: dict[str, int]
    critical_path: Chain
    outcomes: tuple[Outcome, ...]
    rows: tuple[Row, ...]

    @property
    def cost(self) -> Cost:
        """Of the way that costs most."""
        return max((way.cost for way in self.ways), key=lambda cost: (cost.known, cost.unbounded))

    @property
    def nodes(self) -> int:
        """Nodes of all arms and child runs."""
        return sum(bool(row.stream) for row in self.rows)

    @property
    def fences(self) -> tuple[Fence, ...]:
        """Where Python looks at values."""
        return self.graph.fences

    @property
    def open(self) -> tuple[Open, ...]:
        """Where the dry run could not go on."""
        return self.graph.open

    @property
    def missing(self) -> tuple[str, ...]:
        """Arguments that were not given, whose text is not counted."""
        return self.graph.parameters

    @property
    def warnings(self) -> tuple[Finding, ...]:
        """What the author should look at."""
        return tuple(finding for outcome in self.outcomes for finding in outcome.findings if finding.warning)

    def __str__(self) -> str:
        from rich.console import Console

        out = io.StringIO()
        Console(file=out, width=120, color_system=None, legacy_windows=False).print(self.__rich__())
        return out.getvalue()

    def __rich__(self) -> Group:
        from .plan_tables import plan_tables

        return plan_tables(self)

    def _repr_html_(self) -> str:
        from rich.console import Console

        console: Console = Console(file=io.StringIO(), record=True, width=120, legacy_windows=False)
        console.print(self.__rich__())
        return console.export_html(inline_styles=True, code_format="<pre>{code}</pre>")


def explain(program: Program[..., Any], graph: ProgramGraph) -> Plan:
    """The plan of a program whose graph is `graph`.

    Raises:
        ModelNotFound, UnsupportedModel: the engine it is bound to is named, and its tokenizer cannot be loaded.
    """
    measure = measure_for(program._options.engine)
    try:
        sheet = _Sheet(measure, graph)
    except TemplateMismatch as error:
        measure = refused(measure, error)
        sheet = _Sheet(measure, graph)
    return Plan(
        program=graph.name,
        fingerprint=fingerprint_of(program),
        graph=graph,
        unit=measure.meter.unit,
        model=measure.model,
        note=measure.note,
        ways=tuple(sheet.ways),
        shared_prefix=sheet.shared_prefix,
        prompts=sheet.prompts,
        critical_path=longest_chain(graph, measure.meter),
        outcomes=tuple(run_passes(graph, measure.meter)),
        rows=tuple(sheet.rows),
    )


class _Sheet:
    """Goes through a graph once and adds up."""

    def __init__(self, measure: Measure, graph: ProgramGraph) -> None:
        self._measure = measure
        self.rows: list[Row] = []
        self.prompts: dict[str, int] = {}
        self.shared_prefix = self._prefix(graph)
        self.ways = self._segment(graph.body, (), (), Cost(), 0, {})

    def _segment(
        self,
        segment: Segment,
        labels: tuple[str, ...],
        before: tuple[Step, ...],
        cost: Cost,
        depth: int,
        paths: dict[int, str],
    ) -> list[Way]:
        prompts = self._measure.prompts()
        for step in before:
            prompts.add(step)
        for step in segment.steps:
            cost += self._step(step, prompts, depth, paths)
        if not isinstance(segment.end, Branch):
            self.rows.append(Row(depth, "", describe_end(segment.end)))
            return [Way(labels, cost, describe_end(segment.end))]
        fence = segment.end.fence
        self.rows.append(Row(depth, "", f"if {describe_fence(fence)}", site=fence.site))
        ways: list[Way] = []
        for arm in segment.end.arms:
            self.rows.append(Row(depth, "", f"is {arm.label}:"))
            steps = before + segment.steps
            ways += self._segment(arm.body, (*labels, arm.label), steps, cost, depth + 1, dict(paths))
        return ways

    def _step(self, step: Step, prompts: Prompts, depth: int, paths: dict[int, str]) -> Cost:
        if isinstance(step, Call):
            self.rows.append(Row(depth, "", f"run {step.path}", site=step.site))
            ways = self._segment(step.graph.body, (), (), Cost(), depth + 1, {})
            return max((way.cost for way in ways), key=lambda cost: (cost.known, cost.unbounded))
        grown = prompts.add(step)
        if isinstance(step, Gen | Select | SelectTrie):
            paths[step.node] = step.path
            self.prompts[step.path] = prompts.length(step.stream)
        row, cost = self._charge(step, grown, paths)
        self.rows.append(msgspec.structs.replace(row, depth=depth))
        return cost

    def _charge(self, step: Step, grown: int, paths: dict[int, str]) -> tuple[Row, Cost]:
        stream = stream_of(step)
        row = Row(0, "" if stream is None else f"s{stream}", describe(step, paths), site=step.site)
        match step:
            case Text():
                return msgspec.structs.replace(row, kind="constant", amount=grown), Cost(constant=grown)
            case Argument():
                return msgspec.structs.replace(row, kind="argument", amount=grown), Cost(argument=grown)
            case Symbol():
                return msgspec.structs.replace(row, kind="argument"), Cost(template=grown)
            case OpenRole() | CloseRole() | ValueEdge() | Check():
                return msgspec.structs.replace(row, kind="template", amount=grown), Cost(template=grown)
            case Gen() | Select() | SelectTrie():
                bound = predicted_tokens(step, self._measure.meter)
                cost = Cost(template=grown, predicted=bound or 0, unbounded=int(bound is None), gens=1)
                return msgspec.structs.replace(row, kind="predicted", amount=bound), cost
        return row, Cost(template=grown)

    def _prefix(self, graph: ProgramGraph) -> int:
        prompts, length = self._measure.prompts(), 0
        for step in graph.body.steps:
            if stream_of(step) != 0:
                continue
            if isinstance(step, Argument | Symbol | ValueEdge | Gen | Select | SelectTrie):
                break
            prompts.add(step)
            length = max(length, prompts.length(0))
        return length
